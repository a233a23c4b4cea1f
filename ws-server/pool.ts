/** The pty hosts of this node: found in the run directory or spawned, which sessions they have, and where new ones go. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '@/lib/config';
import type { Logger } from '@/lib/log';
import type { DirectoryRequest, Label, LiveSession, OpenRequest } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { Backend, type BackendContext, type PoolEvent } from './backend';
import { findHosts, type HostRecipe, hostPid, terminateHost } from './host-process';
import type { CallArgs, CallResult, Launch } from './link';

/** How long the start waits for the hosts of an earlier gateway (ms); who is later than this joins later. */
const DISCOVER_DEADLINE_MS = 3_000;
/** How long `list` waits for a host before its last known facts are good enough (ms). */
const LIST_DEADLINE_MS = 1_000;
/** How long a host may take to tell what it counts (ms). */
const BEAT_DEADLINE_MS = 1_000;
/** How long a viewer without a host waits for the gateway to reach that host again (ms). */
const SETTLE_DEADLINE_MS = 2_000;

type PoolConfig = BackendContext['config'] & Pick<Config, 'maxHosts' | 'roots'>;

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

/** Every host of the run directory. It keeps nothing that a new gateway could not ask the hosts for again. */
export class Pool {
  readonly #config: PoolConfig;
  readonly #recipe: HostRecipe;
  readonly #context: BackendContext;
  readonly #backends = new Set<Backend>();
  /** Ids of the sessions that are being opened. */
  readonly #opening = new Set<string>();
  readonly #listeners = new Set<(event: PoolEvent) => void>();

  constructor(options: { config: PoolConfig; recipe: HostRecipe; log: Logger }) {
    this.#config = options.config;
    this.#recipe = options.recipe;
    this.#context = {
      config: options.config,
      log: options.log,
      emit: (event) => {
        for (const listener of this.#listeners) listener(event);
      },
      onGivenUp: (backend) => this.#backends.delete(backend),
      onJoined: (backend) => void this.#endSuperseded(backend),
    };
  }

  /** Connects to every host that an earlier gateway left in the run directory. Once, before the gateway listens. */
  async discover(): Promise<void> {
    for (const address of findHosts(this.#config.runDir)) this.#backends.add(Backend.find(address, this.#context));
    const all = Promise.all([...this.#backends].map(({ ready }) => ready));
    await Promise.race([all, sleep(DISCOVER_DEADLINE_MS, null, { ref: false })]);
  }

  /** Whether every host of the run directory has said which sessions it has. */
  get isComplete(): boolean {
    return [...this.#backends].every(({ isKnown }) => isKnown);
  }

  get hostCount(): number {
    return this.#backends.size;
  }

  /** The pids of the hosts that run. */
  hostPids(): number[] {
    return [...this.#backends].flatMap(({ hostId }) => hostPid(this.#config.runDir, hostId) ?? []);
  }

  /** What every host counts, asked now; `beat` is null for one that does not answer in time. */
  async beats(): Promise<{ hostId: string; state: string; beat: CallResult<'beat'> | null }[]> {
    return Promise.all(
      [...this.#backends].map(async (backend) => {
        const beat = await backend.call('beat', {}, BEAT_DEADLINE_MS).catch(() => null);
        return { hostId: backend.hostId, state: beat ? 'ready' : 'unresponsive', beat };
      }),
    );
  }

  /** Listens to changes until the returned function is called. */
  subscribe(listener: (event: PoolEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What is known of every session, without asking. */
  sessions(): LiveSession[] {
    const newest = new Map<string, LiveSession>();
    for (const { sessions } of this.#backends) {
      for (const session of sessions.values()) {
        if (session.epoch > (newest.get(session.id)?.epoch ?? 0)) newest.set(session.id, session);
      }
    }
    return [...newest.values()];
  }

  /** Fresh facts of every session; of a host that does not answer in time, the last known. */
  async list(): Promise<LiveSession[]> {
    const asked = await Promise.allSettled(
      [...this.#backends].map(async (backend) => {
        const sessions = await backend.call('list', {}, LIST_DEADLINE_MS);
        for (const session of sessions) this.#refresh(backend, session);
      }),
    );
    for (const answer of asked) {
      if (answer.status === 'rejected')
        this.#context.log.warn({ err: answer.reason }, 'host did not list its sessions');
    }
    return this.sessions();
  }

  /** A session and the socket of its host, or null. */
  find(id: string): { session: LiveSession; socketPath: string } | null {
    const backend = this.#backendOf(id);
    const session = backend?.sessions.get(id);
    return backend && session ? { session, socketPath: backend.socketPath } : null;
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
  async anyHost(): Promise<Backend> {
    const backend = [...this.#backends].find(({ isUsable }) => isUsable) ?? this.#start();
    await backend.ready;
    return backend;
  }

  /** Lets a host check a directory with its own eyes; one is started if there is none. */
  async directory(request: DirectoryRequest): Promise<CallResult<'directory'>> {
    const backend = await this.anyHost();
    return backend.call('directory', { ...request, roots: this.#config.roots });
  }

  /** Opens a session on the fullest host with room, else on a new host. */
  async open(request: OpenRequest, launch: Launch): Promise<LiveSession> {
    if (this.#opening.has(request.id)) throw new AppError('conflict', `${request.id} is being opened.`);
    refuseOlder(request, this.find(request.id)?.session ?? null);
    this.#opening.add(request.id);
    const tried = new Set<Backend>();
    try {
      for (;;) {
        const backend = this.#place(tried);
        try {
          return await this.#openAt(backend, { ...request, launch, roots: this.#config.roots });
        } catch (error) {
          if (tried.size > 0 || !isWorthAnotherHost(error)) throw error;
          tried.add(backend);
          // A lost connection is no dead host: the session may run there, and must not run twice.
          const isSettled = await Promise.race([backend.ready.then(() => true), sleep(SETTLE_DEADLINE_MS, false)]);
          const opened = backend.sessions.get(request.id);
          if (opened?.epoch === request.epoch) return opened;
          if (!isSettled) throw error;
        }
      }
    } finally {
      this.#opening.delete(request.id);
    }
  }

  /** Tells every host to end its sessions and itself. */
  terminateHosts(): void {
    for (const { hostId } of this.#backends) terminateHost(this.#config.runDir, hostId);
  }

  /** Closes the connections; hosts and sessions stay. */
  close(): void {
    this.#listeners.clear();
    for (const backend of this.#backends) backend.close();
  }

  /** Ends what a host that joins late still runs though it was started again elsewhere. */
  async #endSuperseded(backend: Backend): Promise<void> {
    for (const { id, epoch } of [...backend.sessions.values()]) {
      if (epoch >= (this.#backendOf(id)?.sessions.get(id)?.epoch ?? 0)) continue;
      try {
        await backend.call('end', { id, epoch, forget: true });
      } catch (err) {
        this.#context.log.warn({ err, session: id, epoch }, 'a superseded session could not be ended');
      }
    }
  }

  /** Everything up to the first wait runs at once, so that the slot is taken before anybody else looks for one. */
  async #openAt(backend: Backend, args: CallArgs<'open'>): Promise<LiveSession> {
    backend.opening.add(args.id);
    try {
      await backend.ready;
      // The new incarnation replaces an older one; its own host takes over the last screen.
      const older = this.#backendOf(args.id);
      const isTakenOver = older === backend && older.sessions.get(args.id)?.exit !== null;
      if (older && !isTakenOver) await this.end(args.id);
      const session = await backend.call('open', args);
      if (isTakenOver) backend.forget(args.id, older.sessions.get(args.id)?.epoch ?? 0);
      backend.learn(session);
      return session;
    } finally {
      backend.opening.delete(args.id);
    }
  }

  #place(tried: Set<Backend>): Backend {
    let fullest: Backend | null = null;
    for (const backend of this.#backends) {
      if (tried.has(backend) || !backend.isUsable || backend.load >= backend.capacity) continue;
      if (!fullest || backend.load > fullest.load) fullest = backend;
    }
    return fullest ?? this.#start();
  }

  #start(): Backend {
    if (this.#backends.size >= this.#config.maxHosts) {
      const details = { hosts: this.#config.maxHosts, sessionsPerHost: this.#config.maxSessionsPerHost };
      throw new AppError('no_capacity', 'Every pty host of this node is full.', { details });
    }
    const backend = Backend.start(this.#recipe, this.#context);
    this.#backends.add(backend);
    return backend;
  }

  #backendOf(id: string): Backend | null {
    let newest: Backend | null = null;
    for (const backend of this.#backends) {
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
