/** Where the lists of projects and tabs lie in the query cache, and how a change reaches them. */
import type { QueryClient } from '@tanstack/react-query';
import type { Project, ServerEvent, TerminalSession } from '@/lib/protocol/rest';

/** The key of the list of projects. */
export const PROJECTS_KEY = ['projects'] as const;

/** The key of a project's tabs. */
export function terminalsKey(projectId: string) {
  return ['terminals', projectId] as const;
}

/** Puts `row` in the place of the row with its id, or at the end. */
function put<Row extends { id: string }>(rows: Row[], row: Row): Row[] {
  return rows.some(({ id }) => id === row.id) ? rows.map((old) => (old.id === row.id ? row : old)) : [...rows, row];
}

/** Takes a session over unless the cache knows a later state; a list that was never read stays unread. */
export function putSession(client: QueryClient, session: TerminalSession): void {
  client.setQueryData<TerminalSession[]>(terminalsKey(session.projectId), (rows) => {
    if (!rows) return rows;
    const known = rows.find(({ id }) => id === session.id);
    if (known && (known.epoch > session.epoch || known.rev > session.rev)) return rows;
    return put(rows, session);
  });
}

/** Takes a session out. */
export function dropSession(client: QueryClient, projectId: string, id: string): void {
  client.setQueryData<TerminalSession[]>(terminalsKey(projectId), (rows) => rows?.filter((row) => row.id !== id));
}

/** Takes a project over unless the cache knows a later state. */
export function putProject(client: QueryClient, project: Project): void {
  client.setQueryData<Project[]>(PROJECTS_KEY, (rows) => {
    if (!rows) return rows;
    const known = rows.find(({ id }) => id === project.id);
    return known && known.rev > project.rev ? rows : put(rows, project);
  });
}

/** Takes a project out. */
export function dropProject(client: QueryClient, id: string): void {
  client.setQueryData<Project[]>(PROJECTS_KEY, (rows) => rows?.filter((row) => row.id !== id));
}

/** Applies a change that the server announced. */
export function applyEvent(client: QueryClient, event: ServerEvent): void {
  switch (event.type) {
    case 'session':
      putSession(client, event.session);
      break;
    case 'session-removed':
      dropSession(client, event.projectId, event.id);
      break;
    case 'project':
      putProject(client, event.project);
      break;
    case 'project-removed':
      dropProject(client, event.id);
      break;
    case 'hello':
    case 'sidecar':
    case 'store':
      break;
  }
}
