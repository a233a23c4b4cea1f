/** Host processes of a run directory: their files, how one is started, and how all are ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '@/lib/config';
import { startTimeOf } from '@/lib/processes';
import { systemCode } from '@/lib/system-code';

/** A host without sessions and connections ends itself after this time (ms), unless its gateway's beats want it. */
const IDLE_EXIT_MS = 60_000;
/** A host log longer than this (bytes) is set aside, over the one that was set aside before. */
const LOG_BYTES_MAX = 5 * 1024 * 1024;
const SOCKET_NAME = /^([a-z0-9]{8})\.sock$/;
const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** What every host of this gateway is started with. */
export type HostRecipe = {
  /** The host's program. */
  entry: string;
  /** Arguments of Node before it. */
  execArgv: string[];
  env: NodeJS.ProcessEnv;
};

/** Where a host is reached. */
export type HostAddress = { hostId: string; socketPath: string };

function hostsDir(runDir: string): string {
  return join(runDir, 'hosts');
}

/** Every host socket in the run directory, whether somebody listens or not. */
export function findHosts(runDir: string): HostAddress[] {
  const directory = hostsDir(runDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return readdirSync(directory).flatMap((name) => {
    const hostId = SOCKET_NAME.exec(name)?.[1];
    return hostId ? [{ hostId, socketPath: join(directory, name) }] : [];
  });
}

/** Removes the socket of a host that is gone. Its record stays until another host has ended what it left running. */
export function removeHostSocket(runDir: string, hostId: string): void {
  rmSync(join(hostsDir(runDir), `${hostId}.sock`), { force: true });
}

function openLog(dataDir: string): number {
  const directory = join(dataDir, 'logs');
  const file = join(directory, 'host.log');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes > LOG_BYTES_MAX) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}

/** The settings that a host is started with. */
export type SpawnConfig = Pick<
  Config,
  | 'runDir'
  | 'dataDir'
  | 'maxSessionsPerHost'
  | 'ephemeral'
  | 'logLevel'
  | 'history'
  | 'journalBytesMax'
  | 'journalKeptMs'
  | 'idleTimeoutMs'
>;

/** Starts a detached host that outlives this process. It listens a little later; see `exit` of the child for a false start. */
export function spawnHost(config: SpawnConfig, recipe: HostRecipe): HostAddress & { child: ChildProcess } {
  const hostId = Array.from({ length: 8 }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('');
  const socketPath = join(hostsDir(config.runDir), `${hostId}.sock`);
  mkdirSync(hostsDir(config.runDir), { recursive: true, mode: 0o700 });
  const options = {
    hostId,
    socketPath,
    capacity: config.maxSessionsPerHost,
    ephemeral: config.ephemeral,
    logLevel: config.logLevel,
    idleExitMs: IDLE_EXIT_MS,
    history: config.history,
    journal: {
      directory: join(config.dataDir, 'journal'),
      bytesMax: config.journalBytesMax,
      keptMs: config.journalKeptMs,
    },
    idleTimeoutMs: config.idleTimeoutMs,
  };
  const log = openLog(config.dataDir);
  try {
    const child = spawn(
      process.execPath,
      [...recipe.execArgv, recipe.entry, 'holdfast-host', JSON.stringify(options)],
      { detached: true, stdio: ['ignore', log, log], cwd: '/', env: recipe.env },
    );
    child.unref();
    return { hostId, socketPath, child };
  } finally {
    closeSync(log);
  }
}

const processFactsSchema = z.object({ pid: z.number().int().min(2), startTime: z.string() });

/** The pid of a running host, or null: a pid that was given to another process since is not a host. */
export function hostPid(runDir: string, hostId: string): number | null {
  let facts: z.infer<typeof processFactsSchema>;
  try {
    const text = readFileSync(join(hostsDir(runDir), `${hostId}.json`), 'utf8');
    facts = processFactsSchema.parse(JSON.parse(text));
  } catch {
    return null; // not written yet, removed, or not ours: nothing here may be signalled
  }
  return startTimeOf(facts.pid) === facts.startTime ? facts.pid : null;
}

/** Tells a running host to end its sessions and itself. */
export function terminateHost(runDir: string, hostId: string): void {
  const pid = hostPid(runDir, hostId);
  if (pid === null) return;
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}

/** Resident memory of a process (bytes); 0 where the kernel does not tell. */
export function residentBytes(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0; // it has just ended, or there is no /proc
  }
}
