/** The database that Holdfast brings along: a Postgres for one data directory, owned by the launcher. */
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '@/lib/config';
import { loadSecret, secretFile } from '@/lib/secrets';
import { systemCode } from '@/lib/system-code';
import { DATABASE_END_SIGNAL, recordChild } from './child-record';
import { logFile, tailOf } from './directories';
import {
  EmbeddedError,
  embeddedPlace,
  findPrograms,
  lastWords,
  makePrivate,
  PLAIN_ENVIRONMENT,
  type Place,
  type Programs,
  preparePlace,
  runAs,
} from './embedded-place';
import { processFacts } from './processes';
import { SupervisedChild } from './supervise';

const INIT_DEADLINE_MS = 60_000;
const READY_DEADLINE_MS = 10_000;
const READY_POLL_MS = 10;
/** A server that ends so often before it is ready is given up. */
const ATTEMPTS_MAX = 3;
const STOP_GRACE_MS = 4_000;
const USER = 'holdfast';
/** Names the socket; nobody listens on it. */
const SOCKET_PORT = 5432;

/** One user, small records: little memory, few processes. What is acknowledged is on disk, as by default. */
const SERVER_SETTINGS = [
  'listen_addresses=',
  `port=${SOCKET_PORT}`,
  'unix_socket_permissions=0700',
  'shared_buffers=16MB',
  'max_connections=20',
  'io_method=sync',
  'jit=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_wal_size=128MB',
  'max_worker_processes=0',
  'max_logical_replication_workers=0',
  'autovacuum_max_workers=1',
  'autovacuum_worker_slots=1',
  'log_line_prefix=%m [%p] ',
];

type EmbeddedOptions = { config: Config; say: (line: string) => void };

/** The database of one launcher. */
export class EmbeddedDatabase {
  readonly #options: EmbeddedOptions;
  #child: SupervisedChild | null = null;
  #isReady = false;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
  }

  /** Its main process. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Starts it where the settings want it, and gives the settings with its address, which opens it: for web only. When it cannot run, records are in memory:
   * that is said in one line, and noted in the settings.
   */
  async start(signal: AbortSignal): Promise<Config> {
    const { config, say } = this.#options;
    if (!config.wantsEmbedded) return config;
    try {
      const place = embeddedPlace(config);
      const password = await this.#start(place, signal);
      const user = `${USER}:${encodeURIComponent(password)}`;
      const address = `postgres://${user}@localhost:${SOCKET_PORT}/postgres?host=${encodeURIComponent(place.sockets)}`;
      return { ...config, store: 'embedded', storeNote: undefined, databaseUrl: address };
    } catch (error) {
      await this.stop();
      if (signal.aborted) return config;
      const why = error instanceof EmbeddedError ? error.message : whyOf(error);
      say(`Projects and tabs are kept in memory only: the embedded database cannot run, because ${why}.`);
      const inMemory = { store: 'memory' as const, databaseUrl: undefined };
      return { ...config, ...inMemory, storeNote: `The embedded database cannot run, because ${why}.` };
    }
  }

  /** Ends it in order. Whoever uses it has ended before. */
  async stop(): Promise<void> {
    await this.#child?.stop(STOP_GRACE_MS);
  }

  /** Ends it at once: its log of changes makes the next start whole. */
  kill(): void {
    this.#child?.kill();
  }

  /** @returns the password */
  async #start(place: Place, signal: AbortSignal): Promise<string> {
    const { config, say } = this.#options;
    const { owner, data, sockets } = place;
    preparePlace(place, config.dataDir);
    const programs = await findPrograms(owner);
    const isThere = existsSync(join(data, 'PG_VERSION'));
    if (isThere) checkVersion(data, programs);
    const password = passwordOf(config.dataDir, place, isThere);
    if (!isThere) await initialise(place, programs, { password, signal });
    removeStrayLock(data);
    if (signal.aborted) return password;
    const settings = [...SERVER_SETTINGS, `unix_socket_directories="${sockets.replaceAll('"', '""')}"`];
    this.#child = new SupervisedChild(
      {
        name: 'database',
        command: programs.postgres,
        args: ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
        env: PLAIN_ENVIRONMENT,
        output: { file: logFile(config, 'database') },
        endSignal: DATABASE_END_SIGNAL,
        ...(owner && { owner }),
      },
      {
        say: (line) => this.#isReady && say(line), // until then, `start` tells what went wrong
        onStart: (identity) => recordChild(config.runDir, 'database', identity),
      },
    );
    await this.#waitUntilReady(this.#child, data, signal);
    this.#isReady = true;
    return password;
  }

  /** Returns after a time also when it is not ready: it may have to replay its log, and web knows how to wait. */
  async #waitUntilReady(child: SupervisedChild, data: string, signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + READY_DEADLINE_MS;
    while (!signal.aborted && Date.now() < deadline) {
      const lock = readLock(data);
      if (lock?.status === 'ready' && lock.pid === child.pid) return;
      if (child.quickDeaths >= ATTEMPTS_MAX) {
        const log = logFile(this.#options.config, 'database');
        const last = tailOf(log, 20).findLast((line) => /FATAL|PANIC/.test(line));
        throw new EmbeddedError(`${last?.replace(/^.*?(FATAL|PANIC): +/, '') ?? 'it does not start'} (see ${log})`);
      }
      await sleep(READY_POLL_MS);
    }
  }
}

function whyOf(error: unknown): string {
  const code = systemCode(error);
  return code && error instanceof Error ? error.message : `of an unexpected failure (${String(error)})`;
}

/** Lies in Holdfast's own data directory, which the database's user does not enter. Data that is there knows no other. */
function passwordOf(dataDir: string, { data }: Place, isThere: boolean): string {
  const file = secretFile(dataDir, 'database.password');
  const password = isThere && !existsSync(file) ? '' : loadSecret(dataDir, 'database.password');
  if (password !== '') return password;
  throw new EmbeddedError(
    `${file} holds no password for ${data}, which is left as it is; bring the file back, or remove both to begin anew`,
  );
}

/**
 * A directory appears under its name only when it is whole. Root's database runs as a user whom other daemons may run as: they could
 * enter its socket's directory, so the password and not the directory keeps them out.
 */
async function initialise(
  { data, owner }: Place,
  { initdb }: Programs,
  { password, signal }: { password: string; signal: AbortSignal },
): Promise<void> {
  const fresh = `${data}.new`;
  const passwordFile = `${data}.password`;
  for (const path of [fresh, passwordFile]) rmSync(path, { recursive: true, force: true });
  makePrivate(fresh, owner);
  const settings = ['--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--encoding=UTF8', '--locale=C'];
  try {
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' });
    if (owner) chownSync(passwordFile, owner.uid, owner.gid);
    await runAs(owner, initdb, ['-D', fresh, '-U', USER, ...settings, '--no-instructions'], {
      signal,
      timeout: INIT_DEADLINE_MS,
    });
  } catch (cause) {
    throw new EmbeddedError(`its data directory cannot be made (${lastWords(cause)})`, { cause });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(fresh, data);
}

function checkVersion(data: string, { major }: Programs): void {
  const written = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (written === major) return;
  throw new EmbeddedError(
    `${data} was written by Postgres ${written} and this Holdfast brings ${major}; the data is left as it is`,
  );
}

/** What a server writes into its data directory of itself. */
function readLock(data: string): { pid: number; status: string } | null {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), status: (lines[7] ?? '').trim() };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** After a crash its number may belong to somebody else, for whose end the server would wait in vain. */
function removeStrayLock(data: string): void {
  const lock = readLock(data);
  const facts = lock && lock.pid > 1 ? processFacts(lock.pid) : null;
  if (!facts) return;
  if (facts.commandLine.includes(data)) {
    throw new EmbeddedError(`another server (pid ${lock?.pid}) runs on ${data}; end it first`);
  }
  rmSync(join(data, 'postmaster.pid'));
}
