/** The browser's connection to a session: attaches, resumes at its cursor, and delivers input at most once. */
import { SNAPSHOT_BYTES_MAX } from '@/lib/protocol/limits';
import {
  type AttachedEvent,
  type CellSize,
  type Colours,
  type Control,
  type Event,
  encodeAck,
  type Mode,
  type SignalName,
  type Size,
  type ViewerFrame,
  WIRE_REVISION,
} from '@/lib/protocol/wire';
import { type ConnectionFacts, type Exit, factsOf, initialFacts } from './facts';
import { Feed, type TerminalSink } from './feed';
import { InputQueue } from './input';
import { LatencyMeter } from './latency';
import { type Failure, Link, type SocketConstructor, type Ticket } from './link';
import { Retry } from './retry';

/** Output is ACKed after this many bytes, and less of it when nothing is left to parse, but not again so soon (ms). */
const ACK_BYTES = 32 * 1024;
const ACK_PAUSE_MS = 100;
/** Output that may wait for the terminal; more means that the host ignores the window. */
const PENDING_BYTES_MAX = 2 * SNAPSHOT_BYTES_MAX;
/** Input is sent again after a break of this length at most (ms). */
const RESEND_MAX_MS = 10_000;
/** A connection that held this long starts its back-off anew (ms). */
const STABLE_MS = 5_000;
/** An attempt that runs longer than this when the network comes back began without it, and is made anew (ms). */
const WAKE_PATIENCE_MS = 1_000;
/** Unsent text is shown up to this length (bytes). */
const UNSENT_SHOWN_BYTES = 2_000;

/** What the viewer's terminal looks like. */
export type ViewerLook = { size: Size; cell?: CellSize | undefined; colours?: Colours | undefined };

export type ConnectionOptions = ViewerLook & {
  mode: Mode;
  /** Fetches a fresh ticket; a rejection with a `code` of the error table is treated like a close with that code. */
  getTicket(): Promise<Ticket>;
  sink: TerminalSink;
  /** The WebSocket to use; the global one by default. */
  webSocket?: SocketConstructor;
  random?: () => number;
};

function newClientId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function resizeMessage({ size, ...look }: ViewerLook): Control {
  return { op: 'resize', ...size, ...look };
}

/** A plain state machine; views subscribe to its facts, and the terminal is fed through `sink`. */
export class TerminalConnection {
  readonly #options: ConnectionOptions;
  readonly #client = newClientId();
  readonly #input = new InputQueue();
  readonly #feed: Feed;
  readonly #retry: Retry;
  readonly #listeners = new Set<() => void>();
  #facts: ConnectionFacts;
  #look: ViewerLook;
  /** The look that the host knows, as JSON. */
  #sentLook = '';
  #link: Link | null = null;
  /** Whether the last attach found the epoch of the one before. */
  #isSameStream = true;
  #ackedPosition = 0;
  #ackedAt = Number.NEGATIVE_INFINITY;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  #meter = new LatencyMeter();
  /** The network or the page came back during the attempt that runs now: if it fails, the next one follows at once. */
  #isWoken = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #exit: Exit | null = null;
  #brokenAt = performance.now();
  /** When the oldest input was sent that nothing has been heard after. */
  #unansweredAt: number | null = null;
  #isStarted = false;
  #isClosed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#look = { size: options.size, cell: options.cell, colours: options.colours };
    this.#retry = new Retry(options.random ?? Math.random);
    this.#feed = new Feed(options.sink, (size) => this.#patch({ size }));
    this.#facts = initialFacts(options.size);
  }

  /** Calls `listener` after each change of the facts, until the returned function is called. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The facts; the same object until something changes. */
  readonly getSnapshot = (): ConnectionFacts => this.#facts;

  /** The stream position that the terminal shows, or null before the first snapshot is parsed. */
  get parsedPosition(): number | null {
    return this.#feed.parsed;
  }

  /** Connects for the first time; later calls do nothing. */
  connect(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.reconnectNow();
  }

  /** Connects, also from `ended` and `failed`; does nothing while a connection is there or under way. */
  reconnectNow(): void {
    if (this.#link || this.#isClosed) return;
    this.#retry.reset();
    this.#begin();
  }

  /** Web says that the gateway is there again: connects soon, with the others that wait for it. */
  gatewayIsBack(): void {
    if (this.#facts.state.kind === 'waiting') this.#beginIn(this.#retry.onReturn());
    else this.wake();
  }

  /** The network or the page came back: connects at once, or asks the host whether it is still there. */
  wake(): void {
    const link = this.#link;
    if (this.#facts.state.kind === 'waiting') {
      this.#begin();
    } else if (link?.attachedAt === null) {
      if (performance.now() - link.startedAt < WAKE_PATIENCE_MS) {
        this.#isWoken = true;
        return;
      }
      link.stop();
      this.#begin();
    } else {
      link?.probe();
    }
  }

  /** Ends the connection for good. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#ackTimer);
    this.#link?.stop();
    this.#link = null;
    this.#listeners.clear();
  }

  /** Sends typed bytes, now or when the connection is back. Returns false, mostly with a notice, when they are not taken. */
  input(data: Uint8Array): boolean {
    const { kind } = this.#facts.state;
    if (this.#options.mode === 'read' || kind === 'ended' || kind === 'failed') return false;
    if (!this.#input.add(data, kind === 'live')) {
      const message = 'Too much input is waiting: the last of it was not taken.';
      this.#patch({ notice: { code: 'payload_too_large', message } });
      return false;
    }
    this.#sendInput();
    return true;
  }

  /** Tells the host what fits here; the size applies when this viewer drives. */
  setLook(look: ViewerLook): void {
    this.#look = look;
    this.#sendLook();
  }

  /** Makes this viewer the one that sets the size. */
  take(): void {
    this.#control({ op: 'take' });
  }

  /** Keeps an idle session from being ended. */
  keep(): void {
    this.#control({ op: 'keep' });
    this.#patch({ idleEndsAt: null });
  }

  /** Signals the session's foreground job. */
  signal(name: SignalName): void {
    this.#control({ op: 'signal', name });
  }

  /** Sends what was kept back after a break. */
  sendUnsent(): void {
    this.#input.sendUnsent();
    this.#patch({ unsent: null });
    this.#sendInput();
  }

  /** Forgets what was kept back after a break. */
  discardUnsent(): void {
    this.#input.discardUnsent();
    this.#patch({ unsent: null });
  }

  /** The user has seen that output was skipped. */
  dismissGap(): void {
    this.#patch({ skippedBytes: 0 });
  }

  /** The user has seen the notice. */
  dismissNotice(): void {
    this.#patch({ notice: null });
  }

  #patch(change: Partial<ConnectionFacts>): void {
    this.#facts = { ...this.#facts, ...change };
    for (const listener of this.#listeners) listener();
  }

  #beginIn(delayMs: number): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#begin(), delayMs);
  }

  #begin(): void {
    clearTimeout(this.#retryTimer);
    this.#exit = null;
    this.#isWoken = false;
    const link = new Link(this.#options.getTicket(), this.#options.webSocket ?? WebSocket, {
      onOpen: () => this.#attach(link),
      onFrame: (frame) => this.#receive(link, frame),
      onLost: (failure) => this.#lost(link, failure),
    });
    this.#link = link;
    this.#patch({ state: { kind: 'connecting' } });
  }

  #attach(link: Link): void {
    const { epoch } = this.#facts;
    const position = this.#feed.received;
    const { size, ...look } = this.#look;
    this.#sentLook = JSON.stringify(this.#look);
    link.control({
      op: 'attach',
      revision: WIRE_REVISION,
      client: this.#client,
      cursor: epoch === null || position === null ? null : { epoch, position },
      ...size,
      ...look,
    });
  }

  #receive(link: Link, frame: ViewerFrame): void {
    // What the gateway says of a silent host is no word of the host.
    if (frame.type !== 'event' || frame.message.event !== 'host') this.#unansweredAt = null;
    if (frame.type === 'event') {
      this.#event(link, frame.message);
    } else if (link.attachedAt === null) {
      this.#startOver(link, `The server sent ${frame.type} before attached.`);
    } else if (frame.type === 'snapshot') {
      const { position, cols, rows, data } = frame;
      this.#feed.snapshot({ position, size: { cols, rows }, data }, () => this.#ack(link, position));
    } else {
      const arrivedAt = performance.now();
      const isTaken = this.#feed.output(frame.position, frame.data, (position) => {
        this.#meter.drawn(performance.now() - arrivedAt);
        if (position - this.#ackedPosition >= ACK_BYTES) this.#ack(link, position);
        else if (this.#feed.pendingBytes === 0) this.#ackSoon(link, position);
      });
      if (!isTaken) this.#startOver(link, 'Output is missing.');
      else if (this.#feed.pendingBytes > PENDING_BYTES_MAX) this.#startOver(link, 'The server sent too much.');
    }
  }

  #event(link: Link, event: Event): void {
    switch (event.event) {
      case 'attached':
        this.#attached(link, event);
        return;
      case 'gap':
        // A new epoch starts at 0: nothing of it was missed.
        if (this.#isSameStream) this.#patch({ skippedBytes: this.#facts.skippedBytes + event.to - event.from });
        return;
      case 'resized':
        this.#feed.resized({ cols: event.cols, rows: event.rows }, event.position);
        return;
      case 'receipt':
        this.#input.receipt(event.inputSeq);
        this.#sendInput();
        return;
      case 'pong':
        this.#patch(this.#meter.pong(event, performance.now()));
        if (event.sockets !== undefined) this.#retry.share(event.sockets);
        return;
      case 'exit':
        this.#exit = { code: event.code, signal: event.signal, reason: event.reason };
        return;
      default:
        this.#patch(factsOf(event));
    }
  }

  #attached(link: Link, event: AttachedEvent): void {
    link.attached();
    this.#meter = new LatencyMeter();
    this.#ackedPosition = event.position;
    this.#isSameStream = this.#facts.epoch === null || this.#facts.epoch === event.epoch;
    // Positions of another epoch mean other bytes.
    if (!this.#isSameStream) this.#feed.forget();
    this.#input.resume({
      inputSeq: event.inputSeq,
      isSameStream: this.#isSameStream,
      mayResend: performance.now() - this.#brokenAt <= RESEND_MAX_MS,
    });
    const unsent = this.#input.unsent;
    this.#patch({
      // An ended session shows its last screen and closes: it is never live.
      ...(event.status === 'active' && { state: { kind: 'live' } }),
      epoch: event.epoch,
      viewer: event.viewer,
      driver: event.driver,
      idleEndsAt: null,
      host: 'ok',
      unsent: unsent && {
        bytes: unsent.length,
        text: new TextDecoder().decode(unsent.subarray(0, UNSENT_SHOWN_BYTES)),
      },
    });
    this.#sendLook();
    this.#sendInput();
  }

  #ack(link: Link, position: number): void {
    // What an earlier link brought needs no ACK on this one, and may be of another epoch.
    if (this.#link !== link) return;
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#ackedPosition = position;
    this.#ackedAt = performance.now();
    link.send(encodeAck(position));
  }

  /** ACKs at once after a pause, and else what is parsed at its end: an ACK for each line costs every process on the way. */
  #ackSoon(link: Link, position: number): void {
    const waitMs = this.#ackedAt + ACK_PAUSE_MS - performance.now();
    if (waitMs <= 0) this.#ack(link, position);
    else this.#ackTimer ??= setTimeout(() => this.#ack(link, this.#feed.parsed ?? this.#ackedPosition), waitMs);
  }

  #sendInput(): void {
    const link = this.#link;
    if (this.#facts.state.kind !== 'live' || !link?.isOpen) return;
    for (let frame = this.#input.next(); frame; frame = this.#input.next()) {
      link.send(frame);
      this.#unansweredAt ??= performance.now();
    }
  }

  #sendLook(): void {
    const look = JSON.stringify(this.#look);
    if (look === this.#sentLook || this.#facts.state.kind !== 'live') return;
    this.#sentLook = look;
    this.#control(resizeMessage(this.#look));
  }

  #control(message: Control): void {
    if (this.#options.mode === 'write' && this.#facts.state.kind === 'live') this.#link?.control(message);
  }

  /** The stream cannot be continued: attaches again, without a cursor. */
  #startOver(link: Link, message: string): void {
    this.#feed.forget();
    link.fail(message);
  }

  #lost(link: Link, failure: Failure): void {
    this.#link = null;
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (link.attachedAt !== null) {
      const now = performance.now();
      this.#brokenAt = this.#unansweredAt ?? now;
      this.#unansweredAt = null;
      if (now - link.attachedAt >= STABLE_MS) this.#retry.reset();
    }
    if (this.#exit || failure.code === 'session_ended') {
      this.#patch({ state: { kind: 'ended', exit: this.#exit } });
      return;
    }
    const { action, message, isRestart } = failure;
    const dueMs = this.#retry.next(action, isRestart);
    const delayMs = dueMs !== null && this.#isWoken ? 0 : dueMs;
    if (delayMs === null) {
      this.#patch({ state: { kind: 'failed', code: failure.code ?? 'internal', action, message } });
      return;
    }
    const retryAt = Date.now() + delayMs;
    this.#patch({ state: { kind: 'waiting', retryAt, attempt: this.#retry.failures, reason: message } });
    this.#beginIn(delayMs);
  }
}
