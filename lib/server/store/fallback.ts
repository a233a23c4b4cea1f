/** Stores whose primary may be away: a mirror in memory answers in its place, and an outbox keeps what it has to take over. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@/lib/log';
import { AppError } from '@/lib/protocol/errors';
import type { StoreKind } from '@/lib/protocol/rest';
import { FallbackTable, type Ground } from './fallback-table';
import { type Attempt, Guard, Unavailable } from './guard';
import { buryProject, burySession, MemoryDriver } from './memory';
import { type Change, Outbox } from './outbox';
import { Replay, readState } from './replay';
import type {
  DegradedPart,
  Driver,
  ListFilter,
  ProjectRecord,
  ProjectStore,
  ProjectTombstone,
  SessionFilter,
  SessionLimit,
  SessionRecord,
  SessionState,
  SessionStore,
  SessionTombstone,
  StoreStatus,
  Stores,
} from './store';

/** While the first connection opens, calls wait for it this long (ms), counted from the start; then memory answers. */
const FIRST_WAIT_MS = 900;
/** A call that replays may take this long (ms). */
const REPLAY_DEADLINE_MS = 2_000;
/** A migration may take this long (ms). */
const PREPARE_DEADLINE_MS = 60_000;
const TIDY_EVERY_MS = 3_600_000;
const PAGE = 500;

/** The primary answers, but cannot be used as it is; the message says why, for people to read. */
export class UnusableError extends Error {}

/** What a fallback is made of. */
export type FallbackOptions = {
  readonly kind: StoreKind;
  /** What its absence is called. */
  readonly part: DegradedPart;
  readonly primary: Driver;
  /** A call may take this long (ms), and the first connection. */
  readonly deadlineMs: number;
  readonly connectMs: number;
  /** Null keeps what waits in memory only. */
  readonly outboxFile: string | null;
  /** How large that may be; 64 MB without it. */
  readonly outboxBytesMax?: number;
  readonly log: Logger;
  /**
   * What a primary needs before it is used, such as its tables; asked for until it has worked once.
   * @throws UnusableError
   */
  readonly prepare?: () => Promise<void>;
  /** What a primary needs once an hour, and at the start. */
  readonly tidy?: () => Promise<void>;
  /** Told how long each call of the primary took. */
  readonly onCall?: (operation: string, seconds: number) => void;
};

/** See `FallbackTable` for what happens to a call, `Guard` for when the primary is asked at all. */
export class Fallback implements Stores {
  readonly projects: ProjectStore;
  readonly sessions: SessionStore;
  /** Resolves when the first connection is there, or memory answers in its place. */
  readonly first: Promise<void>;
  readonly #options: FallbackOptions;
  readonly #mirror = new MemoryDriver();
  readonly #outbox: Outbox;
  readonly #guard: Guard;
  readonly #listeners = new Set<(status: StoreStatus) => void>();
  readonly #changing = new Set<Promise<unknown>>();
  /** Changes wait for it while the last ones before them are replayed. */
  #gate: Promise<void> | null = null;
  #isPrepared = false;
  #note: string | null = null;
  #tidying: NodeJS.Timeout | null = null;
  #isComplete = false;
  #isClosed = false;

  constructor(options: FallbackOptions) {
    const { primary, log, part, deadlineMs, connectMs, outboxFile, outboxBytesMax, onCall } = options;
    this.#options = options;
    this.#outbox = new Outbox({
      file: outboxFile,
      log,
      onFault: () => this.#announce(),
      ...(outboxBytesMax !== undefined && { bytesMax: outboxBytesMax }),
    });
    this.#guard = new Guard({
      name: part === 'redis' ? 'redis' : 'database',
      driver: primary,
      deadlineMs,
      connectMs,
      log,
      resume: (attempt, close) => this.#resume(attempt, close),
      ...(onCall && { onCall }),
    });
    this.#guard.onChange(() => this.#announce());
    this.#takeOver();
    this.first = Promise.race([this.#guard.first, sleep(FIRST_WAIT_MS, undefined, { ref: false })]);
    const ground: Ground = {
      guard: this.#guard,
      outbox: this.#outbox,
      first: this.first,
      passage: async () => {
        while (this.#gate) await this.#gate;
      },
      away: (change) => this.#away(change),
    };
    this.projects = new FallbackTable<ProjectRecord, ProjectTombstone, ProjectRule, ListFilter, []>({
      name: 'projects',
      primary: primary.projects,
      mirror: this.#mirror.projects,
      change: (state) => ({ table: 'projects', state }),
      tombstone: (record) => buryProject(record, Date.now()),
      ground,
    });
    this.sessions = this.#sessionStore(ground);
  }

  status(): StoreStatus {
    const { kind, part, outboxFile } = this.#options;
    const degraded: DegradedPart[] = [];
    if (this.#guard.isOpen) degraded.push(part);
    if (this.#outbox.hasFault) degraded.push('store');
    const isComplete = this.#guard.isClosed || this.#isComplete;
    return {
      kind,
      note: this.#note,
      isComplete,
      degraded,
      outbox: outboxFile === null ? null : this.#outbox.status,
      cache: null,
    };
  }

  onChange(listener: (status: StoreStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#guard.close();
    if (this.#tidying) clearInterval(this.#tidying);
    await Promise.allSettled(this.#changing);
    await this.#outbox.close();
    await this.#options.primary.close();
  }

  #sessionStore(ground: Ground): SessionStore {
    const primary = this.#options.primary.sessions;
    const mirror = this.#mirror.sessions;
    const table = new FallbackTable<
      SessionRecord,
      SessionTombstone,
      readonly SessionLimit[],
      SessionFilter,
      [limits?: readonly SessionLimit[]]
    >({
      name: 'sessions',
      primary,
      mirror,
      change: (state) => ({ table: 'sessions', state }),
      tombstone: (record) => burySession(record, Date.now()),
      ground,
    });
    const orMirror = async <A>(operation: string, call: (store: SessionStore) => Promise<A>): Promise<A> => {
      await ground.first;
      try {
        return await this.#guard.run(operation, () => call(primary));
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        return call(mirror);
      }
    };
    return {
      durabilityOf: (id) => this.#outbox.durabilityOf(id),
      insert: (record, limits) => table.insert(record, limits),
      get: (id) => table.get(id),
      list: (filter) => table.list(filter),
      update: (record, limits) => table.update(record, limits),
      delete: (id) => table.delete(id),
      put: (states: readonly SessionState[]) => table.put(states),
      saveTail: (id, epoch, lines) => orMirror('sessions.saveTail', (store) => store.saveTail(id, epoch, lines)),
      tail: (id) => orMirror('sessions.tail', (store) => store.tail(id)),
    };
  }

  #announce(): void {
    const status = this.status();
    for (const listener of [...this.#listeners]) listener(status);
  }

  async #away<A>(change: () => Promise<A>): Promise<A> {
    // The next process would know nothing of it.
    if (this.#isClosed) throw new AppError('no_capacity', 'Holdfast is stopping.');
    this.#takeOver();
    const changing = change();
    this.#changing.add(changing);
    try {
      return await changing;
    } finally {
      this.#changing.delete(changing);
    }
  }

  /** Puts what an earlier process left in the outbox into the mirror. */
  #takeOver(): void {
    for (const change of this.#outbox.open()) void this.#reflect(change);
  }

  #reflect(change: Change): Promise<void> {
    if (change.table === 'projects') return this.#mirror.projects.put([change.state]);
    return this.#mirror.sessions.put([change.state]);
  }

  /** Brings the primary up to date. Calls go back to it in the step in which nothing waits and nothing is being changed. */
  async #resume(attempt: Attempt, close: () => void): Promise<void> {
    this.#takeOver();
    if (!this.#isPrepared) await this.#prepare(attempt);
    const { primary, log, deadlineMs } = this.#options;
    const wasAway = this.#guard.isOpen;
    const hadPending = this.#outbox.status.pending > 0;
    const replay = new Replay({ primary, outbox: this.#outbox, reflect: (change) => this.#reflect(change), log });
    let openGate = () => {};
    try {
      for (;;) {
        // Somebody may wait at the gate.
        if (await replay.run(attempt, this.#gate ? deadlineMs : REPLAY_DEADLINE_MS)) continue;
        if (this.#changing.size === 0) break;
        // Without a gate, changes that come without a pause would never let the primary come back.
        this.#gate ??= new Promise((resolve) => {
          openGate = resolve;
        });
        await Promise.allSettled(this.#changing);
      }
      close();
    } finally {
      this.#gate = null;
      openGate();
    }
    if (!this.#tidying) this.#tidy();
    if (hadPending && !wasAway) this.#announce();
    if (wasAway || !this.#isComplete) void this.#load();
  }

  async #prepare(attempt: Attempt): Promise<void> {
    const { prepare } = this.#options;
    try {
      if (prepare) await attempt(PREPARE_DEADLINE_MS, prepare);
      this.#isPrepared = true;
      this.#note = null;
    } catch (error) {
      this.#note = error instanceof UnusableError ? error.message : null;
      throw error;
    }
  }

  #tidy(): void {
    const { tidy, log } = this.#options;
    if (!tidy) return;
    const run = () => {
      if (!this.#guard.isClosed) return;
      tidy().catch((err: unknown) => log.warn({ err }, 'old tombstones could not be removed'));
    };
    this.#tidying = setInterval(run, TIDY_EVERY_MS).unref();
    run();
  }

  /** Whether the primary answers and has everything that was acknowledged. */
  get isCurrent(): boolean {
    return this.#guard.isClosed;
  }

  /** Reads everything into the mirror, and what became of records that are only there. */
  async #load(): Promise<void> {
    const { primary, log } = this.#options;
    try {
      await this.#loadTable('projects', (filter) => primary.projects.list(filter), this.#mirror.projects);
      await this.#loadTable('sessions', (filter) => primary.sessions.list(filter), this.#mirror.sessions);
      this.#isComplete = true;
    } catch (err) {
      // Away again: everything is loaded when it is back.
      if (!(err instanceof Unavailable)) log.error({ err }, 'the records could not be read into memory');
    }
  }

  async #loadTable<R extends { readonly id: string }>(
    table: Change['table'],
    list: (filter: ListFilter) => Promise<R[]>,
    mirror: { list(filter: ListFilter): Promise<R[]>; put(states: readonly R[]): Promise<void> },
  ): Promise<void> {
    const gone = new Set((await mirror.list({ limit: Number.POSITIVE_INFINITY })).map(({ id }) => id));
    let page: R[];
    let filter: ListFilter = { limit: PAGE };
    do {
      const asked = filter;
      page = await this.#guard.run(`${table}.load`, () => list(asked));
      await mirror.put(page);
      for (const { id } of page) gone.delete(id);
      filter = { limit: PAGE, after: page.at(-1)?.id ?? '' };
    } while (page.length === PAGE);
    for (const id of gone) {
      const state = await this.#guard.run(`${table}.load`, () => readState(this.#options.primary, table, id));
      if (state) await this.#reflect(state);
    }
  }
}

type ProjectRule = { isPathUnique: boolean; max: number };
