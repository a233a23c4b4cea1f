/** Whether a host answers: asked at a steady pace, and silence told in two stages. Nothing else follows from silence. */
import { performance } from 'node:perf_hooks';
import { HEARTBEAT_MS, HEARTBEAT_SLOW_MS, HEARTBEAT_UNRESPONSIVE_MS } from '@/lib/protocol/limits';

/** `ok` while it answers; then the two stages of its silence. */
export type HostState = 'ok' | 'slow' | 'unresponsive';

/** How often a host is asked, and the silences after which it is `slow`, then `unresponsive` (ms). */
export type HeartbeatTimes = { beatMs: number; slowMs: number; unresponsiveMs: number };
export const HEARTBEAT_TIMES: HeartbeatTimes = {
  beatMs: HEARTBEAT_MS,
  slowMs: HEARTBEAT_SLOW_MS,
  unresponsiveMs: HEARTBEAT_UNRESPONSIVE_MS,
};

export type HeartbeatOptions = {
  times: HeartbeatTimes;
  /** Asks the host; whatever it says is to reach `heard`. */
  beat(): void;
  onState(state: HostState): void;
  /** A clock that never goes back (ms). */
  now?: () => number;
};

/** Runs from construction until `stop`. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #now: () => number;
  readonly #pulse: NodeJS.Timeout;
  #stage: NodeJS.Timeout | undefined;
  #state: HostState = 'ok';

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#pulse = setInterval(() => {
      // What an unresponsive host was asked last waits in its socket: its answer to that will do, and nothing piles up.
      if (this.#state !== 'unresponsive') options.beat();
    }, options.times.beatMs);
    this.#await('slow', options.times.slowMs);
    options.beat();
  }

  get state(): HostState {
    return this.#state;
  }

  /** The host has said something. */
  heard(): void {
    this.#await('slow', this.#options.times.slowMs);
    this.#enter('ok');
  }

  stop(): void {
    clearInterval(this.#pulse);
    clearTimeout(this.#stage);
  }

  #await(next: 'slow' | 'unresponsive', ms: number): void {
    const { beatMs, slowMs, unresponsiveMs } = this.#options.times;
    const dueAt = this.#now() + ms;
    clearTimeout(this.#stage);
    this.#stage = setTimeout(() => {
      if (this.#now() - dueAt > beatMs / 2) {
        // We were the ones that slept, with the laptop or stopped: only time in which we could hear counts as silence.
        this.#options.beat();
        this.#await(next, ms);
        return;
      }
      if (next === 'slow') this.#await('unresponsive', unresponsiveMs - slowMs);
      this.#enter(next);
    }, ms);
  }

  #enter(state: HostState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }
}
