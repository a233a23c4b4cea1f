/** A session as the REST API shows it: its record joined with what its host says now. */
import type { LiveSession } from '@/lib/protocol/control';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import type { Context } from './context';
import { deriveStatus } from './status';
import type { ProjectRecord, SessionRecord, SessionTombstone } from './store/store';

/** What the sidecar said at one moment. */
export type Sighting = {
  /** Which gateway answered; null when none did. */
  instanceId: string | null;
  /** Whether a session that is not listed is surely not there. */
  isComplete: boolean;
  live: ReadonlyMap<string, LiveSession>;
};

function iso(time: number): string {
  return new Date(time).toISOString();
}

/** The session as a list row, without output. */
export function presentSession(context: Context, record: SessionRecord, sighting: Sighting): TerminalSession {
  const known = sighting.live.get(record.id);
  const live = known && known.epoch >= record.epoch ? known : null;
  const status = deriveStatus({
    record,
    live,
    isNodeAlive: sighting.isComplete,
    isEnding: context.ending.has(record.id),
    now: Date.now(),
  });
  const exit = live ? live.exit : record.exit;
  const lastActivity = live?.lastActivity ?? exit?.at;
  return {
    id: record.id,
    projectId: record.projectId,
    userId: record.owner,
    type: record.type,
    tabName: record.tabName,
    active: status === 'active',
    output: [],
    currentPath: live?.cwd || (record.lastPath ?? record.path),
    pid: live && !exit ? live.pid : null,
    createdAt: iso(record.createdAt),
    ...(lastActivity !== undefined && { lastActivity: iso(lastActivity) }),
    status,
    rev: record.rev,
    epoch: record.epoch,
    nodeId: record.placement?.nodeId ?? context.config.nodeId,
    backendId: live?.hostId ?? record.placement?.hostId ?? null,
    ...(exit && { exit }),
    viewers: live?.viewers ?? 0,
    durability: context.sessions.durabilityOf(record.id),
    position: record.position,
    pinned: record.pinned,
    title: live?.title ?? '',
    foreground: live?.foreground ?? null,
    idleEndsAt: live?.idleEndsAt ? iso(live.idleEndsAt) : null,
  };
}

/** What is left to show of a deleted session. */
export function presentTombstone(context: Context, tombstone: SessionTombstone): TerminalSession {
  return {
    id: tombstone.id,
    projectId: tombstone.projectId,
    userId: tombstone.owner,
    type: tombstone.type,
    tabName: '',
    active: false,
    output: [],
    currentPath: '',
    pid: null,
    createdAt: iso(tombstone.createdAt),
    status: 'ended',
    rev: tombstone.rev,
    epoch: tombstone.epoch,
    nodeId: context.config.nodeId,
    backendId: null,
    viewers: 0,
    durability: context.sessions.durabilityOf(tombstone.id),
    position: 0,
    pinned: false,
    title: '',
    foreground: null,
  };
}

/** The project as the REST API shows it. */
export function presentProject(record: ProjectRecord, activeCount: number): Project {
  const { id, name, path, pinned, archived, rev, createdAt } = record;
  return { id, name, path, pinned, archived, rev, createdAt: iso(createdAt), activeCount };
}
