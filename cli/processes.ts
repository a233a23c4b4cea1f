/** Which process a pid means: a pid alone may belong to a stranger, so nothing is signalled by its number only. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startTimeOf } from '@/lib/processes';
import { systemCode } from '@/lib/system-code';

/** Stands in every host's command line. */
const HOST_MARK = 'holdfast-host';
const POLL_MS = 50;
const ORPHAN_GRACE_MS = 500;

/** A process that is not mistaken for a later one with its pid. `startTime` is '' where the system does not tell it. */
export const processIdentitySchema = z.object({ pid: z.number().int().min(2), startTime: z.string() });
export type ProcessIdentity = z.infer<typeof processIdentitySchema>;

type ProcessFacts = { startTime: string; commandLine: string };

/** What the system says of a pid; null when there is no such process, or only its remains. */
export function processFacts(pid: number): ProcessFacts | null {
  if (process.platform !== 'linux') return factsFromPs(pid);
  const startTime = startTimeOf(pid);
  if (startTime === null) return null;
  try {
    return { startTime, commandLine: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(systemCode(error) ?? '')) return null;
    throw error;
  }
}

function factsFromPs(pid: number): ProcessFacts | null {
  try {
    const commandLine = execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 2_000,
    });
    return { startTime: '', commandLine };
  } catch {
    return null; // ps ends with 1 when there is no such process
  }
}

/** A host that runs now, and is known to be one. */
export type RunningHost = ProcessIdentity & { socketPath: string };

function isHost({ pid, startTime, socketPath }: RunningHost): boolean {
  const facts = processFacts(pid);
  if (!facts?.commandLine.includes(HOST_MARK)) return false;
  // Without start times, the path of the host's own socket in the command line proves it as well.
  return startTime === '' ? facts.commandLine.includes(socketPath) : facts.startTime === startTime;
}

/** The hosts of a run directory that are alive. A file that names a process which is none of them is passed over. */
export function findHosts(runDir: string): RunningHost[] {
  const directory = join(runDir, 'hosts');
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const identity = readIdentity(join(directory, name));
      return identity && { ...identity, socketPath: join(directory, name.replace(/json$/, 'sock')) };
    })
    .filter((host) => host !== null)
    .filter(isHost);
}

function readIdentity(file: string): ProcessIdentity | null {
  try {
    return processIdentitySchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null; // half written or removed at this moment, or not a host's: nothing to signal
  }
}

/** Ends every host: TERM, which ends its sessions, and KILL to those that are still there after the deadline. */
export async function endHosts(runDir: string, deadlineMs: number): Promise<number> {
  const hosts = findHosts(runDir);
  for (const host of hosts) signal(host.pid, 'SIGTERM');
  const deadline = Date.now() + deadlineMs;
  while (hosts.some(isHost) && Date.now() < deadline) await sleep(POLL_MS);
  for (const host of hosts.filter(isHost)) signal(host.pid, 'SIGKILL');
  return hosts.length;
}

/** Signals a process, or with a negative number a process group. False when it does not exist. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') return false;
    throw error;
  }
}

/** Ends a process by a signal that only it is to get; after the grace period it is killed with its group. */
export async function endLeader(leader: number, name: NodeJS.Signals, graceMs: number): Promise<void> {
  signal(leader, name);
  const deadline = Date.now() + graceMs;
  while (processFacts(leader)) {
    if (Date.now() >= deadline) return void signal(-leader, 'SIGKILL');
    await sleep(POLL_MS);
  }
}

/**
 * Ends a process group: TERM, and KILL after the grace period, or soon after its leader is gone.
 * The caller knows that the group is its own.
 */
export async function endGroup(leader: number, graceMs: number): Promise<void> {
  signal(-leader, 'SIGTERM');
  let deadline = Date.now() + graceMs;
  let isLed = true;
  while (signal(-leader, 0)) {
    if (Date.now() >= deadline) return void signal(-leader, 'SIGKILL');
    if (isLed && !processFacts(leader)) {
      // Dead members that nobody has reaped yet look alive: they must not cost the whole period.
      isLed = false;
      deadline = Math.min(deadline, Date.now() + ORPHAN_GRACE_MS);
    }
    await sleep(POLL_MS);
  }
}
