/** When to try again after a failed attempt, or that it is of no use. */
import type { ClientAction } from '@/lib/protocol/errors';

const DELAY_FIRST_MS = 200;
const DELAY_MAX_MS = 10_000;
/** The spread of viewers over a gateway that says it restarts (ms). */
const RESTART_SPREAD_MS = 500;
/**
 * Each socket of a gateway that goes away widens the spread so much, up to a bound (ms): a ticket costs web some 4 ms of a processor,
 * and who uses the pages meanwhile is to notice nothing.
 */
const SPREAD_PER_SOCKET_MS = 10;
const SPREAD_MAX_MS = 10_000;
/** Fresh tickets that are tried at once before back-off takes over. */
const TICKETS_AT_ONCE_MAX = 3;

/** Counts the failures since the last success: 0.2 s doubling to 10 s, with full jitter. */
export class Retry {
  readonly #random: () => number;
  #spreadMs = 0;
  #failures = 0;
  #signIns = 0;
  #tickets = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Attempts that failed since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** How many sockets the gateway holds: they would all come back at the same time. */
  share(sockets: number): void {
    this.#spreadMs = Math.min(SPREAD_MAX_MS, sockets * SPREAD_PER_SOCKET_MS);
  }

  /** Milliseconds until the next attempt, or null when trying again does not help. */
  next(action: ClientAction, isRestart = false): number | null {
    this.#failures += 1;
    switch (action) {
      case 'stop':
      case 'reload':
      case 'upgrade':
        return null;
      case 'sign-in':
        // The first refusal may mean an old ticket: the gateway was restarted between ticket and attach.
        this.#signIns += 1;
        return this.#signIns > 1 ? null : 0;
      case 'ticket':
        this.#tickets += 1;
        return this.#tickets > TICKETS_AT_ONCE_MAX ? this.#backOff() : 0;
      case 'retry':
        return this.#backOff(isRestart && this.#failures === 1 ? RESTART_SPREAD_MS : 0);
    }
  }

  /** Milliseconds until everybody who shared the gateway goes back to it, now that it is there again. */
  onReturn(): number {
    return this.#random() * this.#spreadMs;
  }

  /** Starts counting anew. */
  reset(): void {
    this.#failures = 0;
    this.#signIns = 0;
    this.#tickets = 0;
  }

  #backOff(leastMs = 0): number {
    const doubledMs = DELAY_FIRST_MS * 2 ** (this.#failures - 1);
    return this.#random() * Math.min(DELAY_MAX_MS, Math.max(doubledMs, leastMs, this.#spreadMs));
  }
}
