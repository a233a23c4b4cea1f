/** Rules of tabs that need no screen: their names, their order, what an end is called, and when closing asks. */
import { describeEnding, isFailedExit } from '@/lib/client/endings';
import type { SessionType } from '@/lib/protocol/control';
import type { TerminalSession } from '@/lib/protocol/rest';

/** The name that a new tab gets: `Shell`, `Shell 2`, ... */
export function freeTabName(type: SessionType, taken: readonly string[]): string {
  const base = type === 'claude' ? 'Claude' : 'Shell';
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? base : `${base} ${number}`;
    if (!taken.includes(name)) return name;
  }
}

/**
 * The changes of position that bring a tab to an index of the strip. Usually one: halfway between its neighbours. When
 * halving has no room left, every tab gets a whole number again.
 */
export function moveTab(
  tabs: readonly Pick<TerminalSession, 'id' | 'position'>[],
  id: string,
  index: number,
): { id: string; position: number }[] {
  const rest = tabs.filter((tab) => tab.id !== id);
  const before = rest[index - 1]?.position;
  const after = rest[index]?.position;
  if (before === undefined && after === undefined) return [];
  if (before === undefined) return [{ id, position: (after ?? 0) - 1 }];
  if (after === undefined) return [{ id, position: before + 1 }];
  const middle = before + (after - before) / 2;
  if (middle > before && middle < after) return [{ id, position: middle }];
  const order = [...rest.slice(0, index).map((tab) => tab.id), id, ...rest.slice(index).map((tab) => tab.id)];
  return order.map((name, place) => ({ id: name, position: place + 1 }));
}

/** Whether the session has a living program. */
function isLive({ status }: Pick<TerminalSession, 'status'>): boolean {
  return ['creating', 'active', 'inactive', 'terminating', 'unreachable'].includes(status);
}

/** Whether the session can be started again. */
export function canRestart({ status }: Pick<TerminalSession, 'status'>): boolean {
  return ['ended', 'error', 'lost'].includes(status);
}

/** What closing the tab would end, or null when there is nothing to lose. */
export function runningProgram(session: TerminalSession): string | null {
  if (!isLive(session)) return null;
  return session.foreground ?? (session.type === 'claude' ? 'Claude' : null);
}

/** How a session ended, in a word or two; null while it has not. */
export function exitText({ exit, status }: Pick<TerminalSession, 'exit' | 'status'>): string | null {
  return status === 'ended' && exit ? describeEnding(exit).word : null;
}

/** Whether the program failed; one that others ended, or that was lost, did not. */
export function isFailure({ exit }: Pick<TerminalSession, 'exit'>): boolean {
  return exit !== undefined && isFailedExit(exit);
}
