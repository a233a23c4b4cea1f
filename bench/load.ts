/** A process of its own that makes load: its sessions flood, or print a file each, while the runner measures. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { z } from 'zod';
import { until } from '@/tests/harness/processes';
import type { Address } from './peers/peer';

const PROGRAM = new URL('./load-process.ts', import.meta.url);
const STOP_DEADLINE_MS = 20_000;
const REPORT_DEADLINE_MS = 240_000;

/** What the load process is told: open so many sessions, and type a command into each of them on `go`. */
export type LoadOrder = { address: Address; sessions: number; command: string; end: string | null };
/**
 * What it tells: all sessions are open; and at the end, for each, the bytes that came and that the server skipped, and how
 * many sessions did not print `end`.
 */
const loadReportSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('open') }),
  z.object({
    kind: z.literal('done'),
    bytes: z.array(z.number()),
    skipped: z.array(z.number()),
    unfinished: z.number(),
    seconds: z.number(),
  }),
  z.object({ kind: z.literal('failed'), message: z.string() }),
]);
type LoadReport = z.infer<typeof loadReportSchema>;
type Done = Extract<LoadReport, { kind: 'done' }>;

export class Load {
  readonly #child: ChildProcess;
  readonly #reports: LoadReport[] = [];

  private constructor() {
    this.#child = fork(PROGRAM, { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message) => this.#reports.push(loadReportSchema.parse(message)));
    this.#child.once('exit', (code) => {
      this.#reports.push({ kind: 'failed', message: `the load process ended with ${code}` });
    });
  }

  /** Resolves when its sessions show their prompts. */
  static async open(order: LoadOrder): Promise<Load> {
    const load = new Load();
    load.#child.send(order);
    try {
      await load.#report('open');
    } catch (error) {
      await load.stop();
      throw error;
    }
    return load;
  }

  /** Types the command into every session. */
  go(): void {
    this.#child.send('go');
  }

  /** What came, once every session has printed its end. */
  done(): Promise<Done> {
    return this.#report('done');
  }

  /** Whether every session has printed its end. */
  get isDone(): boolean {
    return this.#reports.some(({ kind }) => kind !== 'open');
  }

  /** Megabytes in a second that all sessions together have got so far; the load is over then. */
  async speed(): Promise<number> {
    if (!this.isDone) this.#child.send('stop');
    const { bytes, seconds } = await this.done();
    return bytes.reduce((sum, each) => sum + each, 0) / 1e6 / seconds;
  }

  /** Ends the load, with its sessions. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, 'exit', { signal: AbortSignal.timeout(STOP_DEADLINE_MS) });
    if (this.#child.connected) this.#child.send('stop');
    await exited.catch(() => this.#child.kill('SIGKILL'));
  }

  async #report<K extends LoadReport['kind']>(kind: K): Promise<Extract<LoadReport, { kind: K }>> {
    const isWanted = (report: LoadReport): report is Extract<LoadReport, { kind: K }> => report.kind === kind;
    let found: Extract<LoadReport, { kind: K }> | undefined;
    await until(
      `the load process is ${kind}`,
      () => {
        found = this.#reports.find(isWanted);
        const failure = this.#reports.find((report) => report.kind === 'failed');
        if (!found && failure) throw new Error(failure.message);
        return found !== undefined;
      },
      REPORT_DEADLINE_MS,
    );
    if (!found) throw new Error('unreachable');
    return found;
  }
}
