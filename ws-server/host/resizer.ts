/** Changes of a terminal's size, so few that no program has more to do than to draw itself anew. */
import type { Size } from '@/lib/protocol/wire';

/** Between two changes of size (ms): 20 in a second. */
const INTERVAL_MS = 50;

/** Lets the last size through that was wanted. */
export class Resizer {
  readonly #apply: (size: Size) => boolean;
  #appliedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param apply says whether it changed anything */
  constructor(apply: (size: Size) => boolean) {
    this.#apply = apply;
  }

  /** Applies a size now, or as soon as it may be, unless another is wanted until then. */
  want({ cols, rows }: Size): void {
    clearTimeout(this.#timer);
    const wait = this.#appliedAt + INTERVAL_MS - Date.now();
    const apply = () => {
      if (this.#apply({ cols, rows })) this.#appliedAt = Date.now();
    };
    if (wait > 0) this.#timer = setTimeout(apply, wait);
    else apply();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
