/** The share of calls that failed lately. */
import { performance } from 'node:perf_hooks';

/** Two such spans are kept (ms): the rate is that of the last one to two minutes. */
const SPAN_MS = 60_000;

type Tally = { calls: number; failures: number };

/** Counts calls and failures; times are of a clock that never goes back. */
export class ErrorRate {
  readonly #now: () => number;
  #startedAt: number;
  #before: Tally = { calls: 0, failures: 0 };
  #current: Tally = { calls: 0, failures: 0 };

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startedAt = now();
  }

  count(hasFailed: boolean): void {
    this.#turn();
    this.#current.calls++;
    if (hasFailed) this.#current.failures++;
  }

  /** From 0 to 1; 0 without calls. */
  get rate(): number {
    this.#turn();
    const calls = this.#before.calls + this.#current.calls;
    return calls === 0 ? 0 : (this.#before.failures + this.#current.failures) / calls;
  }

  #turn(): void {
    const spans = Math.floor((this.#now() - this.#startedAt) / SPAN_MS);
    if (spans === 0) return;
    this.#before = spans === 1 ? this.#current : { calls: 0, failures: 0 };
    this.#current = { calls: 0, failures: 0 };
    this.#startedAt += spans * SPAN_MS;
  }
}
