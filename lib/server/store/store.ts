/** What web keeps of projects and sessions, and the interfaces that every store implements. */
import type { ExitFacts, SessionType } from '@/lib/protocol/control';

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
}

export interface SessionStore {
  /** How safe an acknowledged record is. */
  readonly durability: 'memory' | 'outbox' | 'stored';
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
}
