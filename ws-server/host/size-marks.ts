/** Where in a session's stream its size changed. */
import type { Size } from '@/lib/protocol/wire';

const MARKS_MAX = 4096;

/** A change of size. `seq` grows by one with each, also at one position. */
export type SizeMark = Size & { position: number; seq: number };

export class SizeMarks {
  #marks: SizeMark[] = [];
  #seq = 0;
  /** Cursors below this cannot be served any more: marks at or behind them are forgotten. */
  #cursorMin = 0;

  /** The lowest cursor whose later marks are all known. */
  get cursorMin(): number {
    return this.#cursorMin;
  }

  add(position: number, { cols, rows }: Size): SizeMark {
    const mark = { position, cols, rows, seq: ++this.#seq };
    this.#marks.push(mark);
    if (this.#marks.length > MARKS_MAX) this.#cursorMin = (this.#marks.shift()?.position ?? 0) + 1;
    return mark;
  }

  /** The first mark behind `seq`. */
  after(seq: number): SizeMark | undefined {
    return this.#marks.find((mark) => mark.seq > seq);
  }

  /** The sequence of the last mark below a position: a viewer that wants `position` has applied it. */
  seqBefore(position: number): number {
    return this.#marks.findLast((mark) => mark.position < position)?.seq ?? this.#firstSeq() - 1;
  }

  /** Forgets marks below the ring's start. */
  forget(start: number): void {
    while (this.#marks.length > 0 && (this.#marks[0]?.position ?? start) < start) this.#marks.shift();
  }

  #firstSeq(): number {
    return this.#marks[0]?.seq ?? this.#seq + 1;
  }
}
