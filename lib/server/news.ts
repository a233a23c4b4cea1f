/** Announces changes of sessions and projects to the browsers of their owner. */
import type { Context } from './context';
import { presentProject, presentSession, type Sighting } from './session-view';
import { RECORDS_MAX, type SessionRecord } from './store/store';

/** Announces a session as it is now. */
export function announceSession(context: Context, record: SessionRecord, sighting: Sighting): void {
  context.events.publish(record.owner, { type: 'session', session: presentSession(context, record, sighting) });
}

/** Announces a project with its count of running sessions, which the records tell well enough. */
export async function announceProject(context: Context, projectId: string): Promise<void> {
  const project = await context.projects.get(projectId);
  if (project?.deletedAt !== null) return;
  const open = await context.sessions.list({ owner: project.owner, projectId, isOpen: true, limit: RECORDS_MAX });
  context.events.publish(project.owner, { type: 'project', project: presentProject(project, open.length) });
}
