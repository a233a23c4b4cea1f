/** The pty hosts of this node: found in the run directory or started, how many there are, and which one a session gets. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '@/lib/config';
import type { Logger } from '@/lib/log';
import type { PoolMetrics, PoolReply } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { AutoScaler, type PoolFacts } from './autoscaler';
import { Backend, type BackendContext } from './backend';
import { ErrorRate } from './error-rate';
import { HEARTBEAT_TIMES, type HeartbeatTimes, type HostState } from './heartbeat';
import { findHosts, type HostRecipe, residentBytes } from './host-process';
import type { Beat } from './load';
import { pickCalmest, pickQuiet } from './placement';
import { Restarts } from './restarts';

/** How long the start waits for the hosts of an earlier gateway (ms); who is later than this joins later. */
const DISCOVER_DEADLINE_MS = 3_000;
/** How often the number of hosts is looked at (ms). */
const ADJUST_MS = 1_000;
/** How long a host may take to tell what it counts (ms). */
const BEAT_DEADLINE_MS = 1_000;
/** One open tries so many hosts at most. */
const HOSTS_TRIED_MAX = 3;

export type BackendPoolConfig = BackendContext['config'] & Pick<Config, 'maxHosts' | 'minHosts'>;

export type BackendPoolOptions = {
  config: BackendPoolConfig;
  recipe: HostRecipe;
  log: Logger;
  times?: HeartbeatTimes | undefined;
  /** What the hosts say of their sessions. */
  listener: Pick<BackendContext, 'emit' | 'onJoined'>;
};

/** Every host of the run directory. It keeps nothing that a new gateway could not ask the hosts for again. */
export class BackendPool {
  readonly #config: BackendPoolConfig;
  readonly #recipe: HostRecipe;
  readonly #context: BackendContext;
  readonly #log: Logger;
  readonly #backends = new Set<Backend>();
  readonly #watchers = new Set<(hostId: string, state: HostState) => void>();
  readonly #scaler = new AutoScaler();
  readonly #restarts = new Restarts();
  /** Hosts that were started after a crash and are not up yet. */
  readonly #replacements = new Set<Backend>();
  readonly #errors = new ErrorRate();
  /** Hosts that the pool keeps, empty or not, besides those that drain. */
  #target: number;
  #adjustTimer: NodeJS.Timeout | undefined;
  #hasSaidExhausted = false;

  constructor({ config, recipe, log, listener, times = HEARTBEAT_TIMES }: BackendPoolOptions) {
    this.#config = config;
    this.#recipe = recipe;
    this.#log = log;
    this.#target = config.minHosts;
    this.#context = {
      config,
      times,
      log,
      emit: listener.emit,
      onGivenUp: (backend, hasCrashed) => this.#givenUp(backend, hasCrashed),
      onJoined: (backend) => this.#joined(backend, listener.onJoined),
      onState: (backend, state) => this.#stateChanged(backend, state),
      onCalled: (hasFailed) => this.#errors.count(hasFailed),
      isWanted: (backend) => this.#kept().includes(backend),
    };
  }

  /** Connects to every host that an earlier gateway left in the run directory. Once, before the gateway listens. */
  async discover(): Promise<void> {
    for (const address of findHosts(this.#config.runDir)) this.#backends.add(Backend.find(address, this.#context));
    const all = Promise.all([...this.#backends].map(({ ready }) => ready));
    await Promise.race([all, sleep(DISCOVER_DEADLINE_MS, null, { ref: false })]);
  }

  /** From now on hosts are started before they are needed, and those that died are replaced. Once the gateway serves. */
  keepWarm(): void {
    this.#adjustTimer ??= setInterval(() => this.#adjust(), ADJUST_MS).unref();
    this.#adjust();
  }

  /** The hosts, but for those of a newer link. */
  all(): Backend[] {
    return [...this.#backends].filter(({ isForeign }) => !isForeign);
  }

  /** Whether every host of the run directory has said which sessions it has. */
  get isComplete(): boolean {
    return [...this.#backends].every(({ isKnown, isForeign }) => isKnown && !isForeign);
  }

  /** Sessions that the hosts hold when as many run as may. */
  get capacity(): number {
    const own = this.#own();
    const toCome = Math.max(0, this.#config.maxHosts - own.length) * this.#config.maxSessionsPerHost;
    return own.reduce((sum, { capacity }) => sum + capacity, toCome);
  }

  /** Host processes that run or start. */
  get activeBackends(): number {
    return this.all().length;
  }

  /** Sessions that could be opened now. */
  get availableSlots(): number {
    const silent = this.#own().filter(({ isUsable }) => !isUsable);
    const taken = this.#own().reduce((sum, { taken }) => sum + taken, 0);
    return Math.max(
      0,
      silent.reduce((sum, host) => sum - host.capacity + host.taken, this.capacity - taken),
    );
  }

  /**
   * Reserves a slot, at once, on a host that answers; give it back with `release`.
   * @param id the session that the slot is for
   * @param tried hosts that could not take it; those that do not answer are added
   * @throws AppError `no_capacity` when all are full, `sidecar_unavailable` when none answers or can be started
   */
  async acquire(id: string, tried: Set<Backend> = new Set()): Promise<Backend> {
    while (tried.size < HOSTS_TRIED_MAX) {
      const backend = this.#place(tried);
      backend.opening.add(id);
      if (await backend.answers()) return backend;
      this.release(backend, id);
      tried.add(backend);
    }
    throw new AppError('sidecar_unavailable', 'The pty hosts do not answer.');
  }

  /** Gives a slot back; a session that was opened in it holds it by itself. */
  release(backend: Backend, id: string): void {
    backend.opening.delete(id);
    if (this.#adjustTimer) this.#adjust();
  }

  /** A host of this version for something other than a session: a quiet one if possible, the emptiest. One is started if there is none. */
  async any(): Promise<Backend> {
    const usable = this.#own()
      .filter(({ isUsable }) => isUsable)
      .sort((a, b) => a.taken - b.taken);
    const quiet = usable.filter(({ isReady, isBusy }) => isReady && !isBusy);
    for (const host of new Set([...quiet, ...usable])) if (await host.answers()) return host;
    const started = this.#startForUser();
    await started.ready;
    return started;
  }

  /**
   * Keeps so many hosts from now on, between floor and ceiling: starts what is missing, and lets surplus hosts end when they
   * are empty. Hosts that drain do not count.
   */
  scale(target: number): void {
    const { minHosts, maxHosts } = this.#config;
    this.#target = Math.min(maxHosts, Math.max(minHosts, target));
    while (this.#own().length < this.#target && this.#restarts.mayStart) this.#start();
  }

  metrics(): PoolMetrics {
    const hosts = this.all();
    const sum = (of: (host: Backend) => number) => hosts.reduce((total, host) => total + of(host), 0);
    const slots = sum(({ capacity }) => capacity);
    return {
      totalSessions: sum(({ taken }) => taken),
      averageLoad: slots > 0 ? sum(({ taken }) => taken) / slots : 0,
      memoryUsage: sum(memoryOf),
      cpuUsage: hosts.length > 0 ? Math.min(1, sum(({ cpu }) => cpu) / hosts.length) : 0,
      errorRate: this.#errors.rate,
    };
  }

  /** Hosts started again after a crash, within the window, and whether no more are. */
  get restarts(): PoolReply['restarts'] {
    const { count, max, isExhausted } = this.#restarts;
    return { count, max, isExhausted };
  }

  /** Whether a host could not write a journal when it last said how it fares. */
  get hasJournalFault(): boolean {
    return this.all().some(({ load }) => (load.beat?.journalFault ?? null) !== null);
  }

  /** What every host counts, asked now; `beat` is null for one that does not answer in time, or is too old to tell. */
  beats(): Promise<{ hostId: string; state: string; beat: Beat | null }[]> {
    return Promise.all(
      this.all().map(async (host) => ({
        hostId: host.hostId,
        beat: await host.beat(BEAT_DEADLINE_MS),
        state: host.state,
      })),
    );
  }

  /** Everything about the pool, for the control API. */
  describe(): Omit<PoolReply, 'instanceId'> {
    const facts = this.#facts();
    return {
      capacity: this.capacity,
      activeBackends: this.activeBackends,
      availableSlots: this.availableSlots,
      metrics: this.metrics(),
      decision: this.#scaler.evaluateScaling(facts),
      recommendations: this.#scaler.getRecommendations(facts),
      backends: this.all().map((host) => ({
        hostId: host.hostId,
        pid: host.pid,
        version: host.version,
        state: host.state,
        sessions: host.taken,
        capacity: host.capacity,
        memory: memoryOf(host),
        cpu: host.cpu,
      })),
      restarts: this.restarts,
    };
  }

  /** Listens to hosts that fall silent or answer again, until the returned function is called. */
  watch(watcher: (hostId: string, state: HostState) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Closes the connections; hosts and sessions stay. */
  close(): void {
    clearInterval(this.#adjustTimer);
    this.#adjustTimer = undefined;
    for (const backend of this.#backends) backend.close();
  }

  /** The hosts of this version: an upgrade must not wait for the old ones, so that these count by themselves. */
  #own(): Backend[] {
    return this.all().filter(({ isDraining }) => !isDraining);
  }

  /** The hosts that are to stay: as many as the target says, those with the most sessions first, then the oldest. */
  #kept(): Backend[] {
    const own = this.#own().sort((a, b) => b.taken - a.taken);
    return own.filter((host, rank) => rank < this.#target || host.taken > 0);
  }

  #facts(): PoolFacts {
    const kept = this.#kept();
    const missing = Math.max(0, this.#target - kept.length);
    const { minHosts: floor, maxHosts: ceiling, maxSessionsPerHost: slotsPerHost } = this.#config;
    const used = kept.filter(({ taken }) => taken > 0);
    const quiet = used.filter(({ isUsable, isBusy }) => isUsable && !isBusy);
    return {
      hosts: kept.length + missing,
      floor,
      ceiling,
      slots: kept.reduce((sum, { capacity }) => sum + capacity, missing * slotsPerHost),
      taken: kept.reduce((sum, { taken }) => sum + taken, 0),
      slotsPerHost,
      emptyHosts: kept.filter(({ taken, isUsable }) => taken === 0 && isUsable).length + missing,
      quietRoom: quiet.reduce((sum, { capacity, taken }) => sum + Math.max(0, capacity - taken), 0),
      busyHosts: used.length - quiet.length,
      isExhausted: this.#restarts.isExhausted,
    };
  }

  /** Follows the autoscaler, and replaces hosts that died. */
  #adjust(): void {
    this.#sayWhetherExhausted();
    const decision = this.#scaler.evaluateScaling(this.#facts());
    if (decision.action !== 'maintain') {
      this.#log.info({ ...decision }, 'pool scales');
      this.#scaler.scaled();
    }
    this.scale(decision.targetCapacity);
  }

  /** The host for a new session: a quiet one, else a new one, else the least busy of those that answer. */
  #place(tried: ReadonlySet<Backend>): Backend {
    const open = this.#own().filter((host) => host.isUsable && !tried.has(host));
    const quiet = pickQuiet(open);
    if (quiet) return quiet;
    const isAtCeiling = this.#own().length >= this.#config.maxHosts;
    return (isAtCeiling ? pickCalmest(open) : null) ?? this.#startForUser();
  }

  #startForUser(): Backend {
    if (this.#own().length >= this.#config.maxHosts) {
      const { maxHosts, maxSessionsPerHost } = this.#config;
      const details = { limit: 'host', max: maxSessionsPerHost, hosts: maxHosts };
      throw new AppError('no_capacity', 'Every pty host of this node is full, or does not answer.', { details });
    }
    if (!this.#restarts.mayTry) {
      const details = { reason: 'hosts_crash' };
      throw new AppError('sidecar_unavailable', 'Pty hosts keep crashing: see logs/host.log.', { details });
    }
    return this.#start();
  }

  #start(): Backend {
    const isReplacement = this.#restarts.started();
    const backend = Backend.start(this.#recipe, this.#context);
    if (isReplacement) this.#replacements.add(backend);
    this.#backends.add(backend);
    return backend;
  }

  #joined(backend: Backend, tell: (backend: Backend) => void): void {
    if (this.#replacements.delete(backend)) this.#restarts.cameUp();
    if (backend.isDraining) {
      this.#log.warn({ hostId: backend.hostId, version: backend.version }, 'host of another version drains');
    }
    tell(backend);
  }

  #givenUp(backend: Backend, hasCrashed: boolean): void {
    this.#backends.delete(backend);
    this.#replacements.delete(backend);
    if (hasCrashed) this.#restarts.crashed();
    if (this.#adjustTimer) this.#adjust();
  }

  #stateChanged(backend: Backend, state: HostState): void {
    const { hostId } = backend;
    this.#log[state === 'ok' ? 'info' : 'warn']({ hostId, state, sessions: backend.taken }, 'host changed its state');
    for (const watcher of this.#watchers) watcher(hostId, state);
    if (this.#adjustTimer) this.#adjust();
  }

  #sayWhetherExhausted(): void {
    const { isExhausted, max } = this.#restarts;
    if (isExhausted && !this.#hasSaidExhausted) {
      this.#log.error({ restarts: max }, 'hosts keep crashing: no more are started but when a user waits for one');
    }
    this.#hasSaidExhausted = isExhausted;
  }
}

/** Resident memory of a host (bytes): the kernel's figure, else what the host last said. */
function memoryOf({ pid, load }: Backend): number {
  return (pid === null ? 0 : residentBytes(pid)) || (load.beat?.rss ?? 0);
}
