/** The data directory, the run directory and the logs, for their owner only. */
import { accessSync, closeSync, constants, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '@/lib/config';
import { systemCode } from '@/lib/system-code';
import { CommandError } from './command-error';

/** A log that is longer at start is kept as `.1` and begun anew (bytes). */
const LOG_BYTES_MAX = 5 * 1024 * 1024;
const TAIL_BYTES = 16 * 1024;
const LOGS = ['web', 'sidecar', 'host', 'database'] as const;

/** Makes the directories with mode 0700, and refuses ones that other users can enter. */
export function prepareDirectories(config: Config): void {
  makePrivate(config.dataDir, 'HOLDFAST_DATA_DIR');
  makePrivate(config.runDir, 'HOLDFAST_RUN_DIR');
  makePrivate(join(config.dataDir, 'logs'), 'HOLDFAST_DATA_DIR');
}

/** Refuses a shell that cannot be run, and roots that are not there: every terminal would fail later. */
export function checkPaths({ shell, roots }: Pick<Config, 'shell' | 'roots'>): void {
  const problems = roots
    .filter((root) => !statSync(root, { throwIfNoEntry: false })?.isDirectory())
    .map((root) => `HOLDFAST_ROOTS: there is no directory ${root}.`);
  if (!isProgram(shell)) problems.push(`HOLDFAST_SHELL: ${shell} is no program that can be run.`);
  if (problems.length > 0) throw new CommandError(problems);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false; // not there, or not to be run
  }
}

/** Puts long logs aside. Only the launcher that runs may do it. */
export function rotateLogs(config: Config): void {
  for (const name of LOGS) {
    const file = logFile(config, name);
    const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (size > LOG_BYTES_MAX) renameSync(file, `${file}.1`);
  }
}

function makePrivate(path: string, setting: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CommandError(`${setting}: ${path} cannot be made (${systemCode(error)}). Choose another directory.`);
  }
  const { uid, mode } = statSync(path);
  const owner = process.getuid?.() ?? uid;
  if (uid !== owner) throw new CommandError(`${setting}: ${path} belongs to another user. Choose another directory.`);
  if ((mode & 0o077) !== 0) {
    throw new CommandError(
      `${setting}: other users can enter ${path}. Run \`chmod 700 ${path}\`, or choose another directory.`,
    );
  }
}

/** Where a process writes its log. */
export function logFile(config: Config, name: (typeof LOGS)[number]): string {
  return join(config.dataDir, 'logs', `${name}.log`);
}

/** The last lines of a file; none when it does not exist. */
export function tailOf(file: string, lines: number): string[] {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
  if (buffer.length === 0) return [];
  const handle = openSync(file, 'r');
  try {
    const read = readSync(handle, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8', 0, read).trimEnd().split('\n').slice(-lines);
  } finally {
    closeSync(handle);
  }
}
