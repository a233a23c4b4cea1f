/** How busy a host is, from what its last beats said. */
import type { CallResult } from './link';

/** What a host counts of itself. */
export type Beat = CallResult<'beat'>;

/** From this share of one core on, over one interval between beats, a host is busy: it runs a flood or a heavy screen. */
const BUSY_CPU = 0.5;
/** From this delay of its event loop on (ms), in two beats in a row, a host is busy: one hiccup is none. */
const BUSY_LAG_MS = 250;

/** The figures of one host. Before its first beat they are 0. */
export class Load {
  #last: Beat | null = null;
  #lastAt = 0;
  #cpu = 0;
  #cpuBefore = 0;
  #lagBefore = 0;

  /** Takes in a beat that came at `at` (ms of a clock that never goes back). */
  note(beat: Beat, at: number): void {
    this.#cpuBefore = this.#cpu;
    this.#lagBefore = this.#last?.loopLagMs ?? 0;
    if (this.#last && at > this.#lastAt) {
      this.#cpu = Math.max(0, beat.cpuSeconds - this.#last.cpuSeconds) / ((at - this.#lastAt) / 1000);
    }
    this.#last = beat;
    this.#lastAt = at;
  }

  /** The last beat; null before the first. */
  get beat(): Beat | null {
    return this.#last;
  }

  /** Share of one core between the last two beats. */
  get cpu(): number {
    return this.#cpu;
  }

  /** Whether new sessions had better go elsewhere; a flood that ended is remembered for one beat. */
  get isBusy(): boolean {
    const lagMs = Math.min(this.#last?.loopLagMs ?? 0, this.#lagBefore);
    return Math.max(this.#cpu, this.#cpuBefore) >= BUSY_CPU || lagMs >= BUSY_LAG_MS;
  }
}
