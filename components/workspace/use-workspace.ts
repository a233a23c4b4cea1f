'use client';
/** The state of one workspace page: its project, its tabs, which tab is in front, and everything that can be done to them. */
import { useRouter } from 'next/navigation';
import { useReducer, useRef, useState } from 'react';
import {
  useChangeTab,
  useCloseTab,
  useCreateTerminal,
  useKeep,
  useProjects,
  useRestart,
  useTerminals,
} from '@/components/data/queries';
import type { TerminalHandle } from '@/components/terminal/terminal-view';
import { attachTerminal, readTerminal } from '@/lib/client/api';
import type { Ticket } from '@/lib/client/link';
import type { SessionType } from '@/lib/protocol/control';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import { focusTab, focusTerminal } from './focus';
import { attention, NO_MARKS, reduceMarks } from './marks';
import { freeTabName, moveTab, runningProgram } from './tabs';

/** A ticket from a create or restart is used only while it is surely good (ms). */
const TICKET_FRESH_MS = 15_000;

/** A session as its tab shows it. */
export type Tab = TerminalSession & { isActive: boolean; isOpened: boolean; attention: 'bell' | 'output' | null };

/** What `useWorkspace` gives. */
export type Workspace = ReturnType<typeof useWorkspace>;

function useTickets() {
  const fresh = useRef(new Map<string, { ticket: Ticket; at: number }>());
  return {
    keep(id: string, ticket: Ticket): void {
      fresh.current.set(id, { ticket, at: Date.now() });
    },
    /** The ticket that came with the session, once, or a new one. */
    take(id: string): Promise<Ticket> {
      const kept = fresh.current.get(id);
      fresh.current.delete(id);
      if (kept && Date.now() - kept.at < TICKET_FRESH_MS) return Promise.resolve(kept.ticket);
      return attachTerminal(id, 'write');
    },
  };
}

/** `isEphemeral`: Holdfast writes nothing, and ends its sessions with itself. */
export type WorkspaceOptions = { project: Project; firstTab: string | null; isEphemeral: boolean };

/** Everything that the parts of the page show and do. */
export function useWorkspace({ project, firstTab, isEphemeral }: WorkspaceOptions) {
  const router = useRouter();
  // The address follows this state: a render that waits for the router would be felt at each switch.
  const [front, setFront] = useState(firstTab);
  const { terminals = [], isPending, error, refetch } = useTerminals(project.id);
  const { projects = [] } = useProjects();
  const changing = useChangeTab(project.id);
  const closing = useCloseTab(project.id);
  const tickets = useTickets();
  const creating = useCreateTerminal(project, tickets.keep);
  const restarting = useRestart(project.id, tickets.keep);
  const [marks, mark] = useReducer(reduceMarks, NO_MARKS);
  const [renamingId, setRenamingId] = useState<string | null>(null);
  const keeping = useKeep(project.id);
  const [handles, setHandles] = useState<ReadonlyMap<string, TerminalHandle>>(new Map());
  const [asking, setAsking] = useState<TerminalSession | null>(null);

  const active = terminals.find(({ id }) => id === front) ?? terminals[0] ?? null;
  const unmet = terminals.filter(({ id }) => marks.seen[id] === undefined);
  if (unmet.length > 0) mark({ type: 'met', sessions: unmet });
  if (active && (!marks.opened.has(active.id) || marks.bells.has(active.id))) mark({ type: 'shown', id: active.id });

  const tabs: Tab[] = terminals.map((session) => ({
    ...session,
    isActive: session.id === active?.id,
    isOpened: marks.opened.has(session.id),
    attention: session.id === active?.id ? null : attention(marks, session),
  }));

  function show(id: string): void {
    if (active && active.id !== id) mark({ type: 'left', id: active.id, at: Date.now() });
    setFront(id);
    const url = new URL(window.location.href);
    url.searchParams.set('tab', id);
    window.history.replaceState(null, '', url);
    if (active?.id === id) focusTerminal(id);
  }

  function create(type: SessionType): void {
    if (creating.isPending) return;
    const tabName = freeTabName(
      type,
      terminals.map((session) => session.tabName),
    );
    creating.mutate({ type, tabName }, { onSuccess: ({ session }) => show(session.id) });
  }

  function end(id: string): void {
    const index = terminals.findIndex((session) => session.id === id);
    const next = terminals[index + 1] ?? terminals[index - 1];
    const hadFocus = document.activeElement?.id === `tab-${id}`;
    if (active?.id === id && next) show(next.id);
    else if (hadFocus && next) focusTab(next.id);
    closing.mutate(id);
  }

  /** Asks first when something runs; the server is asked what runs now, and what the page knows is the second choice. */
  async function close(session: TerminalSession): Promise<void> {
    const now = await readTerminal(session.id).catch(() => session);
    if (runningProgram(now)) setAsking(now);
    else end(session.id);
  }

  return {
    project,
    projects,
    isEphemeral,
    tabs,
    active: tabs.find(({ isActive }) => isActive) ?? null,
    isLoading: isPending,
    /** Why there are no tabs to show, if that is a failure. */
    error: terminals.length === 0 ? error : null,
    reload: () => void refetch(),
    isCreating: creating.isPending,
    renamingId,
    asking,
    show,
    create,
    close,
    end,
    stopAsking: () => setAsking(null),
    rename: setRenamingId,
    setName(id: string, tabName: string): void {
      setRenamingId(null);
      const old = terminals.find((session) => session.id === id)?.tabName;
      if (tabName !== '' && tabName !== old) changing.mutate({ id, tabName });
    },
    move(id: string, index: number): void {
      for (const change of moveTab(terminals, id, index)) changing.mutate(change);
    },
    restart({ id, rev }: TerminalSession): void {
      if (restarting.isPending) return;
      focusTerminal(id);
      restarting.mutate({ id, rev });
    },
    /** Keeps an idle session from being ended. */
    keep: (id: string) => keeping.mutate(id),
    /** What a terminal that is open on this page lets others do with it. */
    takeHandle: (id: string, handle: TerminalHandle | null) =>
      setHandles((known) => new Map(handle ? [...known, [id, handle]] : [...known].filter(([other]) => other !== id))),
    hasHandle: (id: string) => handles.has(id),
    /** The terminal of the tab in front, once it is open. */
    handle: (active && handles.get(active.id)) ?? null,
    showHistory(id: string): void {
      show(id);
      handles.get(id)?.showHistory();
    },
    ring: (id: string) => mark({ type: 'bell', id }),
    takeTicket: tickets.take,
    goTo: (projectId: string) => router.push(`/projects/${projectId}`),
  };
}
