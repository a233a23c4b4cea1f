/** What the user has not seen yet: new output and bells of tabs that are out of sight, and which tabs were opened. */
import type { TerminalSession } from '@/lib/protocol/rest';

/** Per session id. `seen` is until when the user knows what it did (ms since 1970). */
export type Marks = {
  seen: Readonly<Record<string, number>>;
  bells: ReadonlySet<string>;
  opened: ReadonlySet<string>;
};

export type MarkEvent =
  /** Sessions that this page has not met before: what they did until now counts as seen. */
  | { type: 'met'; sessions: readonly TerminalSession[] }
  | { type: 'shown'; id: string }
  | { type: 'left'; id: string; at: number }
  | { type: 'bell'; id: string };

/** Nothing was seen yet. */
export const NO_MARKS: Marks = { seen: {}, bells: new Set(), opened: new Set() };

function without(set: ReadonlySet<string>, id: string): ReadonlySet<string> {
  if (!set.has(id)) return set;
  return new Set([...set].filter((other) => other !== id));
}

/** When the session last did something, its end included (ms since 1970). */
function lastNewsAt({ lastActivity, createdAt, exit }: TerminalSession): number {
  return Math.max(Date.parse(lastActivity ?? createdAt), exit?.at ?? 0);
}

/** The marks after an event. */
export function reduceMarks(marks: Marks, event: MarkEvent): Marks {
  switch (event.type) {
    case 'met': {
      const met = event.sessions.map((session) => [session.id, lastNewsAt(session)]);
      return { ...marks, seen: { ...Object.fromEntries(met), ...marks.seen } };
    }
    case 'shown':
      return { ...marks, bells: without(marks.bells, event.id), opened: new Set([...marks.opened, event.id]) };
    case 'left':
      return { ...marks, seen: { ...marks.seen, [event.id]: event.at } };
    case 'bell':
      return { ...marks, bells: new Set([...marks.bells, event.id]) };
  }
}

/** Why a tab that is out of sight wants attention, if it does. */
export function attention(marks: Marks, session: TerminalSession): 'bell' | 'output' | null {
  if (marks.bells.has(session.id)) return 'bell';
  const seen = marks.seen[session.id];
  return seen !== undefined && lastNewsAt(session) > seen ? 'output' : null;
}
