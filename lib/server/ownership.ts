/** What belongs to a caller. Foreign and unknown ids are told apart by nobody. */
import { AppError } from '@/lib/protocol/errors';
import type { Caller } from './auth';
import type { Context } from './context';
import { observe } from './reconcile';
import type { ProjectRecord, ProjectTombstone, SessionRecord, SessionTombstone } from './store/store';

function notFound(kind: 'terminal' | 'project'): AppError {
  return new AppError('not_found', `There is no such ${kind}.`);
}

/** The caller's session, or its tombstone. A live session without a record is adopted first. @throws AppError `not_found` */
export async function ownSessionOrTombstone(
  context: Context,
  caller: Caller,
  id: string,
): Promise<SessionRecord | SessionTombstone> {
  let record = await context.sessions.get(id);
  if (!record) {
    await observe(context, { owner: caller.userId, limit: 1 });
    record = await context.sessions.get(id);
  }
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
  let record = await context.projects.get(id);
  if (!record) {
    await observe(context, { owner: caller.userId, limit: 1 });
    record = await context.projects.get(id);
  }
  if (record?.owner !== caller.userId) throw notFound('project');
  return record;
}

/** The caller's project. @throws AppError `not_found` */
export async function ownProject(context: Context, caller: Caller, id: string): Promise<ProjectRecord> {
  const record = await ownProjectOrTombstone(context, caller, id);
  if (record.deletedAt !== null) throw notFound('project');
  return record;
}
