/** Memory of terminals that were put away goes back to the system: by itself V8 would keep it until the host needs more. */

/** How long after the first call (ms): a collection stops the host for 10 to 40 ms. */
const DELAY_MS = 3_000;

let isDue = false;

/** Collects garbage a little later, once for all calls until then. Needs `--expose-gc`, and does nothing without. */
export function collectSoon(): void {
  if (isDue) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    globalThis.gc?.();
  }, DELAY_MS).unref();
}
