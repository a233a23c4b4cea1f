/** How records and tombstones stand in the tables of the database. */
import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import { z } from 'zod';
import { projects, terminalSessions } from '@/drizzle/schema';
import { exitFactsSchema } from '@/lib/protocol/control';
import type {
  ProjectRecord,
  ProjectState,
  ProjectTombstone,
  SessionRecord,
  SessionState,
  SessionTombstone,
} from './store';

type ProjectRow = typeof projects.$inferSelect;
type SessionRow = Omit<typeof terminalSessions.$inferSelect, 'output' | 'pid'>;

const metadataSchema = z.object({ exit: exitFactsSchema.nullable().default(null) });

const { output: _output, pid: _pid, ...withoutOutput } = getTableColumns(terminalSessions);
/** All of a project's row. */
export const PROJECT_COLUMNS = getTableColumns(projects);
/** A session's row without its output, which may have tens of kilobytes. */
export const SESSION_COLUMNS = withoutOutput;

/** What tombstones have in these columns. */
export const NO_PROJECT = { name: '', path: '', pinned: false, archived: false } as const;
export const NO_SESSION = {
  tabName: '',
  position: 0,
  pinned: false,
  path: '',
  currentPath: null,
  nodeId: null,
  hostId: null,
  active: false,
  endedAt: null,
  metadata: {},
} as const;

/** What replaces each column of a row that is there with the one that was to be inserted. */
export function excluded(columns: Record<string, { name: string }>): Record<string, SQL> {
  return Object.fromEntries(
    Object.entries(columns).map(([key, { name }]) => [key, sql`excluded.${sql.identifier(name)}`]),
  );
}

/** The row of a project: of a tombstone, with nothing in the columns that say something. */
export function projectRow(state: ProjectState): ProjectRow {
  const { id, owner: userId, rev } = state;
  const kept = { id, userId, rev, createdAt: new Date(state.createdAt), updatedAt: new Date() };
  if (state.deletedAt !== null) return { ...kept, ...NO_PROJECT, deletedAt: new Date(state.deletedAt) };
  const { name, path, pinned, archived } = state;
  return { ...kept, name, path, pinned, archived, deletedAt: null };
}

/** The project that a row holds, if it does. */
export function projectRecord(row: ProjectRow): ProjectRecord {
  const { id, userId: owner, rev, name, path, pinned, archived } = row;
  return { id, owner, name, path, pinned, archived, createdAt: row.createdAt.getTime(), rev, deletedAt: null };
}

/** What the row of a deleted project holds. */
export function projectTombstone(row: ProjectRow): ProjectTombstone {
  const { id, userId: owner, rev } = row;
  return { id, owner, createdAt: row.createdAt.getTime(), rev, deletedAt: deletionOf(row) };
}

/** The row of a session: of a tombstone, with nothing in the columns that say something. */
export function sessionRow(state: SessionState): SessionRow {
  const { id, owner: userId, rev, projectId, type, epoch } = state;
  const createdAt = new Date(state.createdAt);
  const kept = { id, userId, rev, projectId, type, epoch, createdAt, updatedAt: new Date() };
  if (state.deletedAt !== null) {
    return { ...kept, ...NO_SESSION, openingAt: createdAt, deletedAt: new Date(state.deletedAt) };
  }
  const { tabName, position, pinned, path, lastPath, placement, endedAt, exit } = state;
  return {
    ...kept,
    tabName,
    position,
    pinned,
    path,
    currentPath: lastPath,
    nodeId: placement?.nodeId ?? null,
    hostId: placement?.hostId ?? null,
    active: endedAt === null,
    openingAt: new Date(state.openingAt),
    endedAt: endedAt === null ? null : new Date(endedAt),
    metadata: exit === null ? {} : { exit },
    deletedAt: null,
  };
}

/** The session that a row holds, if it does. */
export function sessionRecord(row: SessionRow): SessionRecord {
  const { id, projectId, type, tabName, position, pinned, path, nodeId, hostId, epoch, rev } = row;
  return {
    id,
    projectId,
    owner: row.userId,
    type,
    tabName,
    position,
    pinned,
    path,
    lastPath: row.currentPath,
    placement: nodeId === null || hostId === null ? null : { nodeId, hostId },
    epoch,
    openingAt: row.openingAt.getTime(),
    endedAt: row.endedAt?.getTime() ?? null,
    exit: metadataSchema.parse(row.metadata).exit,
    createdAt: row.createdAt.getTime(),
    rev,
    deletedAt: null,
  };
}

/** What the row of a deleted session holds. */
export function sessionTombstone(row: SessionRow): SessionTombstone {
  const { id, userId: owner, projectId, type, epoch, rev } = row;
  return { id, owner, projectId, type, epoch, createdAt: row.createdAt.getTime(), rev, deletedAt: deletionOf(row) };
}

function deletionOf(row: { deletedAt: Date | null }): number {
  if (row.deletedAt === null) throw new Error('the row is no tombstone');
  return row.deletedAt.getTime();
}

/** One state for each id, in the order of ids: the one that is left when all are put one after the other. */
export function lastStates<S extends ProjectState | SessionState>(states: readonly S[]): S[] {
  const last = new Map<string, S>();
  for (const state of states) {
    const before = last.get(state.id);
    if (before && (before.deletedAt !== null || (state.deletedAt === null && state.rev <= before.rev))) continue;
    last.set(state.id, state);
  }
  // All who put lock rows in the same order.
  return [...last.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
