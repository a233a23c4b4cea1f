/** Work beside the serving of sessions: in slices between which others are served, and so much of it at a time. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AppError } from '@/lib/protocol/errors';

/** Jobs under way at the same time, how many wait for them at most, and how long each may take with its wait (ms). */
const AT_ONCE = 4;
const WAITING_MAX = 1_000;
const PATIENCE_MS = 5_000;

let last: Promise<void> = Promise.resolve();

/** Resolves after everybody else has had a turn of the event loop: for one caller in each turn, however many there are. */
export function turn(): Promise<void> {
  last = last.then(() => nextTurn());
  return last;
}

/** Lets in so many jobs at a time. One that takes too long is given up, but keeps its place: a disk that hangs is asked no more. */
export class Turnstile {
  readonly #patienceMs: number;
  readonly #waiting = new Set<() => void>();
  #inside = 0;

  constructor(patienceMs: number = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
  }

  /** What a job gives, once it is its turn. @throws AppError `no_capacity` when too many wait, or when it takes too long */
  pass<T>(job: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const refuse = () => {
        this.#waiting.delete(start);
        reject(new AppError('no_capacity', 'The disk does not keep up.', { details: { reason: 'disk' } }));
      };
      const timer = setTimeout(refuse, this.#patienceMs);
      const start = () => {
        this.#inside += 1;
        job()
          .then(resolve, reject)
          .finally(() => {
            clearTimeout(timer);
            this.#inside -= 1;
            this.#letIn();
          });
      };
      this.#waiting.add(start);
      if (this.#waiting.size > WAITING_MAX) {
        clearTimeout(timer);
        refuse();
      }
      this.#letIn();
    });
  }

  #letIn(): void {
    const [start] = this.#waiting;
    if (!start || this.#inside >= AT_ONCE) return;
    this.#waiting.delete(start);
    start();
  }
}
