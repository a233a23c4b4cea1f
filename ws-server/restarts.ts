/** How often hosts that crash are started again: at once, then at growing distances, and after a few times no more. */
import { performance } from 'node:perf_hooks';

/** Restarts at most within the window (ms). */
const RESTARTS_MAX = 5;
const WINDOW_MS = 10 * 60_000;
/** The second restart within the window waits so long (ms), each later one twice as long. */
const BACKOFF_MS = 1_000;
/** After that a user who opens a session still makes one try in this time (ms). */
const USER_TRY_MS = 10_000;

/** The budget of one pool. Times are of a clock that never goes back. */
export class Restarts {
  readonly max = RESTARTS_MAX;
  readonly #now: () => number;
  #startedAt: number[] = [];
  #crashedAt = 0;
  /** A host crashed, and none has come up since. */
  #isOwed = false;
  #isUnderWay = false;
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Restarts within the window. */
  get count(): number {
    const start = this.#now() - WINDOW_MS;
    this.#startedAt = this.#startedAt.filter((at) => at > start);
    return this.#startedAt.length;
  }

  /** Whether the pool has given up for now: a host crashed, none is being started, and the window has no restart left. */
  get isExhausted(): boolean {
    return this.#isOwed && !this.#isUnderWay && this.count >= this.max;
  }

  /** Whether the pool may start a host of its own accord. After a crash one is tried at a time. */
  get mayStart(): boolean {
    if (!this.#isOwed) return true;
    const { count } = this;
    const waitMs = count === 0 ? 0 : BACKOFF_MS * 2 ** (count - 1);
    return count < this.max && !this.#isUnderWay && this.#now() >= this.#crashedAt + waitMs;
  }

  /** Whether a host may be started because a user waits for it. */
  get mayTry(): boolean {
    return !this.isExhausted || this.#now() >= this.#triedAt + USER_TRY_MS;
  }

  /** A host is being started. True when that makes good a crash: `cameUp` tells then that it did. */
  started(): boolean {
    if (!this.#isOwed) return false;
    this.#triedAt = this.#now();
    this.#startedAt.push(this.#triedAt);
    this.#isUnderWay = true;
    return true;
  }

  /** A host is up that was started after a crash. Others that are heard of prove nothing. */
  cameUp(): void {
    this.#isOwed = false;
    this.#isUnderWay = false;
  }

  /** A host died without having ended itself, or did not come up. */
  crashed(): void {
    this.#isOwed = true;
    this.#isUnderWay = false;
    this.#crashedAt = this.#now();
  }
}
