/** Work that is done once for many who ask at the same time. */

/** Runs work for a key one at a time; whoever asks while it runs shares the next run, which sees everything newer. */
export class Coalesced {
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Promise<void>>();

  run(key: string, work: () => Promise<void>): Promise<void> {
    const waiting = this.#waiting.get(key);
    if (waiting) return waiting;
    const running = this.#running.get(key);
    if (!running) return this.#start(key, work);
    const start = () => {
      this.#waiting.delete(key);
      return this.#start(key, work);
    };
    // How the run before ended is told to those who asked for it.
    const next = running.then(start, start);
    this.#waiting.set(key, next);
    return next;
  }

  #start(key: string, work: () => Promise<void>): Promise<void> {
    const run = work().finally(() => {
      if (this.#running.get(key) === run) this.#running.delete(key);
    });
    this.#running.set(key, run);
    return run;
  }
}
