'use client';
/** What the pages read and change, as hooks: lists come from the cache, changes are shown at once and taken back on failure. */
import { useMutation, useMutationState, useQuery, useQueryClient } from '@tanstack/react-query';
import { toast } from 'sonner';
import {
  ApiError,
  createProject,
  createTerminal,
  deleteProject,
  deleteTerminal,
  keepTerminal,
  listProjects,
  listTerminals,
  patchProject,
  patchTerminal,
  restartTerminal,
} from '@/lib/client/api';
import type { Ticket } from '@/lib/client/link';
import type { SessionType } from '@/lib/protocol/control';
import type { PatchProject, PatchTerminal, Project, TerminalSession } from '@/lib/protocol/rest';
import { dropProject, dropSession, PROJECTS_KEY, putProject, putSession, terminalsKey } from './cache';

/** A change of one tab; the record's rev is added when it is sent. */
export type TabChange = { id: string } & Omit<PatchTerminal, 'rev'>;
/** A change of one project; the record's rev is added when it is sent. */
export type ProjectChange = { id: string } & Omit<PatchProject, 'rev'>;

/** The one place that tells a failed change; the request id lets a report be found in the log. */
export function reportFailure(what: string, error: Error): void {
  const id = error instanceof ApiError && error.code === 'internal' ? error.requestId : null;
  toast.error(what, { description: id ? `${error.message} (request ${id})` : error.message });
}

function isConflict(error: Error): boolean {
  return error instanceof ApiError && error.code === 'conflict';
}

/** The caller's projects: pinned ones first, then the newest. */
export function useProjects() {
  const query = useQuery({ queryKey: PROJECTS_KEY, queryFn: ({ signal }) => listProjects(signal) });
  const changes = useMutationState({
    filters: { mutationKey: ['change-project'], status: 'pending' },
    select: ({ state }) => state.variables as ProjectChange, // the cache types variables as unknown; the key says what they are
  });
  const projects = query.data
    ?.map((project) => changes.filter(({ id }) => id === project.id).reduce<Project>(overlay, project))
    .filter(({ archived }) => !archived)
    .sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.createdAt.localeCompare(a.createdAt));
  return { ...query, projects };
}

/** A record as it will be when the change has been accepted. */
function overlay<Row>(row: Row, change: object): Row {
  return { ...row, ...change };
}

/** The tabs of a project in their order, without those that are being closed. */
export function useTerminals(projectId: string) {
  const query = useQuery({
    queryKey: terminalsKey(projectId),
    queryFn: ({ signal }) => listTerminals(projectId, signal),
  });
  const changes = useMutationState({
    filters: { mutationKey: ['change-tab', projectId], status: 'pending' },
    select: ({ state }) => state.variables as TabChange, // as above
  });
  const closing = useMutationState({
    filters: { mutationKey: ['close-tab', projectId], status: 'pending' },
    select: ({ state }) => state.variables as string, // as above
  });
  const terminals = query.data
    ?.filter(({ id }) => !closing.includes(id))
    .map((session) => changes.filter(({ id }) => id === session.id).reduce<TerminalSession>(overlay, session))
    .sort((a, b) => a.position - b.position || a.createdAt.localeCompare(b.createdAt));
  return { ...query, terminals };
}

/** Makes a directory a project. The form shows what failed. */
export function useCreateProject() {
  const client = useQueryClient();
  return useMutation({ mutationFn: createProject, onSuccess: (project) => putProject(client, project) });
}

/** Renames or pins a project. */
export function useChangeProject() {
  const client = useQueryClient();
  return useMutation({
    mutationKey: ['change-project'],
    // One after the other, so that each is sent with the rev that the one before it made.
    scope: { id: 'projects' },
    mutationFn: ({ id, ...change }: ProjectChange) => {
      const rev = client.getQueryData<Project[]>(PROJECTS_KEY)?.find((row) => row.id === id)?.rev ?? 1;
      return patchProject(id, { ...change, rev });
    },
    onSuccess: (project) => putProject(client, project),
    onError: async (error) => {
      reportFailure(isConflict(error) ? 'Changed in another window' : 'The project was not changed', error);
      await client.invalidateQueries({ queryKey: PROJECTS_KEY });
    },
  });
}

/** Removes a project; `end` also ends its sessions. */
export function useRemoveProject() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, end }: { id: string; end: boolean }) => deleteProject(id, { end }),
    onSuccess: (_, { id }) => dropProject(client, id),
    onError: async (error) => {
      reportFailure('The project was not removed', error);
      await client.invalidateQueries({ queryKey: PROJECTS_KEY });
    },
  });
}

/** Takes the ticket of a session that was just opened, before its terminal is shown. */
export type KeepTicket = (id: string, ticket: Ticket) => void;

/** Opens a tab in a project's directory. */
export function useCreateTerminal({ id: projectId, path: projectPath }: Project, keepTicket: KeepTicket) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ type, tabName }: { type: SessionType; tabName: string }) =>
      createTerminal({ projectId, projectPath, type, tabName }),
    onSuccess: ({ session, ticket }) => {
      keepTicket(session.id, ticket);
      putSession(client, session);
    },
    onError: (error) => reportFailure('No new terminal', error),
  });
}

/** Renames or moves a tab. */
export function useChangeTab(projectId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationKey: ['change-tab', projectId],
    scope: { id: `tabs of ${projectId}` },
    mutationFn: ({ id, ...change }: TabChange) => {
      const rows = client.getQueryData<TerminalSession[]>(terminalsKey(projectId));
      return patchTerminal(id, { ...change, rev: rows?.find((row) => row.id === id)?.rev ?? 1 });
    },
    onSuccess: (session) => putSession(client, session),
    onError: async (error) => {
      reportFailure(isConflict(error) ? 'Changed in another window' : 'The tab was not changed', error);
      await client.invalidateQueries({ queryKey: terminalsKey(projectId) });
    },
  });
}

/** Ends a session and removes its tab, which leaves the strip at once. */
export function useCloseTab(projectId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationKey: ['close-tab', projectId],
    mutationFn: (id: string) => deleteTerminal(id),
    onSuccess: (_, id) => dropSession(client, projectId, id),
    onError: async (error) => {
      reportFailure('The tab was not closed', error);
      await client.invalidateQueries({ queryKey: terminalsKey(projectId) });
    },
  });
}

/** Starts an ended or lost session again. */
export function useRestart(projectId: string, keepTicket: KeepTicket) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, rev }: Pick<TerminalSession, 'id' | 'rev'>) => restartTerminal(id, rev),
    onSuccess: ({ session, ticket }) => {
      keepTicket(session.id, ticket);
      putSession(client, session);
    },
    onError: async (error) => {
      reportFailure('Not restarted', error);
      await client.invalidateQueries({ queryKey: terminalsKey(projectId) });
    },
  });
}

/** Keeps an idle session from being ended. */
export function useKeep(projectId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => keepTerminal(id),
    onError: (error) => reportFailure('Not kept', error),
    onSettled: () => client.invalidateQueries({ queryKey: terminalsKey(projectId) }),
  });
}
