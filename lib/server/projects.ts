/** Projects as the REST API offers them. A project is a name for a directory; its files are never touched. */
import { AppError } from '@/lib/protocol/errors';
import { newId } from '@/lib/protocol/ids';
import type { CreateProject, PatchProject, Project } from '@/lib/protocol/rest';
import type { Caller } from './auth';
import type { Context } from './context';
import { announceProject } from './news';
import { ownProject, ownProjectOrTombstone } from './ownership';
import { look, observe, pushLabel } from './reconcile';
import { presentProject } from './session-view';
import { endSession } from './sessions';
import { type ProjectRecord, RECORDS_MAX, type SessionRecord } from './store/store';

const PROJECTS_MAX = 1_000;
/** Sessions of a removed project that are ended at the same time. */
const ENDED_AT_ONCE = 10;

/** The caller's projects, those of adopted sessions included. */
export async function listProjects(context: Context, caller: Caller): Promise<Project[]> {
  const { records } = await observe(context, { owner: caller.userId, limit: RECORDS_MAX });
  const projects = await context.projects.list({ owner: caller.userId, limit: PROJECTS_MAX });
  return projects.map((project) => presentProject(project, countOpen(records, project.id)));
}

function countOpen(records: SessionRecord[], projectId: string): number {
  return records.filter((record) => record.projectId === projectId && record.endedAt === null).length;
}

/** One project. */
export async function getProject(context: Context, caller: Caller, id: string): Promise<Project> {
  return present(context, await ownProject(context, caller, id));
}

async function present(context: Context, project: ProjectRecord): Promise<Project> {
  return presentProject(project, countOpen(await sessionsOf(context, project), project.id));
}

async function sessionsOf(context: Context, { owner, id }: ProjectRecord): Promise<SessionRecord[]> {
  return (await observe(context, { owner, projectId: id, limit: RECORDS_MAX })).records;
}

/** Makes a directory a project. The sidecar says whether it is one, and its real path is kept. */
export async function createProject(context: Context, caller: Caller, input: CreateProject): Promise<Project> {
  const path = await context.control.directory({ path: input.path });
  // Projects of live sessions come first: one of them may have this path.
  await observe(context, { owner: caller.userId, limit: 1 });
  const now = Date.now();
  const record: ProjectRecord = {
    id: newId('project', now),
    owner: caller.userId,
    name: input.name,
    path,
    pinned: false,
    archived: false,
    createdAt: now,
    rev: 1,
    deletedAt: null,
  };
  await context.projects.insert(record, { isPathUnique: true, max: PROJECTS_MAX });
  await announceProject(context, record.id);
  return presentProject(record, 0);
}

/** Changes name, pin or archive mark, if nobody changed the record since `patch.rev`. */
export async function patchProject(
  context: Context,
  caller: Caller,
  { id, patch }: { id: string; patch: PatchProject },
): Promise<Project> {
  const stored = await ownProject(context, caller, id);
  const { name = stored.name, pinned = stored.pinned, archived = stored.archived, rev } = patch;
  const record = await context.projects.update({ ...stored, name, pinned, archived, rev });
  const open = await context.sessions.list({ owner: record.owner, projectId: id, limit: RECORDS_MAX });
  const { live } = await look(context);
  await Promise.all(open.filter((session) => live.has(session.id)).map((session) => pushLabel(context, session.id)));
  await announceProject(context, id);
  return presentProject(record, countOpen(open, id));
}

/**
 * Removes a project with its tabs. Removing it again is no error.
 * @param options.end ends what runs in it
 * @throws AppError `conflict` when something runs in it and `end` is false
 */
export async function removeProject(
  context: Context,
  caller: Caller,
  { id, end }: { id: string; end: boolean },
): Promise<void> {
  const project = await ownProjectOrTombstone(context, caller, id);
  if (project.deletedAt !== null) return;
  const sessions = await sessionsOf(context, project);
  const activeCount = countOpen(sessions, id);
  if (activeCount > 0 && !end) {
    const what = activeCount === 1 ? 'A terminal runs' : `${activeCount} terminals run`;
    throw new AppError('conflict', `${what} in this project. End them first, or remove it with ?end=true.`, {
      details: { reason: 'live_sessions', activeCount },
    });
  }
  await endAll(context, caller, sessions);
  await context.projects.delete(id);
  // Created after the first look, before the project was gone.
  const late = await context.sessions.list({ owner: caller.userId, projectId: id, limit: RECORDS_MAX });
  await endAll(context, caller, late);
  context.events.publish(project.owner, { type: 'project-removed', id });
}

async function endAll(context: Context, caller: Caller, sessions: SessionRecord[]): Promise<void> {
  for (let start = 0; start < sessions.length; start += ENDED_AT_ONCE) {
    const batch = sessions.slice(start, start + ENDED_AT_ONCE);
    await Promise.all(batch.map((session) => endSession(context, caller, session.id)));
  }
}
