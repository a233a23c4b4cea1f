/** Scrolling of a terminal with wheel and finger, and what happens beyond its ends. xterm.js 6.0.0 knows no touch. */
import type { Terminal } from '@xterm/xterm';
import { measureCell } from './fit';

export type ScrollEnds = {
  /** The user scrolls up although the top is shown, or down although the bottom is. */
  onBeyond(end: 'top' | 'bottom'): void;
};

/** Whether wheel and finger scroll the terminal: in a full-screen program, or one that reads the mouse, they are the program's. */
export function isScrollable(terminal: Terminal): boolean {
  return terminal.buffer.active.type === 'normal' && terminal.modes.mouseTrackingMode === 'none';
}

/** Listens on the element around a terminal until `signal` is aborted. */
export function watchScrolling(terminal: Terminal, element: HTMLElement, ends: ScrollEnds, signal: AbortSignal): void {
  /** Whether a move in this direction leads beyond an end; then it is told. */
  const goesBeyond = (direction: number): boolean => {
    if (!isScrollable(terminal)) return false;
    const { viewportY, baseY } = terminal.buffer.active;
    const isBeyond = direction < 0 ? viewportY === 0 : viewportY >= baseY;
    if (isBeyond && direction !== 0) ends.onBeyond(direction < 0 ? 'top' : 'bottom');
    return isBeyond;
  };

  element.addEventListener(
    'wheel',
    (event) => {
      // With Ctrl the wheel changes the size of the page.
      if (!event.ctrlKey && Math.abs(event.deltaY) > Math.abs(event.deltaX)) goesBeyond(event.deltaY);
    },
    { capture: true, passive: true, signal },
  );

  /** Where the finger was when the last whole line was scrolled (px). */
  let lastY: number | null = null;
  element.addEventListener(
    'touchstart',
    ({ touches }) => {
      lastY = touches.length === 1 ? (touches[0]?.clientY ?? null) : null;
    },
    { passive: true, signal },
  );
  element.addEventListener(
    'touchmove',
    (event) => {
      const y = event.touches[0]?.clientY;
      const lineHeight = measureCell(terminal)?.height;
      if (lastY === null || y === undefined || !lineHeight || !isScrollable(terminal)) return;
      event.preventDefault();
      const lines = Math.trunc((lastY - y) / lineHeight);
      if (lines === 0) return;
      lastY -= lines * lineHeight;
      if (!goesBeyond(lines)) terminal.scrollLines(lines);
    },
    { passive: false, signal },
  );
}
