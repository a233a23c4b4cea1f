/** All processes of the machine at one moment, and which of them belong to a session. */
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { hostIdOf } from './host-record';
import { allPids, orNull, type ProcessRef, readStat, type Stat } from './processes';

/** Processes read before others get their turn. */
const SLICE = 32;

/** A process, with what its environment says of the session that it was started in, and its mark when it is a pty host. */
export type Process = Stat & { carries: { session: string; host: string } | null; hostMark: string | null };

/** Every process that runs, by pid; zombies are left out. Empty where the kernel does not tell. */
export type Census = ReadonlyMap<number, Process>;

/** What tells the processes of one session from all others. */
export type Belonging = {
  /** What the environment of its processes holds: `HOLDFAST_SESSION` and `HOLDFAST_HOST`. */
  id: string;
  mark: string;
  /** Its shell, and processes that are known to be its own: what they start is, too. */
  leader: ProcessRef | null;
  known: readonly ProcessRef[];
  /** What runs in its cgroup. */
  grouped: readonly number[];
};

/** The value of `HOLDFAST_HOST`: a pid alone would be somebody else's one day, with its start time it never is. */
export function markOf(hostId: string, { pid, startTime }: ProcessRef): string {
  return `${hostId}:${pid}:${startTime}`;
}

let running: Promise<Census> | null = null;
let next: Promise<Census> | null = null;

/** Looks at all processes, from now on. Who asks while a census is being taken shares the one after it. */
export function takeCensus(): Promise<Census> {
  if (!running) {
    running = look().finally(() => {
      running = null;
    });
    return running;
  }
  next ??= running.then(() => {
    next = null;
    return takeCensus();
  });
  return next;
}

async function look(): Promise<Census> {
  const census = new Map<number, Process>();
  for (const [n, pid] of allPids().entries()) {
    if (n % SLICE === SLICE - 1) await turn();
    const stat = readStat(pid);
    if (stat && !stat.isZombie) census.set(pid, { ...stat, carries: carriedBy(pid), hostMark: hostMarkOf(stat) });
  }
  return census;
}

/** A host was started detached, so that it leads a session of the kernel. */
function hostMarkOf(stat: Stat): string | null {
  const hostId = stat.session === stat.pid ? hostIdOf(stat) : null;
  return hostId === null ? null : markOf(hostId, stat);
}

/** What the environment says with which the process was started; that of other users cannot be read. */
function carriedBy(pid: number): Process['carries'] {
  const environment = orNull(() => readFileSync(`/proc/${pid}/environ`, 'latin1')) ?? '';
  const session = valueIn(environment, 'HOLDFAST_SESSION');
  const host = valueIn(environment, 'HOLDFAST_HOST');
  return session && host ? { session, host } : null;
}

function valueIn(environment: string, name: string): string | null {
  const start = `\0${environment}`.indexOf(`\0${name}=`);
  if (start < 0) return null;
  const from = start + name.length + 1;
  const end = environment.indexOf('\0', from);
  return environment.slice(from, end < 0 ? undefined : end);
}

/**
 * The processes of a session: its shell and whatever that started, told by descent, by the kernel's session of its terminal, by
 * cgroup, and by the environment, which also finds what has left all of these. Hosts of a Holdfast that was started in it are
 * not, and nothing that runs in them.
 */
export function membersOf(census: Census, { id, mark, leader, known, grouped }: Belonging): Process[] {
  const members = new Map<number, Process>();
  const given = leader ? [leader, ...known] : known;
  for (const ref of given) {
    const process = census.get(ref.pid);
    if (process?.startTime === ref.startTime) members.set(process.pid, process);
  }
  const start = new Set(members.keys());
  const add = (process: Process | undefined) => {
    if (!process || process.pid <= 1 || members.has(process.pid)) return;
    if (!isOfOtherHost(census, process, mark, start)) members.set(process.pid, process);
  };
  // The number of a kernel session is not given away as long as somebody is in it: who is in it with one of ours is ours.
  const terminal = leader?.pid;
  const isTerminalOurs = [...members.values()].some(({ session }) => session === terminal);
  for (const pid of grouped) add(census.get(pid));
  for (const process of census.values()) {
    if (isTerminalOurs && process.session === terminal) add(process);
    if (process.carries?.session === id && process.carries.host === mark) add(process);
  }
  for (let isGrowing = true; isGrowing; ) {
    const before = members.size;
    for (const process of census.values()) if (members.has(process.parent)) add(process);
    isGrowing = members.size > before;
  }
  return [...members.values()];
}

/** Whether a process is another host's, or that host itself: by descent, and when that leads nowhere by its environment. */
function isOfOtherHost(census: Census, process: Process, mark: string, own: ReadonlySet<number>): boolean {
  const seen = new Set<number>();
  for (let at: Process | undefined = process; at && !seen.has(at.pid); at = census.get(at.parent)) {
    if (at.hostMark !== null) return at.hostMark !== mark;
    if (own.has(at.pid) || at.carries?.host === mark) return false;
    seen.add(at.pid);
  }
  const carried = process.carries?.host;
  return carried !== undefined && [...census.values()].some(({ hostMark }) => hostMark === carried);
}
