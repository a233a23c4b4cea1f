/** A throw-away Postgres on a free port, with its own directory. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { freePort, isRunning, signal, until } from './processes';

const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 10_000;
const DEBIAN_DIR = '/usr/lib/postgresql';
const SETTINGS = ['shared_buffers=16MB', 'listen_addresses=127.0.0.1'];
/** Speed before safety: what it holds is thrown away. `kill` still loses nothing, for the system keeps what was written. */
const FAST_SETTINGS = ['fsync=off', 'full_page_writes=off'];

export type PostgresOptions = {
  /** Connections that the server takes in all; it keeps three of them for its owner. */
  maxConnections?: number;
  /** Holds the data in memory, in a file system of so many megabytes that can be full. Needs root. */
  megabytes?: number;
  /** Waits for the disk with each change, as an installed server does. */
  isDurable?: boolean;
};

function binariesDir(): string | null {
  const versions = existsSync(DEBIAN_DIR) ? readdirSync(DEBIAN_DIR) : [];
  const directories = versions.sort((a, b) => Number(b) - Number(a)).map((name) => join(DEBIAN_DIR, name, 'bin'));
  return [...directories, ...(process.env['PATH'] ?? '').split(':')].find(hasInitdb) ?? null;
}

function hasInitdb(directory: string): boolean {
  try {
    accessSync(join(directory, 'initdb'), constants.X_OK);
    accessSync(join(directory, 'postgres'), constants.X_OK);
    return true;
  } catch {
    return false; // that is the answer
  }
}

/** Whether this machine has a Postgres to start. */
export const HAS_POSTGRES = binariesDir() !== null;

/**
 * Postgres refuses to be root: as root everything runs as the user of its package. What is started ends with this process, however
 * that ends.
 */
function asOwner(...command: string[]): [string, string[]] {
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  return ['setpriv', ['--pdeathsig=QUIT', ...user, ...command]];
}

const running = new Set<TestPostgres>();
process.once('exit', () => {
  for (const server of running) server.drop();
});

/** One server with its data. It ends with the process that started it. */
export class TestPostgres {
  readonly port: number;
  readonly #dir: string;
  readonly #bin: string;
  readonly #options: PostgresOptions;
  #child: ChildProcess | null = null;
  #log = '';

  private constructor(port: number, bin: string, options: PostgresOptions) {
    this.port = port;
    this.#bin = bin;
    this.#options = options;
    this.#dir = mkdtempSync(join(tmpdir(), 'hf-pg-'));
  }

  /** Makes a server and starts it. */
  static async start(options: PostgresOptions = {}): Promise<TestPostgres> {
    const bin = binariesDir();
    if (bin === null) throw new Error('no Postgres is installed');
    const server = new TestPostgres(await freePort(), bin, options);
    running.add(server);
    try {
      server.#prepare();
      await server.start();
      return server;
    } catch (error) {
      server.drop();
      throw error;
    }
  }

  /** Where it listens; a name to connect to, or the one of its own. */
  url(database = 'postgres'): string {
    return `postgres://app@127.0.0.1:${this.port}/${database}`;
  }

  /** The same by its unix socket. */
  get socketUrl(): string {
    return `postgres://app@localhost:${this.port}/postgres?host=${this.#dir}`;
  }

  /** A fresh schema, as an address that works in it and nowhere else. */
  async schemaUrl(): Promise<string> {
    const name = `s${crypto.randomUUID().replaceAll('-', '')}`;
    await this.query(`create schema ${name}`);
    return `${this.url()}?search_path=${name}`;
  }

  /** Runs a statement on a connection of its own. */
  async query(text: string, url: string = this.url()): Promise<Record<string, unknown>[]> {
    const sql = postgres(url, { max: 1, onnotice: () => undefined });
    try {
      return [...(await sql.unsafe(text))];
    } finally {
      await sql.end({ timeout: 1 });
    }
  }

  /** Starts it on the port and data that it had. */
  async start(): Promise<void> {
    const settings = [...SETTINGS, `port=${this.port}`, `unix_socket_directories=${this.#dir}`];
    if (!this.#options.isDurable) settings.push(...FAST_SETTINGS);
    if (this.#options.maxConnections !== undefined) settings.push(`max_connections=${this.#options.maxConnections}`);
    const flags = settings.flatMap((setting) => ['-c', setting]);
    const [program, args] = asOwner(join(this.#bin, 'postgres'), '-D', this.#data, ...flags);
    const child = spawn(program, args, { cwd: this.#dir, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    this.#log = '';
    child.stderr.on('data', (chunk) => {
      this.#log = (this.#log + chunk).slice(-10_000);
    });
    child.on('error', (error) => {
      this.#log += String(error);
    });
    await until(
      'Postgres answers',
      () => {
        if (child.exitCode !== null || child.pid === undefined) throw new Error(`Postgres ended:\n${this.#log}`);
        return this.query('select 1').then(
          () => true,
          () => false,
        );
      },
      START_DEADLINE_MS,
    );
  }

  /** Ends it in order, as its package does; the data stays. */
  async stop(): Promise<void> {
    this.thaw();
    await this.#end('SIGINT');
  }

  /** Ends all of its processes at once; the data stays. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops all of its processes: connections stay open, and nothing answers. */
  freeze(): void {
    for (const pid of this.#pids()) signal(pid, 'SIGSTOP');
  }

  thaw(): void {
    for (const pid of this.#pids()) signal(pid, 'SIGCONT');
  }

  /** Lets new connections only read, and ends the others. */
  async setReadOnly(isReadOnly: boolean): Promise<void> {
    await this.query(`alter system set default_transaction_read_only = ${isReadOnly ? 'on' : 'off'}`);
    await this.query('select pg_reload_conf()');
    await this.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and client_port is not null',
    );
  }

  /** Ends it and removes all of it. */
  async dispose(): Promise<void> {
    this.thaw();
    await this.#end('SIGQUIT');
    this.drop();
  }

  /** The same without a wait, for a process that ends. */
  drop(): void {
    running.delete(this);
    for (const pid of this.#pids()) signal(pid, 'SIGKILL');
    if (this.#options.megabytes !== undefined) spawnSync('umount', ['--lazy', this.#data], { stdio: 'ignore' });
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  }

  get #data(): string {
    return join(this.#dir, 'data');
  }

  #prepare(): void {
    chmodSync(this.#dir, 0o755);
    mkdirSync(this.#data);
    if (this.#options.megabytes !== undefined) {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${this.#options.megabytes}m`, 'tmpfs', this.#data]);
    }
    if (process.getuid?.() === 0) {
      const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'])));
      for (const directory of [this.#dir, this.#data]) chownSync(directory, uid ?? 0, gid ?? 0);
    }
    const args = [
      '-D',
      this.#data,
      '-U',
      'app',
      '-A',
      'trust',
      '-N',
      '--no-instructions',
      '--locale=C.UTF-8',
      '-E',
      'UTF8',
    ];
    const [program, rest] = asOwner(join(this.#bin, 'initdb'), ...args);
    execFileSync(program, rest, { cwd: this.#dir, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  async #end(name: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    const pids = this.#pids();
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    // In order only the first process is told; it tells the others.
    for (const pid of name === 'SIGKILL' ? pids : pids.slice(0, 1)) signal(pid, name);
    await ended;
    await until('all of Postgres has ended', () => !pids.some(isRunning), STOP_DEADLINE_MS);
    this.#child = null;
  }

  /** The server's process and all that it has forked. */
  #pids(): number[] {
    const { pid } = this.#child ?? {};
    return pid === undefined ? [] : [pid, ...childrenOf(pid)];
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // it has ended
  }
}
