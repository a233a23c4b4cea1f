/** Where the time goes between a keystroke and the terminal that shows its answer, measured by pings and by drawing. */
import type { Event } from '@/lib/protocol/wire';
import type { Latency } from './facts';

/** The share of a new measurement in the smoothed one. */
const WEIGHT = 1 / 4;

type Pong = Extract<Event, { event: 'pong' }>;

function smooth(before: number, now: number): number {
  return before + (now - before) * WEIGHT;
}

/** The measurements of one connection, from its attach on. */
export class LatencyMeter {
  #drawnMs = 0;
  #smoothed: Latency | null = null;

  /** Output was drawn `ms` after it had arrived. */
  drawn(ms: number): void {
    this.#drawnMs = ms;
  }

  /** Takes in the answer to a ping that was sent at `pong.t` and came back `now`; gives the smoothed and the last latency. */
  pong(pong: Pong, now: number): { latency: Latency; lastLatency: Latency } {
    const wholeMs = Math.max(0, now - pong.t);
    // Each hop rounds for itself, so together they may claim a little more than there was.
    const hostMs = Math.min(pong.host, wholeMs);
    const gatewayMs = Math.min(pong.gateway, wholeMs - hostMs);
    const networkMs = wholeMs - hostMs - gatewayMs;
    const browserMs = this.#drawnMs;
    const last = { totalMs: wholeMs + browserMs, browserMs, networkMs, gatewayMs, hostMs };
    const before = this.#smoothed;
    this.#smoothed = before
      ? {
          totalMs: smooth(before.totalMs, last.totalMs),
          browserMs: smooth(before.browserMs, last.browserMs),
          networkMs: smooth(before.networkMs, last.networkMs),
          gatewayMs: smooth(before.gatewayMs, last.gatewayMs),
          hostMs: smooth(before.hostMs, last.hostMs),
        }
      : last;
    return { latency: this.#smoothed, lastLatency: last };
  }
}
