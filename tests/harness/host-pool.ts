/** A pool of real host processes in this process, without a gateway before it: for times and versions of a test's own. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createLog } from '@/lib/log';
import type { OpenRequest } from '@/lib/protocol/control';
import { newId } from '@/lib/protocol/ids';
import type { HeartbeatTimes } from '@/ws-server/heartbeat';
import type { Launch } from '@/ws-server/link';
import { Pool } from '@/ws-server/pool';
import { bundleSidecar } from './bundle';
import { findProcesses, isRunning, signal, until } from './processes';

const LAUNCH: Launch = { file: '/bin/sh', args: [], env: { PATH: '/usr/bin:/bin', TERM: 'xterm' } };

const ENV: NodeJS.ProcessEnv = { NODE_ENV: 'production', PATH: '/usr/bin:/bin' };

/** What a test may want to be different from the defaults. */
export type PoolChanges = {
  maxHosts?: number;
  minHosts?: number;
  maxSessionsPerHost?: number;
  times?: HeartbeatTimes;
  /** The host's program. */
  entry?: string;
};

/** A run directory with its hosts and pools. `stop` ends everything. */
export class HostPools {
  readonly directory = mkdtempSync(join(tmpdir(), 'hf-pool-'));
  readonly hostsDir = join(this.directory, 'hosts');
  /** Levels and messages of what the pools logged. */
  readonly logs: string[] = [];
  readonly #entry: string;
  readonly #pools: Pool[] = [];
  readonly #copies: string[] = [];

  private constructor(entry: string) {
    this.#entry = entry;
    mkdirSync(this.hostsDir, { mode: 0o700 });
  }

  static async create(): Promise<HostPools> {
    return new HostPools(join(dirname(await bundleSidecar()), 'host.js'));
  }

  /** A pool on this run directory, as a gateway that has just started has one. */
  async pool(changes: PoolChanges = {}): Promise<Pool> {
    const { times, entry = this.#entry, ...limits } = changes;
    const log = createLog('pool', 'info');
    for (const level of ['info', 'warn', 'error'] as const) {
      log[level] = (...args: unknown[]) => {
        this.logs.push(
          `${level} ${args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg))).join(' ')}`,
        );
      };
    }
    const pool = new Pool({
      config: {
        runDir: this.directory,
        dataDir: this.directory,
        maxHosts: 4,
        minHosts: 1,
        maxSessionsPerHost: 10,
        ephemeral: false,
        logLevel: 'error',
        history: 'off',
        journalBytesMax: 10_000_000,
        journalKeptMs: 0,
        idleTimeoutMs: 0,
        maxSessionsNode: 1_000,
        maxSessionsCluster: 1_000,
        roots: [this.directory],
        ...limits,
      },
      recipe: { entry, execArgv: [], env: ENV },
      log,
      ...(times && { times }),
    });
    this.#pools.push(pool);
    await pool.discover();
    return pool;
  }

  /** Starts a host as another gateway would, and waits until it listens. */
  async startHost(options: { hostId: string; entry?: string; idleExitMs: number }): Promise<void> {
    const { hostId, entry = this.#entry, idleExitMs } = options;
    const socketPath = join(this.hostsDir, `${hostId}.sock`);
    const settings = {
      hostId,
      socketPath,
      capacity: 10,
      ephemeral: false,
      logLevel: 'error',
      idleExitMs,
      history: 'off',
      journal: { directory: join(this.directory, 'journal'), bytesMax: 10_000_000, keptMs: 0 },
      idleTimeoutMs: 0,
    };
    const args = [entry, 'holdfast-host', JSON.stringify(settings)];
    spawn(process.execPath, args, {
      detached: true,
      stdio: 'ignore',
      cwd: '/',
      env: ENV,
    }).unref();
    await until('the host listens', () => this.pidOf(hostId) !== null);
  }

  /** The host's program with some of its text replaced; each text has to stand there once. */
  alteredEntry(changes: Record<string, string>): string {
    let text = readFileSync(this.#entry, 'utf8');
    for (const [from, to] of Object.entries(changes)) {
      if (text.split(from).length !== 2) throw new Error(`"${from}" does not stand once in the host's program`);
      text = text.replace(from, to);
    }
    // Beside the original, where it finds its packages.
    const copy = join(dirname(this.#entry), `${basename(this.directory)}-${this.#copies.length}.js`);
    writeFileSync(copy, text);
    this.#copies.push(copy);
    return copy;
  }

  /** The process of a host, or null when it is not there. */
  pidOf(hostId: string): number | null {
    try {
      const { pid } = JSON.parse(readFileSync(join(this.hostsDir, `${hostId}.json`), 'utf8'));
      return isRunning(pid) ? pid : null;
    } catch {
      return null; // not written yet, or removed
    }
  }

  hostPids(): number[] {
    return findProcesses(this.hostsDir).filter(isRunning);
  }

  open(pool: Pool, changes: Partial<OpenRequest> = {}) {
    const id = newId('session');
    const request = { id, epoch: 1, type: 'system' as const, cwd: this.directory, cols: 80, rows: 24, label: {} };
    return pool.open({ ...request, ...changes }, LAUNCH);
  }

  async stop(): Promise<void> {
    for (const pool of this.#pools) pool.close();
    for (const pid of this.hostPids()) {
      signal(pid, 'SIGCONT');
      signal(pid, 'SIGTERM');
    }
    await until('hosts end', () => this.hostPids().length === 0, 5_000).catch(() => {
      for (const pid of this.hostPids()) signal(pid, 'SIGKILL');
    });
    for (const copy of this.#copies) rmSync(copy, { force: true });
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}
