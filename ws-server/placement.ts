/** Which host a new session goes to. */

/** What counts of a host. */
export type Candidate = {
  /** Sessions that it has or that are on their way, and how many it takes. */
  readonly taken: number;
  readonly capacity: number;
  /** Whether its process listens; another is still starting. */
  readonly isReady: boolean;
  readonly isBusy: boolean;
  /** Share of one core. */
  readonly cpu: number;
};

function hasRoom({ taken, capacity }: Candidate): boolean {
  return taken < capacity;
}

/**
 * Among the quiet hosts with room the fullest, so that the others drain; one that is still starting only when no other is
 * quiet. Null when all are full or busy.
 */
export function pickQuiet<T extends Candidate>(hosts: readonly T[]): T | null {
  const quiet = hosts.filter((host) => hasRoom(host) && !host.isBusy);
  const ready = quiet.filter(({ isReady }) => isReady);
  return best(ready.length > 0 ? ready : quiet, ({ taken }) => taken);
}

/** When no host is quiet and no more can be had: the one with room that is least busy. */
export function pickCalmest<T extends Candidate>(hosts: readonly T[]): T | null {
  return best(hosts.filter(hasRoom), ({ cpu }) => -cpu);
}

/** The first of those that score highest. */
function best<T>(hosts: readonly T[], score: (host: T) => number): T | null {
  let found: T | null = null;
  for (const host of hosts) if (!found || score(host) > score(found)) found = host;
  return found;
}
