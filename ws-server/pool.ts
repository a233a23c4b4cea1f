/** The sessions of this node, on whichever pty host they live. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '@/lib/config';
import type { Logger } from '@/lib/log';
import type { DirectoryRequest, Label, LiveSession, OpenRequest } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import type { Backend, PoolEvent } from './backend';
import { BackendPool, type BackendPoolConfig } from './backend-pool';
import type { HeartbeatTimes } from './heartbeat';
import type { HostRecipe } from './host-process';
import { refuseBeyondLimits, type SessionLimits } from './limits';
import type { CallArgs, CallResult, Launch } from './link';

/** How long `list` waits for a host before its last known facts are good enough (ms). */
const LIST_DEADLINE_MS = 700;
/** How long a viewer without a host waits for the gateway to reach that host again (ms). */
const SETTLE_DEADLINE_MS = 2_000;
/** How long a host may take to give memory back (ms): ending a session has a grace period. */
const SHED_DEADLINE_MS = 10_000;

type PoolConfig = BackendPoolConfig & SessionLimits & Pick<Config, 'roots'>;

/** `times` are those of the heartbeat. */
export type PoolOptions = { config: PoolConfig; recipe: HostRecipe; log: Logger; times?: HeartbeatTimes };

/** Another host may take what this one could not: it was full, or it died before it answered. */
function isWorthAnotherHost(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'no_capacity' || error.code === 'sidecar_unavailable');
}

function refuseOlder(request: OpenRequest, existing: LiveSession | null): void {
  if (!existing || request.epoch > existing.epoch) return;
  if (request.epoch === existing.epoch) throw new AppError('conflict', `${request.id} is already there.`);
  const message = `${request.id} has epoch ${existing.epoch}; ${request.epoch} is superseded.`;
  throw new AppError('epoch_superseded', message, { details: { epoch: existing.epoch } });
}

/** Calls of the control API, each carried out by the host that has the session. */
export class Pool {
  readonly hosts: BackendPool;
  readonly #roots: string[];
  readonly #limits: SessionLimits;
  readonly #log: Logger;
  /** Ids of the sessions that are being opened. */
  readonly #opening = new Set<string>();
  readonly #listeners = new Set<(event: PoolEvent) => void>();

  constructor({ config, recipe, log, times }: PoolOptions) {
    this.#roots = config.roots;
    this.#limits = config;
    this.#log = log;
    const listener = {
      emit: (event: PoolEvent) => {
        for (const each of this.#listeners) each(event);
      },
      onJoined: (backend: Backend) => void this.#endSuperseded(backend),
    };
    this.hosts = new BackendPool({ config, recipe, log, times, listener });
  }

  /** Connects to every host that an earlier gateway left in the run directory. Once, before the gateway listens. */
  discover(): Promise<void> {
    return this.hosts.discover();
  }

  /** Whether every host of the run directory has said which sessions it has. */
  get isComplete(): boolean {
    return this.hosts.isComplete;
  }

  /** Listens to changes until the returned function is called. */
  subscribe(listener: (event: PoolEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What is known of every session, without asking. */
  sessions(): LiveSession[] {
    const newest = new Map<string, LiveSession>();
    for (const { sessions } of this.hosts.all()) {
      for (const session of sessions.values()) {
        if (session.epoch > (newest.get(session.id)?.epoch ?? 0)) newest.set(session.id, session);
      }
    }
    return [...newest.values()];
  }

  /** Fresh facts of every session; of a host that does not answer in time, the last known. */
  async list(): Promise<LiveSession[]> {
    const asked = await Promise.allSettled(
      this.hosts.all().map(async (backend) => {
        const sessions = await backend.call('list', {}, LIST_DEADLINE_MS);
        for (const session of sessions) this.#refresh(backend, session);
      }),
    );
    for (const answer of asked) {
      if (answer.status === 'rejected') this.#log.warn({ err: answer.reason }, 'host did not list its sessions');
    }
    return this.sessions();
  }

  /** A session and its host, or null. */
  find(id: string): { session: LiveSession; host: Backend } | null {
    const host = this.#backendOf(id);
    const session = host?.sessions.get(id);
    return host && session ? { session, host } : null;
  }

  /** Whether a session whose host was lost to a viewer still lives; the host itself is asked. */
  async lives(id: string): Promise<boolean> {
    const backend = this.#backendOf(id);
    if (!backend) return false;
    const answer = backend.call('list', {}, LIST_DEADLINE_MS).then(
      () => true,
      () => false,
    );
    if (!(await answer)) await Promise.race([backend.ready, sleep(SETTLE_DEADLINE_MS, null, { ref: false })]);
    return this.find(id) !== null;
  }

  /** Fresh facts of one session. */
  async look(id: string): Promise<LiveSession> {
    const { backend, at } = this.#locate(id);
    return this.#refresh(backend, await backend.call('look', at));
  }

  async label(id: string, label: Label): Promise<LiveSession> {
    const { backend, at } = this.#locate(id);
    return this.#refresh(backend, await backend.call('label', { ...at, label }));
  }

  /** Counts as use of a session, so that it does not end for being idle. */
  async keep(id: string): Promise<LiveSession> {
    const { backend, at } = this.#locate(id);
    return this.#refresh(backend, await backend.call('keep', at));
  }

  /** Has every host that answers give memory back; `ids` go to the hosts that have them, in their order. */
  async shed({ stage, ids }: CallArgs<'shed'>): Promise<CallResult<'shed'>> {
    const calls = this.hosts.all().flatMap((backend) => {
      const own = ids.filter((id) => backend.sessions.has(id));
      const isMeant = backend.isUsable && (ids.length === 0 || own.length > 0);
      return isMeant ? [backend.call('shed', { stage, ids: own }, SHED_DEADLINE_MS)] : [];
    });
    const answers = await Promise.allSettled(calls);
    const sum: CallResult<'shed'> = { freedBytes: 0, bare: [], ended: [] };
    for (const answer of answers) {
      if (answer.status === 'rejected') {
        this.#log.warn({ err: answer.reason, stage }, 'a host gave no memory back');
        continue;
      }
      sum.freedBytes += answer.value.freedBytes;
      sum.bare.push(...answer.value.bare);
      sum.ended.push(...answer.value.ended);
    }
    return sum;
  }

  /** Ends a session and forgets its last screen; answers when its process is gone. */
  async end(id: string): Promise<LiveSession> {
    const { backend, at } = this.#locate(id);
    const session = await backend.call('end', { ...at, forget: true });
    backend.forget(at.id, at.epoch);
    return session;
  }

  /** The host that has a session, living or ended. */
  hostOf(id: string): Backend | null {
    return this.#backendOf(id);
  }

  /** Any host that can be called; one is started if there is none. */
  anyHost(): Promise<Backend> {
    return this.hosts.any();
  }

  /** Lets a host check a directory with its own eyes; one is started if there is none. */
  async directory(request: DirectoryRequest): Promise<CallResult<'directory'>> {
    const backend = await this.anyHost();
    return backend.call('directory', { ...request, roots: this.#roots });
  }

  /** Opens a session on a host of the pool's choice; on another when that one is full or dies meanwhile. */
  async open(request: OpenRequest, launch: Launch): Promise<LiveSession> {
    if (this.#opening.has(request.id)) throw new AppError('conflict', `${request.id} is being opened.`);
    refuseOlder(request, this.find(request.id)?.session ?? null);
    refuseBeyondLimits(this.#limits, this.#taken());
    this.#opening.add(request.id);
    const tried = new Set<Backend>();
    let refusal: unknown = null;
    try {
      for (;;) {
        const backend = await this.hosts.acquire(request.id, tried).catch((error: unknown) => {
          throw refusal ?? error; // without another host, what the first one said is the better reason
        });
        try {
          return await this.#openAt(backend, { ...request, launch, roots: this.#roots });
        } catch (error) {
          if (!isWorthAnotherHost(error)) throw error;
          refusal = error;
          tried.add(backend);
          // A lost connection is no dead host: the session may run there, and must not run twice.
          const isSettled = await Promise.race([backend.ready.then(() => true), sleep(SETTLE_DEADLINE_MS, false)]);
          const opened = backend.sessions.get(request.id);
          if (opened?.epoch === request.epoch) return opened;
          if (!isSettled) throw error;
        } finally {
          this.hosts.release(backend, request.id);
        }
      }
    } finally {
      this.#opening.delete(request.id);
    }
  }

  /** How many sessions live or are on their way. */
  #taken(): number {
    const living = this.sessions().filter(({ exit }) => !exit);
    return new Set([...this.#opening, ...living.map(({ id }) => id)]).size;
  }

  /** Closes the connections; hosts and sessions stay. */
  close(): void {
    this.#listeners.clear();
    this.hosts.close();
  }

  /** Ends what a host that joins late still runs though it was started again elsewhere. */
  async #endSuperseded(backend: Backend): Promise<void> {
    for (const { id, epoch } of [...backend.sessions.values()]) {
      if (epoch >= (this.#backendOf(id)?.sessions.get(id)?.epoch ?? 0)) continue;
      try {
        await backend.call('end', { id, epoch, forget: true });
      } catch (err) {
        this.#log.warn({ err, session: id, epoch }, 'a superseded session could not be ended');
      }
    }
  }

  async #openAt(backend: Backend, args: CallArgs<'open'>): Promise<LiveSession> {
    // The new incarnation replaces an older one; its own host takes over the last screen.
    const older = this.#backendOf(args.id);
    const isTakenOver = older === backend && older.sessions.get(args.id)?.exit !== null;
    if (older && !isTakenOver) await this.end(args.id);
    const session = await backend.call('open', args);
    if (isTakenOver) backend.forget(args.id, older.sessions.get(args.id)?.epoch ?? 0);
    backend.learn(session);
    return session;
  }

  #backendOf(id: string): Backend | null {
    let newest: Backend | null = null;
    for (const backend of this.hosts.all()) {
      const epoch = backend.sessions.get(id)?.epoch ?? 0;
      if (epoch > (newest?.sessions.get(id)?.epoch ?? 0)) newest = backend;
    }
    return newest;
  }

  #locate(id: string): { backend: Backend; at: { id: string; epoch: number } } {
    const backend = this.#backendOf(id);
    const session = backend?.sessions.get(id);
    if (!backend || !session) throw new AppError('not_found', 'There is no such session.');
    return { backend, at: { id, epoch: session.epoch } };
  }

  /** Keeps an answer's facts unless the session was forgotten, or replaced, while the host answered. */
  #refresh(backend: Backend, session: LiveSession): LiveSession {
    if (backend.sessions.get(session.id)?.epoch === session.epoch) backend.sessions.set(session.id, session);
    return session;
  }
}
