/** Which host process wrote a journal, whether it still runs, and why it may have died. */
import { existsSync, readFileSync } from 'node:fs';
import type { ExitFacts } from '@/lib/protocol/control';
import type { EndReason } from '@/lib/protocol/wire';
import type { Writer } from './journal-format';
import { isAlive, startTimeOf } from './processes';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // not Linux, a cgroup that is gone, or none of ours to read: then it is not known
  }
}

function bootId(): string {
  return readText(BOOT_ID).trim();
}

/** The file in which the kernel counts what it has ended for memory in this process' cgroup, else on the machine. */
function oomFile(): string {
  for (const line of readText('/proc/self/cgroup').split('\n')) {
    const [, controllers, path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const candidates =
      controllers === ''
        ? [`/sys/fs/cgroup${path}/memory.events`]
        : controllers === 'memory'
          ? [`/sys/fs/cgroup/memory${path}/memory.oom_control`, '/sys/fs/cgroup/memory/memory.oom_control']
          : [];
    const found = candidates.find((file) => existsSync(file));
    if (found) return found;
  }
  return '/proc/vmstat';
}

function countOomKills(file: string): number | null {
  const count = /^oom_kill (\d+)$/m.exec(readText(file))?.[1];
  return count === undefined ? null : Number(count);
}

/** This process as the writer of journals. Called again from time to time: a kill that it survived is not its own. */
export function describeWriter(hostId: string): Writer {
  const file = oomFile();
  const count = countOomKills(file);
  return {
    hostId,
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    bootId: bootId(),
    oomKills: count === null ? null : { file, count },
  };
}

/** Whether the writer still runs: its sessions are its own then. */
export function isWriting({ pid, startTime, bootId: bootedAs }: Writer): boolean {
  return bootedAs === bootId() && isAlive({ pid, startTime });
}

/** How a session ended whose writer does not run any more; `at` is when it was last heard of (ms since 1970). */
export function lossOf(writer: Writer, at: number): ExitFacts {
  return { code: -1, signal: 0, at, reason: reasonOfLoss(writer) };
}

/** A kill for memory is told by the kernel's count. */
function reasonOfLoss({ bootId: bootedAs, oomKills }: Writer): EndReason {
  if (bootedAs !== bootId()) return 'reboot';
  const count = oomKills && countOomKills(oomKills.file);
  return oomKills && count !== null && count > oomKills.count ? 'oom' : 'host-crash';
}
