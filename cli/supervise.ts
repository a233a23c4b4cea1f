/** Keeps one child process running: starts it in its own process group, and again when it dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { endGroup, endLeader, processFacts, signal } from './processes';

/** A child that ran this long was healthy: its next restart is quick again. */
const HEALTHY_MS = 30_000;
const RESTART_FIRST_MS = 100;
const RESTART_MAX_MS = 5_000;
/** After this many quick deaths in a row the log is named, and the launcher gives up if it was not ready yet. */
export const QUICK_DEATHS_MAX = 5;

/** What to run. Its output goes to a file, or line by line to a function. */
export type ChildSpec = {
  name: 'web' | 'sidecar' | 'database';
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
  output: { file: string } | { onLine: (line: string) => void };
  /** Whose process it is, if not ours; then it begins in no directory of ours either. */
  owner?: { uid: number; gid: number };
  /** How the process is ended, and its group through it. Else all of them get TERM. */
  endSignal?: NodeJS.Signals;
};

type SuperviseOptions = {
  /** Prints one line for people. */
  say: (line: string) => void;
  /** Called after each start, with what tells the process from a later one of the same pid. */
  onStart?: (identity: { pid: number; startTime: string }) => void;
  healthyMs?: number;
  restartMaxMs?: number;
};

/** A child under supervision. */
export class SupervisedChild {
  readonly spec: ChildSpec;
  readonly #options: Required<SuperviseOptions>;
  #child: ChildProcess | null = null;
  #startedAt = 0;
  #quickDeaths = 0;
  #timer: NodeJS.Timeout | null = null;
  #isStopping = false;

  constructor(spec: ChildSpec, options: SuperviseOptions) {
    this.spec = spec;
    this.#options = { onStart: () => undefined, healthyMs: HEALTHY_MS, restartMaxMs: RESTART_MAX_MS, ...options };
    this.#start();
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** How often in a row it died before it was healthy. */
  get quickDeaths(): number {
    return this.#quickDeaths;
  }

  /** Ends the child and all of its group, with KILL after the grace period. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#timer) clearTimeout(this.#timer);
    const { endSignal } = this.spec;
    if (this.pid === undefined) return;
    if (endSignal) await endLeader(this.pid, endSignal, graceMs);
    else await endGroup(this.pid, graceMs);
  }

  /** Ends the child at once. */
  kill(): void {
    this.#isStopping = true;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.pid !== undefined) signal(-this.pid, 'SIGKILL');
  }

  #start(): void {
    const { command, args, env, output, owner } = this.spec;
    const file = 'file' in output ? openSync(output.file, 'a', 0o600) : null;
    const sink = file ?? 'pipe';
    const as = owner && { ...owner, cwd: '/' };
    const child = spawn(command, args, { env, detached: true, stdio: ['ignore', sink, sink], ...as });
    if (file !== null) closeSync(file);
    if ('onLine' in output) {
      for (const stream of [child.stdout, child.stderr]) {
        if (stream) createInterface(stream).on('line', output.onLine);
      }
    }
    this.#child = child;
    this.#startedAt = performance.now();
    child.once('error', (error) => {
      if (child.pid === undefined) this.#died(error.message); // otherwise `exit` follows
    });
    child.once('exit', (code, killedBy) =>
      this.#died(killedBy ? `was ended by ${killedBy}` : `ended with code ${code}`),
    );
    if (child.pid !== undefined) {
      this.#options.onStart({ pid: child.pid, startTime: processFacts(child.pid)?.startTime ?? '' });
    }
  }

  #died(how: string): void {
    const pid = this.pid;
    this.#child = null;
    if (this.#isStopping) return;
    if (pid !== undefined) signal(-pid, 'SIGKILL'); // what it left of its group would hold its port
    const { name, output } = this.spec;
    const { say, healthyMs, restartMaxMs } = this.#options;
    const isHealthy = performance.now() - this.#startedAt >= healthyMs;
    this.#quickDeaths = isHealthy ? 1 : this.#quickDeaths + 1;
    const isHopeless = this.#quickDeaths >= QUICK_DEATHS_MAX;
    const delayMs = isHopeless ? restartMaxMs : Math.min(RESTART_FIRST_MS * 2 ** (this.#quickDeaths - 1), restartMaxMs);
    if (this.#quickDeaths < QUICK_DEATHS_MAX) say(`The ${name} process ${how}; it is started again.`);
    if (this.#quickDeaths === QUICK_DEATHS_MAX) {
      const reason = 'file' in output ? `; ${output.file} says why` : '';
      say(
        `The ${name} process ${how}, ${QUICK_DEATHS_MAX} times in a row${reason}. It is tried again every ${delayMs / 1000} s.`,
      );
    }
    this.#timer = setTimeout(() => this.#start(), delayMs);
  }
}
