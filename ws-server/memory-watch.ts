/**
 * The memory of our own processes of this node, kept below its limit: above it, memory is given back in a fixed order, and no
 * further than necessary. What users' programs need is not counted, nor what web needs: no session could give that back. No
 * session with a running program is ever ended for it.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@/lib/log';
import type { LiveSession } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { residentBytes } from './host-process';
import type { CallArgs, CallResult } from './link';

/** Share of the limit from which the log warns. */
const WARN_SHARE = 0.8;
/** After each stage (ms), before it is measured what came of it. */
const SETTLE_MS = 1_000;
/** Of the bare idle sessions the newest so many stay. */
const IDLE_KEPT = 5;
/** Sessions ended at most before memory is measured again. */
const ENDS_MAX = 5;
/** Stages that end nothing, in their order. */
const STAGES = ['caches', 'scrollback', 'viewers'] as const;

/** What the watch reaches. */
export type MemoryWatchOptions = {
  bytesMax: number;
  intervalMs: number;
  /** After each stage (ms). */
  settleMs?: number;
  /** Memory of our processes now (bytes). */
  measure(): Promise<number>;
  sessions(): readonly LiveSession[];
  /** Has every host carry out a stage. */
  shed(args: CallArgs<'shed'>): Promise<CallResult<'shed'>>;
  log: Logger;
};

/**
 * Memory that would be given back if the processes ended (bytes): shared pages count by their share, where the kernel tells.
 * It is read off the event loop, which walks through all pages of a process.
 */
export async function memoryOf(pids: readonly number[]): Promise<number> {
  let bytes = 0;
  for (const pid of pids) {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => ''); // it has just ended, or no Linux
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1];
    bytes += kilobytes === undefined ? residentBytes(pid) : Number(kilobytes) * 1024;
  }
  return bytes;
}

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  #isShort = false;
  #isWarned = false;
  #isChecking = false;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  /** Whether new sessions are refused for want of memory. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** Checks from now on, until the returned function is called. */
  start(): () => void {
    const { intervalMs, log } = this.#options;
    const check = () => this.check().catch((err: unknown) => log.error({ err }, 'the memory check failed'));
    const timer = setInterval(check, intervalMs);
    return () => clearInterval(timer);
  }

  /** @throws AppError `no_capacity` while memory is short */
  refuseIfShort(): void {
    if (!this.#isShort) return;
    const message = 'The server is short of memory. Running terminals go on; new ones can be opened again soon.';
    throw new AppError('no_capacity', message, { details: { reason: 'memory', limit: 'memory' } });
  }

  /** Measures, and gives memory back stage by stage as long as there is too little. */
  async check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      if (!(await this.#isAbove())) return this.#recover();
      for (const stage of STAGES) {
        const { freedBytes } = await this.#options.shed({ stage, ids: [] });
        this.#options.log.info({ stage, freedBytes }, 'memory given back');
        if (!(await this.#settle())) return this.#recover();
      }
      if (!this.#isShort) this.#options.log.warn('memory is short: new sessions are refused');
      this.#isShort = true;
      await this.#endIdle();
    } finally {
      this.#isChecking = false;
    }
  }

  /** Ends bare idle sessions, the oldest first, until there is enough or only the newest are left. */
  async #endIdle(): Promise<void> {
    const { sessions, shed } = this.#options;
    const bare = new Set((await shed({ stage: 'look', ids: [] })).bare);
    const ids = sessions()
      .filter(({ id }) => bare.has(id))
      .sort((a, b) => a.lastActivity - b.lastActivity)
      .map(({ id }) => id)
      .slice(0, -IDLE_KEPT);
    for (let n = 0; n < ids.length; n += ENDS_MAX) {
      if (!(await this.#settle())) return this.#recover();
      await shed({ stage: 'end', ids: ids.slice(n, n + ENDS_MAX) });
    }
  }

  #recover(): void {
    if (this.#isShort) this.#options.log.info('there is enough memory again');
    this.#isShort = false;
  }

  async #settle(): Promise<boolean> {
    await sleep(this.#options.settleMs ?? SETTLE_MS);
    return this.#isAbove();
  }

  async #isAbove(): Promise<boolean> {
    const { bytesMax, measure, log } = this.#options;
    const bytes = await measure();
    const isNear = bytes > bytesMax * WARN_SHARE;
    if (isNear && !this.#isWarned) log.warn({ bytes, bytesMax }, 'memory of our processes is near its limit, or above');
    this.#isWarned = isNear;
    return bytes > bytesMax;
  }
}
