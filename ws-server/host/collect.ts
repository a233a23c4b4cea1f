/** Memory of terminals that were put away goes back to the system: by itself V8 would keep it until the host needs more. */
import { performance } from 'node:perf_hooks';

/** How long after the first call (ms): a collection stops the host for 10 to 40 ms. */
const DELAY_MS = 3_000;
/** Between two collections at least (ms): they cost a host 0.2 % of its time at most. */
const INTERVAL_MS = 20_000;

let isDue = false;
let collectedAt = Number.NEGATIVE_INFINITY;
let collections = 0;

/** Collections so far that were asked for here. */
export function countCollections(): number {
  return collections;
}

/** Collects garbage a little later, once for all calls until then. Needs `--expose-gc`, and does nothing without. */
export function collectSoon(): void {
  if (isDue || !globalThis.gc) return;
  isDue = true;
  const waitMs = Math.max(DELAY_MS, collectedAt + INTERVAL_MS - performance.now());
  setTimeout(() => {
    isDue = false;
    collectedAt = performance.now();
    collections++;
    globalThis.gc?.();
  }, waitMs).unref();
}
