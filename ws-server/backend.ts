/** One pty host as the gateway sees it: the connection that is kept to it, the sessions it has, and how it fares. */
import type { ChildProcess } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@/lib/log';
import type { LiveSession, PoolReply } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { VERSION } from '@/lib/protocol/version';
import { systemCode } from '@/lib/system-code';
import { Heartbeat, type HeartbeatTimes, type HostState } from './heartbeat';
import { HostLink, type HostListener } from './host-link';
import {
  type HostAddress,
  type HostRecipe,
  hostPid,
  removeHostSocket,
  type SpawnConfig,
  spawnHost,
  terminateHost,
} from './host-process';
import type { CallArgs, CallName, CallResult } from './link';
import { type Beat, Load } from './load';

/** How long a host that was just started may take to listen (ms), and how often we try. */
const START_DEADLINE_MS = 10_000;
const START_RETRY_MS = 10;
/** Between attempts to reach a host that is there and does not answer (ms), and one of a newer link, which is left alone. */
const RECONNECT_MS = 1_000;
const FOREIGN_RETRY_MS = 10_000;
/** A host that was heard within this time (ms) gets a session without being asked whether it answers, for so long (ms). */
const FRESH_MS = 1_000;
const PROBE_DEADLINE_MS = 700;

/** A change to what lives on this node. */
export type PoolEvent = { event: 'session'; session: LiveSession } | { event: 'gone'; id: string; epoch: number };

/** How a host stands, as the control API tells it. */
type BackendState = PoolReply['backends'][number]['state'];

/** What a backend needs of its pool. */
export type BackendContext = {
  config: SpawnConfig;
  times: HeartbeatTimes;
  log: Logger;
  emit(event: PoolEvent): void;
  /** The host is dead. `hasCrashed`: it did not end by itself, or did not come up. */
  onGivenUp(backend: Backend, hasCrashed: boolean): void;
  /** The host said which sessions it has. */
  onJoined(backend: Backend): void;
  onState(backend: Backend, state: HostState): void;
  /** A call was answered, or failed by the host's fault. */
  onCalled(hasFailed: boolean): void;
  /** Whether the host is to stay while it is empty. */
  isWanted(backend: Backend): boolean;
};

function isNobodyThere(error: unknown): boolean {
  return ['ECONNREFUSED', 'ENOENT'].includes(systemCode(error) ?? '');
}

/** Refusals are answers; silence, a lost connection and what nobody foresaw are not. */
function isHostsFault(error: unknown): boolean {
  return !(error instanceof AppError) || ['deadline_exceeded', 'sidecar_unavailable', 'internal'].includes(error.code);
}

/** A host process, its control connection, and the last known facts of its sessions. */
export class Backend {
  readonly hostId: string;
  readonly socketPath: string;
  readonly sessions = new Map<string, LiveSession>();
  /** Ids of the sessions that are being opened here: each holds a slot. */
  readonly opening = new Set<string>();
  readonly load = new Load();
  /** Whether the host can be used, once that is known. It never rejects. */
  ready: Promise<boolean>;
  capacity: number;
  readonly #context: BackendContext;
  /** The process while it starts. */
  #child: ChildProcess | null = null;
  #link: HostLink | null = null;
  #heartbeat: Heartbeat | null = null;
  #version = '';
  #pid: number | null = null;
  #failure: unknown = null;
  #isClosed = false;
  /** It missed a deadline and has not said anything since. */
  #isSilent = false;
  #heardAt = 0;
  #hasJoined = false;
  #isForeign = false;
  /** Started by this gateway, so that it is what a new host is now, whatever version its file has by now. */
  #isOwn = false;

  private constructor(address: HostAddress, context: BackendContext, isPatient: () => boolean) {
    this.hostId = address.hostId;
    this.socketPath = address.socketPath;
    this.capacity = context.config.maxSessionsPerHost;
    this.#context = context;
    this.ready = this.#dial(isPatient);
  }

  /** A host that an earlier gateway has left. */
  static find(address: HostAddress, context: BackendContext): Backend {
    const deadline = performance.now() + START_DEADLINE_MS;
    const { runDir } = context.config;
    // It may have been started just before: its process is there and its socket does not listen yet.
    const isStarting = () => hostPid(runDir, address.hostId) !== null && performance.now() < deadline;
    return new Backend(address, context, isStarting);
  }

  /** A new host. */
  static start(recipe: HostRecipe, context: BackendContext): Backend {
    const { child, ...address } = spawnHost(context.config, recipe);
    const deadline = performance.now() + START_DEADLINE_MS;
    let isAlive = true;
    child.on('error', (err) => {
      isAlive = false;
      context.log.error({ err }, 'host could not be started');
    });
    child.on('exit', (code, signal) => {
      isAlive = false;
      context.log.info({ hostId: address.hostId, code, signal }, 'host ended');
    });
    context.log.info({ hostId: address.hostId, hostPid: child.pid }, 'host started');
    const backend = new Backend(address, context, () => isAlive && performance.now() < deadline);
    backend.#child = child;
    backend.#isOwn = true;
    void backend.ready.then((isReady) => {
      backend.#child = null;
      if (!isReady && isAlive) child.kill('SIGKILL');
    });
    return backend;
  }

  get isReady(): boolean {
    return this.#link !== null;
  }

  /** Whether it can be called, now or as soon as it is `ready`: a host that stopped answering cannot. */
  get isUsable(): boolean {
    if (!this.#link) return this.#child !== null;
    return !this.#isSilent && this.silence === 'ok';
  }

  /** Whether its sessions are known: it has said them once, or has none yet. */
  get isKnown(): boolean {
    return this.#hasJoined || this.#child !== null;
  }

  /** Whether it speaks a newer link than this gateway, which leaves it and its sessions alone. */
  get isForeign(): boolean {
    return this.#isForeign;
  }

  /** Whether an earlier gateway of another version left it: it serves its sessions, takes no new ones, and ends when it is empty. */
  get isDraining(): boolean {
    return this.#hasJoined && !this.#isOwn && this.#version !== VERSION;
  }

  get state(): BackendState {
    if (!this.#link) return this.#child ? 'starting' : 'unresponsive';
    if (this.silence !== 'ok') return this.silence;
    return this.isDraining ? 'draining' : 'ready';
  }

  /** Whether it answers, as its viewers are told. */
  get silence(): HostState {
    return this.#heartbeat?.state ?? 'ok';
  }

  get version(): string {
    return this.#version;
  }

  /** The process, or null while it has not said which one it is. */
  get pid(): number | null {
    return this.#pid ?? this.#child?.pid ?? null;
  }

  /** Slots taken: live sessions, and those on their way. */
  get taken(): number {
    const taken = new Set(this.opening);
    for (const session of this.sessions.values()) if (!session.exit) taken.add(session.id);
    return taken.size;
  }

  /** Whether it has nothing: no session, none on its way, and no last screen of one. */
  get isEmpty(): boolean {
    return this.sessions.size === 0 && this.opening.size === 0;
  }

  /** A host with nothing to do is not busy: what its loop suffers is the machine's. */
  get isBusy(): boolean {
    return this.taken > 0 && this.load.isBusy;
  }

  get cpu(): number {
    return this.load.cpu;
  }

  /** Calls the host. @throws AppError `sidecar_unavailable` when it is not connected */
  async call<N extends CallName>(call: N, args: CallArgs<N>, deadlineMs?: number): Promise<CallResult<N>> {
    const link = this.#link;
    if (!link) throw new AppError('sidecar_unavailable', 'The pty host does not answer.', { cause: this.#failure });
    try {
      const result = await link.call(call, args, deadlineMs);
      this.#context.onCalled(false);
      return result;
    } catch (error) {
      if (error instanceof AppError && error.code === 'deadline_exceeded') this.#isSilent = true;
      this.#context.onCalled(isHostsFault(error));
      throw error;
    }
  }

  /** Whether it answers now. One that was not heard lately is asked, so that nobody waits long for a silent one. */
  async answers(): Promise<boolean> {
    if (!(await this.ready)) return false;
    if (performance.now() - this.#heardAt > FRESH_MS) await this.beat(PROBE_DEADLINE_MS);
    return this.isUsable;
  }

  /**
   * Asks the host for its figures, and an older one for anything it knows: it is the answering that counts. Null when it does
   * not answer in time, or has none.
   */
  async beat(deadlineMs: number): Promise<Beat | null> {
    try {
      if (!this.#link?.knows('beat')) {
        await this.call('list', {}, deadlineMs);
        return null;
      }
      const beat = await this.call('beat', { keep: this.#context.isWanted(this) }, deadlineMs);
      this.load.note(beat, performance.now());
      return beat;
    } catch (err) {
      this.#context.log.debug({ hostId: this.hostId, err }, 'no beat');
      return null;
    }
  }

  /** Takes in a session's facts from an answer to a call. */
  learn(session: LiveSession): void {
    this.sessions.set(session.id, session);
    this.#context.emit({ event: 'session', session });
  }

  /** Forgets a session, once: for every session that was known there is one `gone`. */
  forget(id: string, epoch: number): void {
    if (this.sessions.get(id)?.epoch !== epoch) return;
    this.sessions.delete(id);
    this.#context.emit({ event: 'gone', id, epoch });
  }

  /** Tells the host to end its sessions and itself; one of a newer link is left alone. */
  terminate(): void {
    if (this.#isForeign) return;
    if (this.#child) this.#child.kill('SIGTERM');
    else terminateHost(this.#context.config.runDir, this.hostId);
  }

  /** Closes the connection; the host goes on. */
  close(): void {
    this.#isClosed = true;
    this.#heartbeat?.stop();
    this.#link?.close();
  }

  async #dial(isPatient: () => boolean): Promise<boolean> {
    for (let attempts = 0; !this.#isClosed; attempts++) {
      try {
        await HostLink.connect(this.socketPath, this.#listener());
        return true;
      } catch (error) {
        this.#failure = error;
        if (isNobodyThere(error)) {
          if (!isPatient()) return this.#giveUp();
          await sleep(START_RETRY_MS);
          continue;
        }
        if (error instanceof AppError && error.code === 'upgrade_required') return this.#leaveAlone(error.message);
        this.#context.log.warn({ hostId: this.hostId, err: error }, 'host does not answer');
        // A host that is being killed may still take one connection.
        await sleep(attempts === 0 ? START_RETRY_MS : RECONNECT_MS);
      }
    }
    return false;
  }

  #giveUp(): false {
    // A host that ends by itself takes its socket with it. What lay there before it ever answered is no crash of now.
    const hasCrashed = this.#hasJoined ? systemCode(this.#failure) === 'ECONNREFUSED' : this.#child !== null;
    this.#context.log[hasCrashed ? 'error' : 'info']({ hostId: this.hostId, hasCrashed }, 'host is gone');
    this.#child = null;
    this.#heartbeat?.stop();
    removeHostSocket(this.#context.config.runDir, this.hostId);
    this.#context.onGivenUp(this, hasCrashed);
    for (const { id, epoch } of [...this.sessions.values()]) this.forget(id, epoch);
    return false;
  }

  /** Its sessions stay unknown until it ends, or until a newer gateway comes. */
  #leaveAlone(reason: string): false {
    if (this.#child) return this.#giveUp(); // our own start, and of no use
    if (!this.#isForeign) this.#context.log.warn({ hostId: this.hostId, reason }, 'newer host left alone');
    this.#isForeign = true;
    setTimeout(() => {
      if (!this.#isClosed) this.ready = this.#dial(() => false);
    }, FOREIGN_RETRY_MS).unref();
    return false;
  }

  #listener(): HostListener {
    return {
      onHello: (link, hello) => {
        this.#link = link;
        this.#version = hello.version;
        this.#hasJoined = true;
        this.#isForeign = false;
        this.capacity = hello.capacity;
        this.#pid = hello.pid;
        this.#heard();
        const kept = new Set(hello.sessions.map(({ id }) => id));
        for (const { id, epoch } of [...this.sessions.values()]) if (!kept.has(id)) this.forget(id, epoch);
        for (const session of hello.sessions) this.learn(session);
        this.#heartbeat ??= this.#startHeartbeat();
        this.#context.onJoined(this);
      },
      onChange: (change) => {
        if (change.link === 'session') this.learn(change.session);
        else this.forget(change.id, change.epoch);
      },
      onHeard: () => this.#heard(),
      onLost: () => {
        this.#link = null;
        if (!this.#isClosed) this.ready = this.#dial(() => false);
      },
    };
  }

  /** It goes on while a lost connection is made anew: a host that says no hello is silent as well. */
  #startHeartbeat(): Heartbeat {
    const { times } = this.#context;
    return new Heartbeat({
      times,
      beat: () => void this.beat(times.beatMs),
      onState: (state) => this.#context.onState(this, state),
    });
  }

  #heard(): void {
    this.#heardAt = performance.now();
    this.#isSilent = false;
    this.#heartbeat?.heard();
  }
}
