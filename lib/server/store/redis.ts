/**
 * Redis as the place of all records, when there is no database.
 *
 * What is assumed: a single node (scripts reach keys of indexes that are not among their KEYS), `maxmemory-policy noeviction`
 * (else records vanish), and persistence (`appendonly yes`) if records are to outlive Redis. Live records and projects never expire.
 */
import type { RedisConnection } from './redis-connection';
import { type Bound, indexName, RedisTable } from './redis-table';
import { pathTaken, tooManyProjects, tooManySessions } from './refusals';
import { projectStateSchema, sessionStateSchema } from './state-schemas';
import {
  type Driver,
  type ListFilter,
  type ProjectRecord,
  type ProjectState,
  type ProjectStore,
  type ProjectTombstone,
  type SessionFilter,
  type SessionLimit,
  type SessionRecord,
  type SessionState,
  type SessionStore,
  type SessionTombstone,
  trimTail,
} from './store';

/** What all keys begin with. */
export const REDIS_PREFIX = 'holdfast:';

function pathIndex({ owner, path }: ProjectRecord): string {
  return `${indexName({ owner })}:path:${JSON.stringify(path)}`;
}

class RedisProjectStore implements ProjectStore {
  readonly #table: RedisTable<ProjectRecord, ProjectTombstone>;

  constructor(connection: RedisConnection, prefix: string) {
    this.#table = new RedisTable<ProjectRecord, ProjectTombstone>(connection, prefix, {
      name: 'project',
      schema: projectStateSchema,
      epochOf: () => 0,
      indexesOf: (row) => [indexName({}), indexName({ owner: row.owner }), pathIndex(row)],
      remainsOf: ({ id, owner, createdAt }) => ({ id, owner, createdAt }),
    });
  }

  async insert(record: ProjectRecord, { isPathUnique, max }: { isPathUnique: boolean; max: number }): Promise<void> {
    const { owner, path } = record;
    const bounds: Bound[] = [{ index: indexName({ owner }), max, refusal: () => tooManyProjects(max) }];
    if (isPathUnique) bounds.unshift({ index: pathIndex(record), max: 1, refusal: () => pathTaken(path) });
    await this.#table.insert(record, bounds);
  }

  get(id: string): Promise<ProjectState | null> {
    return this.#table.get(id);
  }

  list(filter: ListFilter): Promise<ProjectRecord[]> {
    return this.#table.list(indexName({ owner: filter.owner }), filter);
  }

  update(record: ProjectRecord): Promise<ProjectRecord> {
    return this.#table.update(record, { bounds: [], gate: indexName({}) });
  }

  delete(id: string): Promise<ProjectTombstone> {
    return this.#table.delete(id);
  }

  put(states: readonly ProjectState[]): Promise<void> {
    return this.#table.put(states);
  }
}

class RedisSessionStore implements SessionStore {
  readonly #table: RedisTable<SessionRecord, SessionTombstone>;

  constructor(connection: RedisConnection, prefix: string) {
    this.#table = new RedisTable<SessionRecord, SessionTombstone>(connection, prefix, {
      name: 'session',
      schema: sessionStateSchema,
      epochOf: ({ epoch }) => epoch,
      indexesOf: ({ owner, projectId, endedAt }) =>
        [{}, { owner }, { projectId }, { owner, projectId }].flatMap((index) => [
          indexName(index),
          ...(endedAt === null ? [indexName({ ...index, isOpen: true })] : []),
        ]),
      remainsOf: ({ id, owner, projectId, type, epoch, createdAt }) => ({
        id,
        owner,
        projectId,
        type,
        epoch,
        createdAt,
      }),
    });
  }

  durabilityOf(): 'stored' {
    return 'stored';
  }

  async insert(record: SessionRecord, limits: readonly SessionLimit[]): Promise<void> {
    await this.#table.insert(record, boundsOf(record, limits));
  }

  get(id: string): Promise<SessionState | null> {
    return this.#table.get(id);
  }

  list(filter: SessionFilter): Promise<SessionRecord[]> {
    return this.#table.list(indexName(filter), filter);
  }

  update(record: SessionRecord, limits: readonly SessionLimit[] = []): Promise<SessionRecord> {
    const bounds = record.endedAt === null ? boundsOf(record, limits) : [];
    return this.#table.update(record, { bounds, gate: indexName({ isOpen: true }) });
  }

  delete(id: string): Promise<SessionTombstone> {
    return this.#table.delete(id);
  }

  put(states: readonly SessionState[]): Promise<void> {
    return this.#table.put(states);
  }

  saveTail(id: string, epoch: number, lines: readonly string[]): Promise<void> {
    return this.#table.saveTail(id, epoch, trimTail(lines));
  }

  tail(id: string): Promise<string[]> {
    return this.#table.tail(id);
  }
}

function boundsOf({ owner, projectId }: SessionRecord, limits: readonly SessionLimit[]): Bound[] {
  const indexes = {
    project: indexName({ owner, projectId, isOpen: true }),
    user: indexName({ owner, isOpen: true }),
    records: indexName({ owner }),
  };
  return limits.map((limit) => ({
    index: indexes[limit.limit],
    max: limit.max,
    refusal: () => tooManySessions(limit),
  }));
}

/** Both stores in Redis. */
export class RedisDriver implements Driver {
  readonly projects: ProjectStore;
  readonly sessions: SessionStore;
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection, prefix: string = REDIS_PREFIX) {
    this.#connection = connection;
    this.projects = new RedisProjectStore(connection, prefix);
    this.sessions = new RedisSessionStore(connection, prefix);
  }

  ping(): Promise<void> {
    return this.#connection.ping();
  }

  reset(): void {
    this.#connection.reset();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
