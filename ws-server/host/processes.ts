/** What the kernel knows of a session's processes, from /proc. Where there is no /proc the answers are empty. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One process, named by pid and start time: a pid alone may be somebody else's by now. */
export type ProcessRef = { pid: number; startTime: string };

/** A process as `/proc/<pid>/stat` shows it. */
export type Stat = ProcessRef & {
  command: string;
  isZombie: boolean;
  parent: number;
  group: number;
  session: number;
  foregroundGroup: number;
  /** Time on the processor, in ticks of the kernel. */
  cpuTicks: number;
};

const GONE = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];
/** This process has no handle left: nothing can be said for the moment. */
const BLIND = ['EMFILE', 'ENFILE'];

/** Reads something of a process that may be gone meanwhile; then null. */
export function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if ([...GONE, ...BLIND].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** The pids of all processes that can be seen. */
export function allPids(): number[] {
  const names = orNull(() => readdirSync('/proc')) ?? [];
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

/** `/proc/<pid>/stat`, see proc(5): fields 2 to 8, 14, 15 and 22. The command may hold spaces and parentheses. */
export function readStat(pid: number): Stat | null {
  const text = orNull(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (text === null) return null;
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  return {
    pid,
    command: Buffer.from(text.slice(text.indexOf('(') + 1, end), 'latin1').toString(),
    isZombie: fields[0] === 'Z' || fields[0] === 'X',
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    foregroundGroup: Number(fields[5]),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
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

/** The arguments that a process was started with, or null. */
export function argumentsOf(pid: number): string[] | null {
  return (
    orNull(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
      ?.split('\0')
      .slice(0, -1) ?? null
  );
}

/** The process group in the foreground of the terminal of `leader`, or null. */
export function foregroundGroupOf(leader: number): number | null {
  const group = readStat(leader)?.foregroundGroup ?? 0;
  return group > 0 ? group : null;
}

/** Signals a process if it still is the one that was meant; 0 only asks. False when it is gone, or is not ours to signal. */
export function signal(ref: ProcessRef, name: NodeJS.Signals | 0): boolean {
  if (ref.startTime !== '' && !isAlive(ref)) return false;
  try {
    return process.kill(ref.pid, name);
  } catch (error) {
    if (['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
