/** What the kernel knows of processes and of the machine (Linux, `/proc`). */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';

const TICKS_PER_S = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const PTY_MASTER = /\/ptmx$/;

/** Memory and CPU of some processes together. */
export type Usage = { rss: number; pss: number };

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // the process has ended
  }
}

function kibibytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
}

/** The pids below a process, itself included. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(/^PPid:\s+(\d+)$/m.exec(read(`/proc/${name}/status`))?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Resident memory and its proportional share, where shared pages count once (bytes). */
export function memoryOf(pids: readonly number[]): Usage {
  let [rss, pss] = [0, 0];
  for (const pid of pids) {
    const rollup = read(`/proc/${pid}/smaps_rollup`);
    rss += kibibytes(rollup, 'Rss');
    pss += kibibytes(rollup, 'Pss');
  }
  return { rss, pss };
}

/** Resident memory (bytes); cheaper than `memoryOf`. */
export function residentOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + kibibytes(read(`/proc/${pid}/status`), 'VmRSS'), 0);
}

/** Lets the kernel's high-water mark of resident memory start again. */
export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // it has ended
    }
  }
}

/** The sum of the high-water marks since `resetPeak` (bytes). */
export function peakOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + kibibytes(read(`/proc/${pid}/status`), 'VmHWM'), 0);
}

/** CPU seconds that each process has used, its ended children not counted. */
export function cpuOf(pids: readonly number[]): Map<number, number> {
  return new Map(
    pids.map((pid) => {
      const text = read(`/proc/${pid}/stat`);
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return [pid, (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_S];
    }),
  );
}

/** CPU seconds between two readings; a process that is new counts from its start. */
export function cpuBetween(before: Map<number, number>, after: Map<number, number>): number {
  let sum = 0;
  for (const [pid, seconds] of after) sum += Math.max(0, seconds - (before.get(pid) ?? 0));
  return sum;
}

/** Open handles, and how many of them are masters of ptys. */
export function handlesOf(pids: readonly number[]): { handles: number; ptys: number } {
  let [handles, ptys] = [0, 0];
  for (const pid of pids) {
    for (const target of handleTargets(pid)) {
      handles += 1;
      if (PTY_MASTER.test(target)) ptys += 1;
    }
  }
  return { handles, ptys };
}

function handleTargets(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return ''; // closed meanwhile
      }
    });
  } catch {
    return []; // the process has ended
  }
}

/** The 1-minute load. */
export function load(): number {
  return loadavg()[0] ?? Number.NaN;
}

/** One line that names this machine. */
export function machine(): string {
  const all = cpus();
  return `${all.length} × ${all[0]?.model ?? 'unknown CPU'}, Node ${process.version}, ${process.platform}`;
}
