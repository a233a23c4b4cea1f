/** One pty host as the gateway sees it: the connection that is kept to it, the sessions it has, the slots it has left. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@/lib/log';
import type { LiveSession } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { HostLink, type HostListener } from './host-link';
import {
  type HostAddress,
  type HostRecipe,
  hostPid,
  removeHostFiles,
  type SpawnConfig,
  spawnHost,
} from './host-process';
import type { CallArgs, CallName, CallResult } from './link';

/** How long a host that was just started may take to listen (ms), and how often we try. */
const START_DEADLINE_MS = 10_000;
const START_RETRY_MS = 10;
/** Between attempts to reach a host that is there and does not answer (ms). */
const RECONNECT_MS = 1_000;

/** A change to what lives on this node. */
export type PoolEvent = { event: 'session'; session: LiveSession } | { event: 'gone'; id: string; epoch: number };

/** What a backend needs of its pool. */
export type BackendContext = {
  config: SpawnConfig;
  log: Logger;
  emit(event: PoolEvent): void;
  /** The host is dead, or cannot be used. */
  onGivenUp(backend: Backend): void;
  /** The host said which sessions it has. */
  onJoined(backend: Backend): void;
};

function isNobodyThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT');
}

/** A host process, its control connection, and the last known facts of its sessions. */
export class Backend {
  readonly hostId: string;
  readonly socketPath: string;
  readonly sessions = new Map<string, LiveSession>();
  /** Ids of the sessions that are being opened here: each holds a slot. */
  readonly opening = new Set<string>();
  /** Whether the host can be used, once that is known. It never rejects. */
  ready: Promise<boolean>;
  capacity: number;
  readonly #context: BackendContext;
  #link: HostLink | null = null;
  #isStarting = false;
  #failure: unknown = null;
  #isClosed = false;
  /** It missed a deadline and has not answered since. */
  #isSilent = false;
  #hasJoined = false;

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
    backend.#isStarting = true;
    void backend.ready.then((isReady) => {
      backend.#isStarting = false;
      if (!isReady && isAlive) child.kill('SIGKILL');
    });
    return backend;
  }

  /** Whether it can be called, now or as soon as it is `ready`: a host that stopped answering cannot. */
  get isUsable(): boolean {
    return this.#link ? !this.#isSilent : this.#isStarting;
  }

  /** Whether its sessions are known: it has said them once, or has none yet. */
  get isKnown(): boolean {
    return this.#hasJoined || this.#isStarting;
  }

  /** Slots taken: live sessions, and those on their way. */
  get load(): number {
    const taken = new Set(this.opening);
    for (const session of this.sessions.values()) if (!session.exit) taken.add(session.id);
    return taken.size;
  }

  /** Calls the host. @throws AppError `sidecar_unavailable` when it is not connected */
  async call<N extends CallName>(call: N, args: CallArgs<N>, deadlineMs?: number): Promise<CallResult<N>> {
    if (this.#link) {
      try {
        const result = await this.#link.call(call, args, deadlineMs);
        this.#isSilent = false;
        return result;
      } catch (error) {
        this.#isSilent = error instanceof AppError && error.code === 'deadline_exceeded';
        throw error;
      }
    }
    throw new AppError('sidecar_unavailable', 'The pty host does not answer.', { cause: this.#failure });
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

  /** Closes the connection; the host goes on. */
  close(): void {
    this.#isClosed = true;
    this.#link?.close();
  }

  async #dial(isPatient: () => boolean): Promise<boolean> {
    while (!this.#isClosed) {
      try {
        await HostLink.connect(this.socketPath, this.#listener());
        return true;
      } catch (error) {
        this.#failure = error;
        if (isNobodyThere(error)) {
          if (!isPatient()) return this.#giveUp('nobody listens');
          await sleep(START_RETRY_MS);
          continue;
        }
        if (error instanceof AppError && error.code === 'upgrade_required') return this.#giveUp(error.message);
        this.#context.log.warn({ hostId: this.hostId, err: error }, 'host does not answer');
        await sleep(RECONNECT_MS);
      }
    }
    return false;
  }

  #giveUp(reason: string): false {
    this.#context.log.info({ hostId: this.hostId, reason }, 'host given up');
    if (isNobodyThere(this.#failure)) removeHostFiles(this.#context.config.runDir, this.hostId);
    this.#context.onGivenUp(this);
    for (const { id, epoch } of [...this.sessions.values()]) this.forget(id, epoch);
    return false;
  }

  #listener(): HostListener {
    return {
      onHello: (link, hello) => {
        this.#link = link;
        this.#hasJoined = true;
        this.#isSilent = false;
        this.capacity = hello.capacity;
        const kept = new Set(hello.sessions.map(({ id }) => id));
        for (const { id, epoch } of [...this.sessions.values()]) if (!kept.has(id)) this.forget(id, epoch);
        for (const session of hello.sessions) this.learn(session);
        this.#context.onJoined(this);
      },
      onChange: (change) => {
        if (change.link === 'session') this.learn(change.session);
        else this.forget(change.id, change.epoch);
      },
      onLost: () => {
        this.#link = null;
        if (!this.#isClosed) this.ready = this.#dial(() => false);
      },
    };
  }
}
