/** A throw-away Redis: a server of its own on a free port, without persistence unless asked for. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RedisConnection } from '@/lib/server/store/redis-connection';
import { freePort, isRunning, signal, until } from './processes';

type Options = {
  password?: string;
  /** As Redis writes it, for example `3mb`. */
  maxmemory?: string;
  /** Keep every write on disk, so that a restart finds it. */
  isPersistent?: boolean;
};

const running = new Set<RedisServer>();
process.once('exit', () => {
  for (const server of running) server.kill();
});

/** Whether this machine has a Redis server. */
export function hasRedis(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A server that tests may break in every way. `stop` ends it and removes its files. */
export class RedisServer {
  readonly port: number;
  readonly url: string;
  readonly #options: Options;
  readonly #dir: string;
  #process: ChildProcess | null = null;

  private constructor(port: number, options: Options) {
    const user = options.password === undefined ? '' : `:${options.password}@`;
    this.port = port;
    this.url = `redis://${user}127.0.0.1:${port}`;
    this.#options = options;
    this.#dir = mkdtempSync(join(tmpdir(), 'holdfast-redis-'));
  }

  static async start(options: Options = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    await server.restart();
    return server;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('this Redis does not run');
    return pid;
  }

  /** Starts it again on the same port, if it does not run, and waits until it answers. */
  async restart(): Promise<void> {
    if (this.#process) return;
    const { password, maxmemory, isPersistent = false } = this.#options;
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#dir, '--save', ''];
    args.push('--appendonly', isPersistent ? 'yes' : 'no', '--appendfsync', 'always');
    if (password !== undefined) args.push('--requirepass', password);
    if (maxmemory !== undefined) args.push('--maxmemory', maxmemory);
    this.#process = spawn('redis-server', args, { stdio: 'ignore' });
    running.add(this);
    await until('Redis answers', async () => {
      const connection = new RedisConnection(this.url);
      try {
        await connection.ping();
        return true;
      } catch {
        return false;
      } finally {
        await connection.close();
      }
    });
  }

  /** Ends it as `kill -9` does. */
  kill(): void {
    if (!this.#process) return;
    signal(this.pid, 'SIGKILL');
    this.#process = null;
    running.delete(this);
  }

  /** It takes connections and answers nothing. */
  freeze(): void {
    signal(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    if (this.#process) signal(this.pid, 'SIGCONT');
  }

  async stop(): Promise<void> {
    const pid = this.#process?.pid;
    this.kill();
    if (pid !== undefined) await until('Redis has ended', () => !isRunning(pid));
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** What `redis-cli` prints for a command. */
  command(...args: string[]): string {
    const { password } = this.#options;
    const login = password === undefined ? [] : ['--no-auth-warning', '-a', password];
    return execFileSync('redis-cli', ['-p', String(this.port), ...login, ...args], { encoding: 'utf8' }).trim();
  }
}
