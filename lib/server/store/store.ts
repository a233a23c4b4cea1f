/** What web keeps of projects and sessions, and the interfaces that every store implements. */
import type { ExitFacts, SessionType } from '@/lib/protocol/control';
import type { Durability, StoreKind } from '@/lib/protocol/rest';

/** Sessions that are kept of one owner, ended ones included: all of them fit one page. */
export const RECORDS_MAX = 1_000;

/** A project: a name for a directory. Times here and below are milliseconds since 1970. */
export type ProjectRecord = {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  /** The directory, all links resolved. */
  readonly path: string;
  readonly pinned: boolean;
  readonly archived: boolean;
  readonly createdAt: number;
  /** Raised by one with every change. */
  readonly rev: number;
  readonly deletedAt: null;
};

/** Which host of which node holds a session. */
export type Placement = { readonly nodeId: string; readonly hostId: string };

/** A session as its owner asked for it. What it does right now is known to its host only. */
export type SessionRecord = {
  readonly id: string;
  readonly projectId: string;
  readonly owner: string;
  readonly type: SessionType;
  readonly tabName: string;
  /** Where the tab stands: ascending. */
  readonly position: number;
  readonly pinned: boolean;
  /** The directory in which it was started. */
  readonly path: string;
  /** The last directory of an ended session. */
  readonly lastPath: string | null;
  /** Null until a host has opened this epoch. */
  readonly placement: Placement | null;
  /** The incarnation; raised by a restart. */
  readonly epoch: number;
  /** When this epoch was asked for. */
  readonly openingAt: number;
  /** When it ended or was found lost. A session without it takes a slot of its project and its user. */
  readonly endedAt: number | null;
  /** How it ended, once the host has said so. */
  readonly exit: ExitFacts | null;
  readonly createdAt: number;
  readonly rev: number;
  readonly deletedAt: null;
};

type Deleted<R, K extends keyof R> = Readonly<Pick<R, K>> & { readonly deletedAt: number };

/** What stays of a deleted project. */
export type ProjectTombstone = Deleted<ProjectRecord, 'id' | 'owner' | 'createdAt' | 'rev'>;
/** What stays of a deleted session. */
export type SessionTombstone = Deleted<
  SessionRecord,
  'id' | 'owner' | 'projectId' | 'type' | 'epoch' | 'createdAt' | 'rev'
>;

/** A project as it stands, or what stays of it. */
export type ProjectState = ProjectRecord | ProjectTombstone;
/** A session as it stands, or what stays of it. */
export type SessionState = SessionRecord | SessionTombstone;

/** Lines and bytes (UTF-8) of a session's last output that a store keeps. */
const TAIL_LINES_MAX = 1_000;
export const TAIL_BYTES_MAX = 32 * 1024;

/** The last lines that fit both bounds. */
export function trimTail(lines: readonly string[]): string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const line of lines.slice(-TAIL_LINES_MAX).reverse()) {
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > TAIL_BYTES_MAX) break;
    kept.push(line);
  }
  return kept.reverse();
}

/** How many sessions there may be: taking a slot in the project, taking a slot of the owner, or kept at all by the owner. */
export type SessionLimit = { readonly limit: 'project' | 'user' | 'records'; readonly max: number };

/** Which records to list. They come in the order of their ids, which is the order of creation. */
export type ListFilter = {
  readonly owner?: string;
  /** Only ids behind this one. */
  readonly after?: string;
  readonly limit: number;
};

export type SessionFilter = ListFilter & {
  readonly projectId?: string;
  /** Only sessions that take a slot. */
  readonly isOpen?: boolean;
};

export interface ProjectStore {
  /**
   * Adds a project.
   * @throws AppError `conflict` when the id was ever used, or when `isPathUnique` and the owner has this path already;
   * `bad_request` beyond `max` projects of the owner; all checked in the same step
   */
  insert(record: ProjectRecord, rule: { isPathUnique: boolean; max: number }): Promise<void>;
  get(id: string): Promise<ProjectRecord | ProjectTombstone | null>;
  /** Without tombstones. */
  list(filter: ListFilter): Promise<ProjectRecord[]>;
  /**
   * Replaces the record whose rev is `record.rev`; gives it back with the next rev.
   * @throws AppError `conflict` when the stored rev is another, `not_found` when it is deleted or unknown
   */
  update(record: ProjectRecord): Promise<ProjectRecord>;
  /** Makes a tombstone with the next rev; gives it, or the one that is there. @throws AppError `not_found` */
  delete(id: string): Promise<ProjectTombstone>;
  /**
   * Takes over states as another store has them, without limits or checks: a state replaces one with a lower rev, a tombstone
   * replaces every record, and no record replaces a tombstone. Doing it again, or in part, changes nothing more.
   * @param states at most 100
   */
  put(states: readonly ProjectState[]): Promise<void>;
}

export interface SessionStore {
  /** How safe what was last acknowledged of this session is. */
  durabilityOf(id: string): Durability;
  /**
   * Adds a session.
   * @throws AppError `conflict` when the id was ever used, `session_limit_reached` with `{limit, max}`;
   * checked in the same step
   */
  insert(record: SessionRecord, limits: readonly SessionLimit[]): Promise<void>;
  get(id: string): Promise<SessionRecord | SessionTombstone | null>;
  /** Without tombstones. */
  list(filter: SessionFilter): Promise<SessionRecord[]>;
  /**
   * Replaces the record whose rev is `record.rev`; gives it back with the next rev.
   * @param limits checked in the same step when the change makes the session take a slot
   * @throws AppError `conflict` when the stored rev is another, `not_found` when it is deleted or unknown,
   * `session_limit_reached`
   */
  update(record: SessionRecord, limits?: readonly SessionLimit[]): Promise<SessionRecord>;
  /** Makes a tombstone with the next rev; gives it, or the one that is there. @throws AppError `not_found` */
  delete(id: string): Promise<SessionTombstone>;
  /** Like `put` of projects. */
  put(states: readonly SessionState[]): Promise<void>;
  /**
   * Keeps the last lines that a session printed, for when its journal is gone: what is beyond `TAIL_LINES_MAX` or `TAIL_BYTES_MAX`
   * gives way from the top. Does nothing when there is no record of this epoch. Goes with the record when that is deleted.
   */
  saveTail(id: string, epoch: number, lines: readonly string[]): Promise<void>;
  /** What `saveTail` kept, or []. */
  tail(id: string): Promise<string[]>;
}

/** Both stores in one place: memory, a database, a cache. */
export interface Driver {
  readonly projects: ProjectStore;
  readonly sessions: SessionStore;
  /** Resolves when the place answers. */
  ping(): Promise<void>;
  /** Ends the connections that are open, with every call on them; later calls open new ones. */
  reset(): void;
  close(): Promise<void>;
}

/** What web has to do without: `db` or `redis` do not answer, `store` when changes could not be written anywhere but to memory. */
export type DegradedPart = 'db' | 'redis' | 'store';

/** How the stores stand. */
export type StoreStatus = {
  readonly kind: StoreKind;
  /** Why it is another kind than was wanted, for people to read; null when it is as wanted. */
  readonly note: string | null;
  readonly degraded: readonly DegradedPart[];
  /** Whether everything is known that there is: if not, an id that is unknown now may be known later. */
  readonly isComplete: boolean;
  /** Changes that wait for the database: how many, and in how many bytes; null without an outbox. */
  readonly outbox: { readonly pending: number; readonly bytes: number } | null;
  /** Reads that the cache answered, and those that it could not; null without a cache. */
  readonly cache: { readonly hits: number; readonly misses: number } | null;
};

/** The stores that web works with, composed of drivers. */
export interface Stores {
  readonly projects: ProjectStore;
  readonly sessions: SessionStore;
  status(): StoreStatus;
  /** Calls the listener when `degraded` has changed. Gives what ends that. */
  onChange(listener: (status: StoreStatus) => void): () => void;
  close(): Promise<void>;
}
