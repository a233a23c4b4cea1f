/** What belongs to a caller. Foreign and unknown ids are told apart by nobody. */
import { AppError } from '@/lib/protocol/errors';
import type { Caller } from './auth';
import type { Context } from './context';
import { sidecarUnavailable } from './control';
import { observe } from './reconcile';
import type { ProjectRecord, ProjectTombstone, SessionRecord, SessionTombstone } from './store/store';

function notFound(kind: 'terminal' | 'project'): AppError {
  return new AppError('not_found', `There is no such ${kind}.`);
}

/**
 * Looks for what has no record of the caller yet.
 * @throws AppError `sidecar_unavailable` as long as hosts or journals may know of more, `no_capacity` as long as the database may: a
 *   tab whose session is only not found yet must ask again, and not give up
 */
async function adoptUnknown(context: Context, caller: Caller): Promise<void> {
  const { sighting } = await observe(context, { owner: caller.userId, limit: 1 });
  const isAllKnown = sighting.isComplete && context.archive.adoptedFrom === sighting.instanceId;
  if (!isAllKnown) throw sidecarUnavailable(undefined);
  if (context.stores.status().isComplete) return;
  throw new AppError('no_capacity', 'The database is away, and this may be in it. Try again in a moment.', {
    details: { reason: 'database_away' },
  });
}

/** The caller's session, or its tombstone. A live session without a record is adopted first. @throws AppError `not_found` */
export async function ownSessionOrTombstone(
  context: Context,
  caller: Caller,
  id: string,
): Promise<SessionRecord | SessionTombstone> {
  const known = await context.sessions.get(id);
  if (known?.owner === caller.userId) return known;
  await adoptUnknown(context, caller);
  const record = await context.sessions.get(id);
  if (record?.owner !== caller.userId) throw notFound('terminal');
  return record;
}

/** The caller's session. @throws AppError `not_found` */
export async function ownSession(context: Context, caller: Caller, id: string): Promise<SessionRecord> {
  const record = await ownSessionOrTombstone(context, caller, id);
  if (record.deletedAt !== null) throw notFound('terminal');
  return record;
}

/** The caller's project, or its tombstone. Projects of live sessions are adopted first. @throws AppError `not_found` */
export async function ownProjectOrTombstone(
  context: Context,
  caller: Caller,
  id: string,
): Promise<ProjectRecord | ProjectTombstone> {
  const known = await context.projects.get(id);
  if (known?.owner === caller.userId) return known;
  await adoptUnknown(context, caller);
  const record = await context.projects.get(id);
  if (record?.owner !== caller.userId) throw notFound('project');
  return record;
}

/** The caller's project. @throws AppError `not_found` */
export async function ownProject(context: Context, caller: Caller, id: string): Promise<ProjectRecord> {
  const record = await ownProjectOrTombstone(context, caller, id);
  if (record.deletedAt !== null) throw notFound('project');
  return record;
}
