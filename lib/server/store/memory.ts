/** Stores in the memory of the web process: nothing on disk, and live sessions come back from their labels. */
import { idTaken, pathTaken, revChanged, tooManyProjects, tooManySessions, unknownRecord } from './refusals';
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
  type Stores,
  trimTail,
} from './store';

/** Tombstones kept; the oldest give way. Ids are random, so a forgotten one is not drawn again. */
const TOMBSTONES_MAX = 10_000;

type Row = { readonly id: string; readonly owner: string; readonly rev: number; readonly deletedAt: null };
type Grave = { readonly id: string; readonly rev: number; readonly deletedAt: number };

function isGrave<R extends Row, T extends Grave>(state: R | T): state is T {
  return state.deletedAt !== null;
}

/** Rows and tombstones by id. A change is one synchronous step, so checks inside it hold. */
class Table<R extends Row, T extends Grave> {
  readonly #rows = new Map<string, R>();
  readonly #graves = new Map<string, T>();
  readonly #bury: (row: R, deletedAt: number) => T;

  constructor(bury: (row: R, deletedAt: number) => T) {
    this.#bury = bury;
  }

  insert(row: R): void {
    if (this.#rows.has(row.id) || this.#graves.has(row.id)) throw idTaken();
    this.#rows.set(row.id, structuredClone(row));
  }

  get(id: string): R | T | null {
    return structuredClone(this.#rows.get(id) ?? this.#graves.get(id) ?? null);
  }

  list(filter: ListFilter, isWanted: (row: R) => boolean): R[] {
    const { owner, after, limit } = filter;
    return [...this.#rows.values()]
      .filter((row) => (owner === undefined || row.owner === owner) && isWanted(row))
      .filter((row) => after === undefined || row.id > after)
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, limit)
      .map((row) => structuredClone(row));
  }

  /** Every row as it is kept, to be read only. */
  rows(): IterableIterator<R> {
    return this.#rows.values();
  }

  count(isCounted: (row: R) => boolean): number {
    let count = 0;
    for (const row of this.#rows.values()) if (isCounted(row)) count += 1;
    return count;
  }

  /** The stored row that `row` is to replace. */
  replaced(row: R): R {
    const stored = this.#rows.get(row.id);
    if (!stored) throw unknownRecord();
    if (stored.rev !== row.rev) throw revChanged(stored.rev);
    return stored;
  }

  update(row: R): R {
    const next = { ...structuredClone(row), rev: row.rev + 1 };
    this.#rows.set(row.id, next);
    return structuredClone(next);
  }

  delete(id: string): T {
    const buried = this.#graves.get(id);
    if (buried) return buried;
    const row = this.#rows.get(id);
    if (!row) throw unknownRecord();
    const grave = this.#bury(row, Date.now());
    this.#entomb(grave);
    return grave;
  }

  /** Takes over a newer state; see `ProjectStore.put`. True when it did. */
  put(state: R | T): boolean {
    if (isGrave<R, T>(state)) {
      if (this.#graves.has(state.id)) return false;
      this.#entomb(structuredClone(state));
      return true;
    }
    if (this.#graves.has(state.id) || (this.#rows.get(state.id)?.rev ?? 0) >= state.rev) return false;
    this.#rows.set(state.id, structuredClone(state));
    return true;
  }

  #entomb(grave: T): void {
    this.#rows.delete(grave.id);
    this.#graves.set(grave.id, grave);
    const oldest = this.#graves.keys().next();
    if (this.#graves.size > TOMBSTONES_MAX && !oldest.done) this.#graves.delete(oldest.value);
  }
}

/** What stays of a project that is deleted now. */
export function buryProject({ id, owner, createdAt, rev }: ProjectRecord, deletedAt: number): ProjectTombstone {
  return { id, owner, createdAt, rev: rev + 1, deletedAt };
}

/** What stays of a session that is deleted now. */
export function burySession(record: SessionRecord, deletedAt: number): SessionTombstone {
  const { id, owner, projectId, type, epoch, createdAt, rev } = record;
  return { id, owner, projectId, type, epoch, createdAt, rev: rev + 1, deletedAt };
}

/** Projects in memory. */
export class MemoryProjectStore implements ProjectStore {
  readonly #table = new Table<ProjectRecord, ProjectTombstone>(buryProject);

  async insert(record: ProjectRecord, rule: { isPathUnique: boolean; max: number }): Promise<void> {
    const isOwn = (other: ProjectRecord) => other.owner === record.owner;
    if (rule.isPathUnique && this.#table.count((other) => isOwn(other) && other.path === record.path) > 0) {
      throw pathTaken(record.path);
    }
    if (this.#table.count(isOwn) >= rule.max) throw tooManyProjects(rule.max);
    this.#table.insert(record);
  }

  async get(id: string): Promise<ProjectRecord | ProjectTombstone | null> {
    return this.#table.get(id);
  }

  async list(filter: ListFilter): Promise<ProjectRecord[]> {
    return this.#table.list(filter, () => true);
  }

  async update(record: ProjectRecord): Promise<ProjectRecord> {
    this.#table.replaced(record);
    return this.#table.update(record);
  }

  async delete(id: string): Promise<ProjectTombstone> {
    return this.#table.delete(id);
  }

  async put(states: readonly ProjectState[]): Promise<void> {
    for (const state of states) this.#table.put(state);
  }
}

/** Sessions in memory. */
export class MemorySessionStore implements SessionStore {
  readonly #tails = new Map<string, string[]>();
  readonly #table = new Table<SessionRecord, SessionTombstone>(burySession);

  durabilityOf(): 'memory' {
    return 'memory';
  }

  async insert(record: SessionRecord, limits: readonly SessionLimit[]): Promise<void> {
    this.#checkLimits(record, limits);
    this.#table.insert(record);
  }

  async get(id: string): Promise<SessionRecord | SessionTombstone | null> {
    return this.#table.get(id);
  }

  async list(filter: SessionFilter): Promise<SessionRecord[]> {
    const { projectId, isOpen = false } = filter;
    return this.#table.list(
      filter,
      (row) => (projectId === undefined || row.projectId === projectId) && (!isOpen || row.endedAt === null),
    );
  }

  async update(record: SessionRecord, limits: readonly SessionLimit[] = []): Promise<SessionRecord> {
    const stored = this.#table.replaced(record);
    if (stored.endedAt !== null && record.endedAt === null) this.#checkLimits(record, limits);
    return this.#table.update(record);
  }

  async delete(id: string): Promise<SessionTombstone> {
    const grave = this.#table.delete(id);
    this.#tails.delete(id);
    return grave;
  }

  async put(states: readonly SessionState[]): Promise<void> {
    for (const state of states) if (this.#table.put(state) && state.deletedAt !== null) this.#tails.delete(state.id);
  }

  async saveTail(id: string, epoch: number, lines: readonly string[]): Promise<void> {
    const record = this.#table.get(id);
    if (record?.deletedAt === null && record.epoch === epoch) this.#tails.set(id, trimTail(lines));
  }

  async tail(id: string): Promise<string[]> {
    return [...(this.#tails.get(id) ?? [])];
  }

  #checkLimits(record: SessionRecord, limits: readonly SessionLimit[]): void {
    if (limits.length === 0) return;
    const counts = { project: 0, user: 0, records: 0 };
    for (const other of this.#table.rows()) {
      if (other.id === record.id || other.owner !== record.owner) continue;
      counts.records += 1;
      if (other.endedAt !== null) continue;
      counts.user += 1;
      if (other.projectId === record.projectId) counts.project += 1;
    }
    const reached = limits.find(({ limit, max }) => counts[limit] >= max);
    if (reached) throw tooManySessions(reached);
  }
}

/** Both stores in memory. */
export class MemoryDriver implements Driver {
  readonly projects = new MemoryProjectStore();
  readonly sessions = new MemorySessionStore();

  async ping(): Promise<void> {}
  reset(): void {}
  async close(): Promise<void> {}
}

/**
 * The stores of a web process that keeps its records in memory.
 * @param note why, when something else was wanted
 */
export function memoryStores(note: string | null = null): Stores {
  const { projects, sessions } = new MemoryDriver();
  return {
    projects,
    sessions,
    status: () => ({
      kind: 'memory',
      note,
      degraded: note === null ? [] : ['store'],
      isComplete: true,
      outbox: null,
      cache: null,
    }),
    onChange: () => () => undefined,
    close: async () => undefined,
  };
}
