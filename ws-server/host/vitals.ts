/** What a host counts of itself for its heartbeat. */

import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { monotonicMs } from '@/ws-server/link';
import { countCollections } from './collect';

/** How often the event loop is looked at (ms). The histogram counts this interval in, so that it is taken off again. */
const RESOLUTION_MS = 50;
/** A histogram begins anew no sooner than this (ms): its first interval counts for nothing. */
const LAG_SPAN_MS = 1_000;

/** Totals since the start of the process; whoever does the work counts it. */
export class Vitals {
  /** Bytes that viewers typed, and that programs printed. */
  bytesIn = 0;
  bytesOut = 0;
  /** Calls, viewers and screens that failed by a mistake of ours. */
  errors = 0;
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #lagSince = performance.now();

  constructor() {
    this.#delay.enable();
  }

  /** Everything up to now; `loopLagMs` is the worst since the last reading, or of the last second. */
  read(): {
    rss: number;
    cpuSeconds: number;
    loopLagMs: number;
    bytesIn: number;
    bytesOut: number;
    errors: number;
    collections: number;
  } {
    const { user, system } = process.cpuUsage();
    const loopLagMs = Math.max(0, Math.round(this.#delay.max / 1e6 - RESOLUTION_MS));
    if (performance.now() - this.#lagSince >= LAG_SPAN_MS) {
      this.#delay.reset();
      this.#lagSince = performance.now();
    }
    return {
      rss: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
      loopLagMs,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      errors: this.errors,
      collections: countCollections(),
    };
  }
}

/** How long the host has held a ping (ms), the time that its event loop was busy included; 0 when the gateway did not say. */
export function heldMs(passedOnAt: number | undefined): number {
  return passedOnAt === undefined ? 0 : Math.max(0, Math.round((monotonicMs() - passedOnAt) * 1000) / 1000);
}
