/** What is selected in a terminal, to be selected again in another one that ends with the same lines. */
import type { Terminal } from '@xterm/xterm';

/** A selection by its place from the end of the buffer, where lines keep their place while others are put before them. */
export type KeptSelection = { col: number; fromEnd: number; length: number };

/** What is selected, or null; the alternate screen has nothing that another terminal shows. */
export function keepSelection(terminal: Terminal): KeptSelection | null {
  const range = terminal.getSelectionPosition();
  const { length, type } = terminal.buffer.active;
  if (!range || type === 'alternate') return null;
  const { start, end } = range;
  return { col: start.x, fromEnd: length - start.y, length: (end.y - start.y) * terminal.cols + end.x - start.x };
}

/** Selects the same in a terminal whose lines up to `end` end with the ones that were there. */
export function selectAgain(terminal: Terminal, kept: KeptSelection | null, end: number): void {
  if (kept && end >= kept.fromEnd) terminal.select(kept.col, end - kept.fromEnd, kept.length);
}
