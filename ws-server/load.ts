/** How busy a host is, from what its last beats said. */
import type { CallResult } from './link';

/** What a host counts of itself. */
export type Beat = CallResult<'beat'>;

/** Beats that come closer (ms) are taken together: over less time a share says nothing. */
const SPAN_MS = 1_000;
/** From this share of one core on, over one span, a host is busy: it runs a flood or a heavy screen. */
const BUSY_CPU = 0.5;
/** From this delay of its event loop on (ms), in two spans in a row, a host is busy: one hiccup is none. */
const BUSY_LAG_MS = 250;

/** Figures of the time between two beats. */
type Span = { cpu: number; lagMs: number };
const NOTHING: Span = { cpu: 0, lagMs: 0 };

/** The figures of one host. Before its second beat they are 0. */
export class Load {
  #beat: Beat | null = null;
  /** Where the present span began, and the worst delay since. */
  #start: { cpuSeconds: number; at: number } | null = null;
  #lagMs = 0;
  #last = NOTHING;
  #before = NOTHING;

  /** Takes in a beat that came at `at` (ms of a clock that never goes back). */
  note(beat: Beat, at: number): void {
    const { cpuSeconds } = beat;
    this.#beat = beat;
    this.#lagMs = Math.max(this.#lagMs, beat.loopLagMs);
    const spanMs = at - (this.#start?.at ?? at);
    if (this.#start && spanMs < SPAN_MS) return;
    if (this.#start) {
      this.#before = this.#last;
      this.#last = { cpu: Math.max(0, cpuSeconds - this.#start.cpuSeconds) / (spanMs / 1000), lagMs: this.#lagMs };
    }
    this.#start = { cpuSeconds, at };
    this.#lagMs = 0;
  }

  /** The last beat; null before the first. */
  get beat(): Beat | null {
    return this.#beat;
  }

  /** Share of one core over the last span. */
  get cpu(): number {
    return this.#last.cpu;
  }

  /** Whether new sessions had better go elsewhere; a flood that ended is remembered for one span. */
  get isBusy(): boolean {
    const [last, before] = [this.#last, this.#before];
    return Math.max(last.cpu, before.cpu) >= BUSY_CPU || Math.min(last.lagMs, before.lagMs) >= BUSY_LAG_MS;
  }
}
