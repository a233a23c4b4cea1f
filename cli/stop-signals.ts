/** Ctrl-C, TERM and a closed terminal: the first one stops, a second one forces. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npm passes the terminal's Ctrl-C on once more, so one key press arrives twice within this time. */
const ECHO_MS = 500;

/** Calls `stop` at the first signal and `force` at a later one; returns what removes the listeners. */
export function onStopSignals({ stop, force }: { stop: () => void; force: () => void }): () => void {
  let firstAt: number | null = null;
  function onSignal(): void {
    if (firstAt === null) {
      firstAt = performance.now();
      stop();
    } else if (performance.now() - firstAt > ECHO_MS) {
      force();
    }
  }
  for (const name of SIGNALS) process.on(name, onSignal);
  return () => {
    for (const name of SIGNALS) process.off(name, onSignal);
  };
}
