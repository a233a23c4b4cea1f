/** How long a program waits for its viewers: until those that keep up have caught up, and next to never for a slow one. */
import { RING_BYTES_MAX } from '@/lib/protocol/limits';

/** A viewer that is so far behind is waited for, until it is no more than that behind (bytes): beyond the ring it would miss output. */
const BEHIND_BYTES = (RING_BYTES_MAX * 5) / 8;
const CAUGHT_UP_BYTES = (RING_BYTES_MAX * 3) / 8;
/** A wait is given up after this (ms), and the viewer that it was for is not waited for again for that long (ms). */
const WAIT_MS = 250;
const SLOW_MS = 10_000;
/** Waits in that time that may be given up: a viewer that comes back again and again is not waited for each time. */
const GIVEN_UP_MAX = 3;

/** A viewer, and the output that it has not ACKed (bytes). */
type Follower = { readonly behind: number };

export class Patience {
  readonly #viewers: () => Iterable<Follower>;
  readonly #hold: (isHeld: boolean) => void;
  readonly #slowUntil = new WeakMap<Follower, number>();
  /** When waits were given up, oldest first. */
  #givenUp: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param hold called when the program is to wait, and when it may go on */
  constructor(viewers: () => Iterable<Follower>, hold: (isHeld: boolean) => void) {
    this.#viewers = viewers;
    this.#hold = hold;
  }

  /** Looks at the viewers: after output was passed on, after an ACK, and when one has left. */
  look(): void {
    if (this.#timer === undefined) {
      if (this.#late(BEHIND_BYTES).length === 0 || !this.#mayWait()) return;
      this.#timer = setTimeout(() => this.#giveUp(), WAIT_MS);
      this.#hold(true);
    } else if (this.#late(CAUGHT_UP_BYTES).length === 0) {
      this.stop();
    }
  }

  /** Nobody is waited for any more. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#hold(false);
  }

  #mayWait(): boolean {
    this.#givenUp = this.#givenUp.filter((at) => at > performance.now() - SLOW_MS);
    return this.#givenUp.length < GIVEN_UP_MAX;
  }

  #giveUp(): void {
    this.#givenUp.push(performance.now());
    for (const viewer of this.#late(CAUGHT_UP_BYTES)) this.#slowUntil.set(viewer, performance.now() + SLOW_MS);
    this.stop();
  }

  #late(bytes: number): Follower[] {
    const late: Follower[] = [];
    for (const viewer of this.#viewers()) {
      if (viewer.behind > bytes && (this.#slowUntil.get(viewer) ?? 0) <= performance.now()) late.push(viewer);
    }
    return late;
  }
}
