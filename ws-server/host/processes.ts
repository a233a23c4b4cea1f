/** What the kernel knows of a session's processes, from /proc. Where there is no /proc the answers are empty. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One process, named by pid and start time: a pid alone may be somebody else's by now. */
export type ProcessRef = { pid: number; startTime: string };

type Stat = ProcessRef & {
  command: string;
  isZombie: boolean;
  group: number;
  session: number;
  foregroundGroup: number;
};

/** Reads something of a process that may be gone meanwhile; then null. */
function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** `/proc/<pid>/stat`, see proc(5): fields 2, 3, 5, 6, 8 and 22. The command may hold spaces and parentheses. */
function readStat(pid: number): Stat | null {
  const text = orNull(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  if (text === null) return null;
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  return {
    pid,
    command: text.slice(text.indexOf('(') + 1, end),
    isZombie: fields[0] === 'Z' || fields[0] === 'X',
    group: Number(fields[2]),
    session: Number(fields[3]),
    foregroundGroup: Number(fields[5]),
    startTime: fields[19] ?? '',
  };
}

/** The start time of a process as the kernel counts it, '' when it cannot be told. */
export function startTimeOf(pid: number): string {
  return readStat(pid)?.startTime ?? '';
}

/** Whether the process still is the one that was meant, and runs. */
export function isAlive({ pid, startTime }: ProcessRef): boolean {
  const stat = readStat(pid);
  return stat?.startTime === startTime && !stat.isZombie;
}

/** The working directory of a process, or null. */
export function workingDirectoryOf(pid: number): string | null {
  return orNull(() => readlinkSync(`/proc/${pid}/cwd`))?.replace(/ \(deleted\)$/, '') ?? null;
}

/**
 * The command that runs in the terminal of `leader` other than the leader itself: the foreground job, else a background job.
 * Null at a bare prompt.
 */
export function runningCommand(leader: number): string | null {
  const stat = readStat(leader);
  if (!stat) return null;
  if (stat.foregroundGroup > 0 && stat.foregroundGroup !== stat.group) {
    return readStat(stat.foregroundGroup)?.command ?? null;
  }
  const children = orNull(() => readFileSync(`/proc/${leader}/task/${leader}/children`, 'utf8')) ?? '';
  const child = children.split(' ').find((pid) => pid !== '');
  return child ? (readStat(Number(child))?.command ?? null) : null;
}

/** The name of a process, or null. */
export function commandOf(pid: number): string | null {
  return readStat(pid)?.command ?? null;
}

/** The process group in the foreground of the terminal of `leader`, or null. */
export function foregroundGroupOf(leader: number): number | null {
  const group = readStat(leader)?.foregroundGroup ?? 0;
  return group > 0 ? group : null;
}

/** All processes of the kernel session that `leader` leads: its jobs, in foreground and background. */
export function sessionMembers(leader: number): ProcessRef[] {
  const pids = orNull(() => readdirSync('/proc')) ?? [];
  return pids
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(Number(name)))
    .filter((stat) => stat !== null)
    .filter(({ session, isZombie }) => session === leader && !isZombie)
    .map(({ pid, startTime }) => ({ pid, startTime }));
}

/** Signals a process if it still is the one that was meant. False when it is gone. */
export function signal(ref: ProcessRef, name: NodeJS.Signals): boolean {
  if (ref.startTime !== '' && !isAlive(ref)) return false;
  try {
    return process.kill(ref.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
