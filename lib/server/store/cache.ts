/** Stores with a cache in Redis before them, which several instances of web share. */
import type { z } from 'zod';
import type { Logger } from '@/lib/log';
import { CacheShelf, type ShelfOptions } from './cache-shelf';
import { REDIS_PREFIX } from './redis';
import { projectStateSchema, sessionStateSchema } from './state-schemas';
import {
  type ProjectRecord,
  type ProjectStore,
  type ProjectTombstone,
  RECORDS_MAX,
  type SessionRecord,
  type SessionStore,
  type SessionTombstone,
  type Stores,
} from './store';

/** States that are copied in one call, and rows of a list that refresh the cache. */
const BATCH_MAX = 100;
/** The generation of a copy that nobody may read. */
const UNREADABLE = '';

/** What a cache is made of. */
export type CacheOptions = Omit<ShelfOptions, 'prefix'> & {
  readonly prefix?: string;
  /** Whether what `inner` has just answered or acknowledged came from the truth and not from its substitute. */
  readonly isTrue?: () => boolean;
};

/**
 * Reads of one record are answered by Redis, else by `inner`, which then refreshes Redis. Changes and lists are those of `inner`;
 * a change is copied to Redis before it is acknowledged, if Redis takes it within 150 ms, else as `cache-shelf.ts` says, where it is
 * also said how old a copy can be. While Redis is away everything is answered by `inner` at once. Only what is in the truth becomes
 * readable for others: a change that waits in an outbox just makes the older copy unreadable.
 */
export function cache(inner: Stores, options: CacheOptions): Stores {
  const { log, prefix = REDIS_PREFIX } = options;
  const shelf = new CacheShelf({ ...options, prefix: `${prefix}cache:` });
  const isTrue = options.isTrue ?? (() => !inner.status().degraded.includes('db'));
  const common = { shelf, log, isTrue, counts: { hits: 0, misses: 0 } };
  const projects = new Copies<ProjectRecord, ProjectTombstone>({
    ...common,
    kind: 'project',
    schema: projectStateSchema,
  });
  const sessions = new Copies<SessionRecord, SessionTombstone>({
    ...common,
    kind: 'session',
    schema: sessionStateSchema,
  });

  const warm = async () => {
    await shelf.guard.first;
    await projects.warm(() => inner.projects.list({ limit: RECORDS_MAX }));
    await sessions.warm(() => inner.sessions.list({ isOpen: true, limit: RECORDS_MAX }));
  };
  void warm();

  const status: Stores['status'] = () => {
    const { kind, degraded, ...rest } = inner.status();
    return {
      ...rest,
      kind: kind === 'postgres' ? 'redis+postgres' : kind,
      degraded: shelf.guard.isOpen ? [...degraded, 'redis'] : degraded,
      cache: { ...common.counts },
    };
  };

  return {
    projects: cachedProjects(inner.projects, projects),
    sessions: cachedSessions(inner.sessions, sessions),
    status,
    onChange: (listener) => {
      const ends = [inner.onChange(() => listener(status())), shelf.guard.onChange(() => listener(status()))];
      return () => {
        for (const end of ends) end();
      };
    },
    close: async () => {
      await Promise.all([shelf.close(), inner.close()]);
    },
  };
}

function cachedProjects(inner: ProjectStore, copies: Copies<ProjectRecord, ProjectTombstone>): ProjectStore {
  return {
    insert: (record, rule) => copies.insert(record, () => inner.insert(record, rule)),
    get: (id) => copies.get(id, () => inner.get(id)),
    list: (filter) => copies.list(() => inner.list(filter)),
    update: (record) => copies.change(record.id, () => inner.update(record)),
    delete: (id) => copies.change(id, () => inner.delete(id)),
    put: (states) => copies.put(states, () => inner.put(states)),
  };
}

function cachedSessions(inner: SessionStore, copies: Copies<SessionRecord, SessionTombstone>): SessionStore {
  return {
    durabilityOf: (id) => inner.durabilityOf(id),
    insert: (record, limits) => copies.insert(record, () => inner.insert(record, limits)),
    get: (id) => copies.get(id, () => inner.get(id)),
    list: (filter) => copies.list(() => inner.list(filter)),
    update: (record, limits) => copies.change(record.id, () => inner.update(record, limits)),
    delete: (id) => copies.change(id, () => inner.delete(id)),
    put: (states) => copies.put(states, () => inner.put(states)),
    saveTail: (id, epoch, lines) => inner.saveTail(id, epoch, lines),
    tail: (id) => inner.tail(id),
  };
}

type Row = { readonly id: string; readonly rev: number; readonly deletedAt: null };
type Grave = { readonly id: string; readonly rev: number; readonly deletedAt: number };

type CopiesOptions<R, T> = {
  readonly shelf: CacheShelf;
  readonly log: Logger;
  readonly isTrue: () => boolean;
  readonly counts: { hits: number; misses: number };
  readonly kind: 'project' | 'session';
  readonly schema: z.ZodType<R | T>;
};

/** The copies of one kind of record, and in which order truth and Redis are asked and changed. */
class Copies<R extends Row, T extends Grave> {
  readonly #options: CopiesOptions<R, T>;
  #isRefreshing = false;

  constructor(options: CopiesOptions<R, T>) {
    this.#options = options;
  }

  async get(id: string, ask: () => Promise<R | T | null>): Promise<R | T | null> {
    const { shelf, log, isTrue, counts, kind } = this.#options;
    const found = await shelf.read(`${kind}:${id}`);
    const copy = this.#parse(found?.state ?? null);
    counts[copy ? 'hits' : 'misses'] += 1;
    log.debug({ kind, id, isHit: copy !== null, ...counts }, 'cache read');
    if (copy) return copy;
    const state = await ask();
    if (state && found && isTrue()) await shelf.fill(kind, found.generation, [state]);
    return state;
  }

  /** Rows come from the truth, and refresh the cache behind the answer. */
  async list(ask: () => Promise<R[]>): Promise<R[]> {
    const { shelf, isTrue } = this.#options;
    const { generation } = shelf;
    const rows = await ask();
    if (isTrue() && !this.#isRefreshing) void this.#refresh(generation, rows.slice(0, BATCH_MAX));
    return rows;
  }

  /** Copies a whole list, if there is one. */
  async warm(ask: () => Promise<R[]>): Promise<void> {
    const { shelf, log, isTrue, kind } = this.#options;
    const { generation } = shelf;
    try {
      const rows = await ask();
      for (let from = 0; from < rows.length && isTrue(); from += BATCH_MAX) {
        await shelf.fill(kind, generation, rows.slice(from, from + BATCH_MAX));
      }
    } catch (error) {
      log.debug({ err: error, kind }, 'the cache starts cold');
    }
  }

  async insert(row: R, write: () => Promise<void>): Promise<void> {
    await this.change(row.id, async () => {
      await write();
      return row;
    });
  }

  async change<S extends R | T>(id: string, write: () => Promise<S>): Promise<S> {
    const { shelf, isTrue, kind } = this.#options;
    const { generation } = shelf;
    let state: S;
    try {
      state = await write();
    } catch (error) {
      // Whoever was refused for a copy that is too old must not find it again.
      await shelf.drop(`${kind}:${id}`);
      throw error;
    }
    await shelf.put(kind, isTrue() ? generation : UNREADABLE, [state]);
    return state;
  }

  /** The truth may know newer records than these, so that they are not readable; of tombstones there is no newer state. */
  async put(states: readonly (R | T)[], write: () => Promise<void>): Promise<void> {
    const { shelf, kind } = this.#options;
    await write();
    await shelf.put(kind, UNREADABLE, states);
  }

  async #refresh(generation: string, rows: readonly R[]): Promise<void> {
    const { shelf, kind } = this.#options;
    this.#isRefreshing = true;
    try {
      await shelf.fill(kind, generation, rows);
    } finally {
      this.#isRefreshing = false;
    }
  }

  /** A copy that an instance of another version wrote may be none for this one. */
  #parse(text: string | null): R | T | null {
    if (text === null) return null;
    const { data } = this.#options.schema.safeParse(JSON.parse(text));
    return data ?? null;
  }
}
