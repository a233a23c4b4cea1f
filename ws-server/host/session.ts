/** One session: a pty with its output, viewers and size. The only writer of all of them. */
import type { Label, LiveSession, SessionType } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import type { Attach, Control, EndReason, Mode, Size } from '@/lib/protocol/wire';
import type { Launch } from '@/ws-server/link';
import { Audience } from './audience';
import { dismiss } from './dismiss';
import { Idleness } from './idle';
import { InputLog } from './input-log';
import type { Journal } from './journal';
import { Life } from './life';
import { Output } from './output';
import { Patience } from './patience';
import { ProcessTree, type TreeOptions } from './process-tree';
import { Pty } from './pty';
import { Receipts } from './receipts';
import { Resizer } from './resizer';
import { type LastingFacts, SessionFacts } from './session-facts';
import { Viewer, type ViewerSink } from './viewer';
import { heldMs, type Vitals } from './vitals';

/** A program that has written nothing is taken to run after this (ms). */
const START_MS = 500;
/** Answers to terminal queries wait for a program that does not read, up to this (bytes). */
const REPLY_QUEUE_MAX = 64 * 1024;

export type SessionOptions = Size & {
  epoch: number;
  type: SessionType;
  hostId: string;
  label: Label;
  launch: Launch;
  /** The directory to start in: its real path, and the path of the handle that was checked. */
  directory: { path: string; handlePath: string };
  /** Text above everything that the program will print. */
  preface?: string;
  /** Called when facts may have changed; cheap, may come often. */
  onChange: () => void;
  /** Called once, when the program has ended and its output is drawn. */
  onEnd: () => void;
  /** Called when the emulator threw on some output. */
  onFault: (error: unknown) => void;
  /** Where bytes are counted. */
  vitals: Vitals;
} & Omit<TreeOptions, 'isAgent' | 'pid'>;

export class Session {
  readonly id: string;
  readonly epoch: number;
  /** Where its output is written down, if anywhere. */
  journal: Journal | null = null;
  readonly idleness: Idleness;
  readonly #options: SessionOptions;
  readonly #facts: SessionFacts;
  readonly #output: Output;
  readonly #audience = new Audience((driver) => this.#driven(driver));
  readonly #patience = new Patience(
    () => this.#audience.all(),
    (isHeld) => this.#hold('viewers', isHeld),
  );
  readonly #resizer = new Resizer((size) => this.#resize(size));
  /** Why the pty is not read. */
  readonly #holds = new Set<'screen' | 'viewers'>();
  readonly #input = new InputLog((client) => this.#audience.hasClient(client));
  readonly #receipts = new Receipts((client, inputSeq) => {
    for (const each of this.#audience.all()) if (each.client === client) each.send({ event: 'receipt', inputSeq });
  });
  readonly #pty: Pty;
  readonly #tree: ProcessTree;
  readonly #life = new Life();
  readonly #endWaiters: (() => void)[] = [];
  #viewerCount = 0;

  /** @throws AppError `no_capacity` when the pty cannot be had */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.id = options.id;
    this.epoch = options.epoch;
    this.#facts = new SessionFacts(options, { ...options, cwd: options.directory.path });
    this.#output = new Output(this.#facts.size, {
      reply: (text) => this.#reply(text),
      title: (text) => this.#titled(text),
      fault: options.onFault,
      flush: () => this.#flushed(),
      pause: (isPaused) => this.#hold('screen', isPaused),
      drained: () => this.#ended(),
      unwritten: () => this.journal?.waiting ?? 0,
    });
    if (options.preface) this.#output.draw(options.preface);
    const env = { ...options.launch.env, PWD: options.directory.path, HOLDFAST_HOST: options.mark };
    this.#pty = new Pty(
      { ...options.launch, ...this.#facts.size, env, cwd: options.directory.handlePath },
      { data: (chunk) => this.#received(chunk), exit: (code, signal) => this.#exited(code, signal) },
    );
    this.#tree = new ProcessTree({ ...options, isAgent: options.type === 'claude', pid: this.#pty.pid });
    this.idleness = new Idleness({
      life: this.#life,
      tree: this.#tree,
      viewers: () => this.#audience.size,
      isPinned: () => this.#facts.label['pinned'] === true,
      onChange: (endsAt) => {
        this.#audience.send({ event: 'idle', endsAt });
        options.onChange();
      },
      end: (reason) => this.end(reason),
    });
    this.#life.become('active');
  }

  /** Memory that its output holds (bytes). */
  get bytes(): number {
    return this.#output.bytes;
  }

  get isEnded(): boolean {
    return this.#life.isEnded;
  }

  get isWatched(): boolean {
    return this.#audience.size > 0;
  }

  /** What its program has printed. */
  get output(): Output {
    return this.#output;
  }

  /** The facts that are worth keeping, in much less time than all of them take. */
  lastingFacts(): LastingFacts {
    if (this.#isRunning()) this.#moved(this.#tree.workingDirectory());
    return this.#facts.lasting;
  }

  get endedAt(): number {
    return this.#facts.exit?.at ?? Number.POSITIVE_INFINITY;
  }

  /** The facts as the kernel and this process know them now. */
  facts(): LiveSession {
    const isRunning = this.#isRunning();
    if (isRunning) this.#moved(this.#tree.workingDirectory());
    return this.#facts.at({
      pid: this.#pty.pid,
      foreground: isRunning ? this.#tree.foreground() : null,
      viewers: this.#audience.size,
      position: this.#output.ring.end,
      state: this.#life.state,
      idleEndsAt: this.idleness.endsAt,
    });
  }

  setLabel(label: Label): void {
    this.#facts.label = label;
    if (this.idleness.isPinned && this.idleness.endsAt !== null) this.idleness.use();
    this.#options.onChange();
  }

  /** Somebody wants it to stay: that is use, and activity. */
  keep(): void {
    this.#active();
    this.#options.onChange();
  }

  /** Raw output from `from` on, at most `limit` bytes. @throws AppError `range_not_satisfiable` outside of what is kept */
  read(from: number, limit: number): { position: number; end: number; bytes: Buffer } {
    return this.#output.read(from, limit);
  }

  /** Attaches a viewer. @throws AppError `upgrade_required` for a client older than any revision */
  attach(attach: Attach, mode: Mode, sink: ViewerSink): Viewer {
    if (attach.revision < 1) throw new AppError('upgrade_required', 'This page is too old: load it again.');
    const viewer = new Viewer({ name: `v${++this.#viewerCount}`, mode, attach }, sink, this.#output);
    this.#audience.add(viewer);
    if (this.isEnded) this.#audience.stopDriving();
    this.#begin(viewer, attach);
    this.idleness.use();
    this.#viewersChanged();
    if (this.isEnded) this.#dismiss(viewer);
    return viewer;
  }

  /** A viewer has drawn everything up to a position. @throws AppError `bad_request` for one that was never sent */
  ack(viewer: Viewer, position: number): void {
    viewer.ack(position);
    this.#patience.look();
  }

  detach(viewer: Viewer): void {
    if (!this.#audience.remove(viewer)) return;
    this.#patience.look();
    this.#input.of(viewer.client); // remembered for 10 minutes from now
    if (this.isEnded) this.#trimUnwatched();
    this.idleness.use();
    this.#viewersChanged();
  }

  /** Writes what a viewer typed. @throws AppError for a hole in the sequence or too much unreceipted input */
  type(viewer: Viewer, inputSeq: number, data: Uint8Array): void {
    if (!this.#mayWrite(viewer) || !this.#life.isOpen) return;
    const input = this.#input.of(viewer.client);
    if (this.#input.accept(input, inputSeq, data.length) === 'repeated') {
      viewer.send({ event: 'receipt', inputSeq: input.written });
      return;
    }
    this.#takeKeyboard(viewer);
    viewer.skipIfBehind();
    this.#active();
    this.#options.vitals.bytesIn += data.length;
    this.#pty.write(data, () => {
      this.#input.wrote(input, inputSeq, data.length);
      this.#receipts.add(viewer.client, inputSeq);
    });
  }

  /** Carries out a control message other than `attach`. */
  control(viewer: Viewer, message: Exclude<Control, { op: 'attach' }>): void {
    switch (message.op) {
      case 'ping':
        viewer.send({ event: 'pong', t: message.t, gateway: 0, host: heldMs(message.at) });
        return;
      case 'resize':
        viewer.size = { cols: message.cols, rows: message.rows };
        viewer.look = { cell: message.cell ?? viewer.look.cell, colours: message.colours ?? viewer.look.colours };
        if (viewer === this.#audience.driver) this.#driven(viewer);
        this.#viewersChanged();
        return;
      case 'take':
        if (this.#mayWrite(viewer)) this.#takeKeyboard(viewer);
        return;
      case 'keep':
        if (this.#mayWrite(viewer)) this.keep();
        return;
      case 'signal':
        if (this.#mayWrite(viewer)) this.#tree.signalForeground(message.name);
        return;
    }
  }

  /** Ends the program and all that the session has started, also if it has ended by itself; resolves when they are gone. */
  async end(reason: EndReason): Promise<void> {
    if (this.#life.isOpen) this.#life.terminate(reason);
    this.#options.onChange();
    this.#output.resume();
    this.#patience.stop();
    await this.#tree.end();
    if (!this.isEnded) await new Promise<void>((resolve) => this.#endWaiters.push(resolve));
  }

  /** Lets go of every viewer: the session is gone. */
  dispose(): void {
    this.#resizer.stop();
    this.#patience.stop();
    this.#receipts.send();
    for (const viewer of this.#audience.all()) viewer.sink.close('not_found');
    this.#audience.clear();
    this.#output.dispose();
    this.#tree.release();
  }

  /** Gives back raw output that only slow or returning viewers would need, and says how much (bytes). */
  trim(): number {
    return this.#output.trim();
  }

  #received(chunk: Buffer): void {
    this.#active();
    this.#options.vitals.bytesOut += chunk.length;
    this.#output.append(chunk);
  }

  #active(): void {
    this.#facts.lastActivity = Date.now();
    this.idleness.use();
  }

  #hold(reason: 'screen' | 'viewers', isHeld: boolean): void {
    if (isHeld) this.#holds.add(reason);
    else this.#holds.delete(reason);
    if (this.#holds.size > 0) this.#pty.pause();
    else this.#pty.resume();
  }

  #flushed(): void {
    for (const viewer of this.#audience.all()) viewer.pump();
    this.#receipts.send();
    if (!this.#facts.exit) this.#patience.look();
    this.journal?.note();
    this.#options.onChange();
  }

  /** Until the program runs, the kernel shows the fork of this process and its directory. */
  #isRunning(): boolean {
    return !this.#facts.exit && (this.#output.ring.end > 0 || Date.now() - this.#facts.createdAt > START_MS);
  }

  #moved(path: string | null): void {
    if (path === null || path === this.#facts.cwd) return;
    this.#facts.cwd = path;
    this.#audience.send({ event: 'cwd', path });
  }

  #reply(text: string): void {
    if (this.#pty.queuedBytes < REPLY_QUEUE_MAX) this.#pty.write(Buffer.from(text), () => undefined);
  }

  #titled(text: string): void {
    this.#facts.title = text;
    this.#audience.send({ event: 'title', text });
  }

  #exited(code: number, signalNumber: number): void {
    if (this.#life.isOpen) this.#life.terminate('exited');
    this.#facts.exit = { code, signal: signalNumber, at: Date.now(), reason: this.#life.reason ?? 'exited' };
    this.#output.close();
  }

  #ended(): void {
    if (this.isEnded) return;
    this.#output.keepLast();
    this.#life.become('ended');
    const written =
      this.#facts.exit && this.journal?.end({ exit: this.#facts.exit, lastActivity: this.#facts.lastActivity });
    void written?.then(() => this.#trimUnwatched());
    this.#tree.release();
    this.#audience.stopDriving();
    this.#options.onEnd();
    this.#resizer.stop();
    for (const viewer of this.#audience.all()) this.#dismiss(viewer);
    for (const wake of this.#endWaiters) wake();
    this.#trimUnwatched();
  }

  #trimUnwatched(): void {
    if (this.#audience.size === 0) this.#output.trim();
  }

  #dismiss(viewer: Viewer): void {
    if (this.#facts.exit) dismiss(viewer, this.#facts.exit, () => this.#audience.has(viewer));
  }

  #begin(viewer: Viewer, attach: Attach): void {
    const { cursor } = attach;
    const input = this.#input.of(viewer.client);
    const canResume = cursor?.epoch === this.epoch && Viewer.canResume(this.#output, cursor.position) && !this.isEnded;
    const present = canResume ? null : this.#output.snapshot();
    viewer.send(
      this.#facts.attached(viewer, {
        revision: attach.revision,
        position: present?.snapshot.position ?? cursor?.position ?? 0,
        inputSeq: input.accepted,
        status: this.isEnded ? 'ended' : 'active',
        driver: this.#audience.driver?.name ?? null,
      }),
    );
    viewer.send({ event: 'receipt', inputSeq: input.written });
    viewer.send({ event: 'title', text: this.#facts.title });
    viewer.send({ event: 'cwd', path: this.#facts.cwd });
    if (!present) {
      viewer.resumeAt(cursor?.position ?? 0);
      viewer.pump();
      return;
    }
    if (cursor)
      viewer.send({ event: 'gap', from: cursor.position, to: Math.max(cursor.position, present.snapshot.position) });
    viewer.startWith(present);
  }

  #mayWrite(viewer: Viewer): boolean {
    // A replaced connection of the same client may still have frames on the way.
    if (!this.#audience.has(viewer)) return false;
    if (viewer.mode === 'write') return true;
    viewer.send({ event: 'error', code: 'forbidden', message: 'This window may only watch.' });
    return false;
  }

  #takeKeyboard(viewer: Viewer): void {
    if (this.#audience.typed(viewer)) this.#viewersChanged();
  }

  #driven(driver: Viewer): void {
    if (this.isEnded) return;
    this.#output.describe(driver.look);
    this.#resizer.want(driver.size);
  }

  #viewersChanged(): void {
    this.#audience.tell();
    this.#options.onChange();
  }

  /** False when nothing has changed. */
  #resize(size: Size): boolean {
    const { cols, rows } = this.#facts.size;
    if (this.isEnded || (size.cols === cols && size.rows === rows)) return false;
    this.#facts.size = size;
    this.#output.resize(size);
    this.#pty.resize(size);
    return true;
  }
}
