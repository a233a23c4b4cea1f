/** Pings, and notices a connection that has gone silent. */
import { EARLY_PINGS_MS, PING_INTERVAL_MS, SILENCE_MAX_MS } from '@/lib/protocol/limits';

const TICK_MS = 2_500;
/** How long a probe waits for any frame (ms). */
const PROBE_MS = 5_000;

/** Runs from construction until `stop`. */
export class Heartbeat {
  readonly #ping: () => void;
  readonly #onSilence: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #early: ReturnType<typeof setTimeout>[];
  #lastTick = performance.now();
  #sincePingMs = 0;
  #silentMs = 0;

  constructor({ ping, onSilence }: { ping: () => void; onSilence: () => void }) {
    this.#ping = ping;
    this.#onSilence = onSilence;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    // So that a latency is known soon, and its first measurement, taken while everything starts, does not stand for long.
    this.#early = EARLY_PINGS_MS.map((ms) => setTimeout(() => this.#sendPing(), ms));
    ping();
  }

  /** A frame has come. */
  heard(): void {
    this.#silentMs = 0;
  }

  /** Asks at once whether the other side is still there, and gives it a few seconds. */
  probe(): void {
    this.#silentMs = Math.max(this.#silentMs, SILENCE_MAX_MS - PROBE_MS);
    this.#sendPing();
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const timer of this.#early) clearTimeout(timer);
  }

  #tick(): void {
    const now = performance.now();
    const elapsed = now - this.#lastTick;
    this.#lastTick = now;
    this.#sincePingMs += elapsed;
    // A browser slows the timers of a hidden page and stops them when the machine sleeps. Only time in which we were
    // awake to hear an answer counts as silence.
    this.#silentMs += Math.min(elapsed, TICK_MS * 2);
    if (this.#silentMs >= SILENCE_MAX_MS) {
      this.stop();
      this.#onSilence();
    } else if (elapsed > TICK_MS * 4) {
      this.probe();
    } else if (this.#sincePingMs >= PING_INTERVAL_MS) {
      this.#sendPing();
    }
  }

  #sendPing(): void {
    this.#sincePingMs = 0;
    this.#ping();
  }
}
