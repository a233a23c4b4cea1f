/** How many cells fit into an element, and in which font size a terminal of another size fits into it. */
import type { Terminal } from '@xterm/xterm';
import { COLS, ROWS } from '@/lib/protocol/limits';
import type { CellSize, Size } from '@/lib/protocol/wire';

/** About the font that a terminal is drawn with when it has its own size (px); see `wholeCellFontSize`. */
export const FONT_SIZE = 13;
/** Smaller is not readable at all (px). */
const FONT_SIZE_MIN = 4;
/** Kept free beside the grid for the scroll bar (px). */
export const SCROLLBAR_WIDTH = 12;

/** A width and a height in CSS pixels. */
export type Area = { width: number; height: number };

function clamp(value: number, { min, max }: { min: number; max: number }): number {
  return Math.min(max, Math.max(min, value));
}

/** The terminal size that fills an area. */
export function sizeThatFits(area: Area, cell: CellSize): Size {
  return {
    cols: clamp(Math.floor((area.width - SCROLLBAR_WIDTH) / cell.width), COLS),
    rows: clamp(Math.floor(area.height / cell.height), ROWS),
  };
}

/**
 * The largest font size, not above the usual one, at which a grid of `size` fits into an area, with characters that are whole
 * device pixels wide where they are wide enough to be read.
 * A smaller font instead of a CSS transform: it stays crisp, and xterm.js reads the pointer right.
 * @param usual font size and cell of a terminal that has its own size, and device pixels that a font of 1 px is wide
 */
export function fontSizeThatFits(
  area: Area,
  usual: { fontSize: number; cell: CellSize; pixels: number },
  size: Size,
): number {
  const { fontSize, cell, pixels } = usual;
  const ratio = Math.min(
    (area.width - SCROLLBAR_WIDTH) / (size.cols * cell.width),
    area.height / (size.rows * cell.height),
  );
  if (ratio >= 1) return fontSize;
  const whole = Math.floor(fontSize * ratio * pixels);
  const fitting = whole >= 3 ? (whole + 0.01) / pixels : Math.floor(fontSize * ratio * 2) / 2;
  return clamp(fitting, { min: FONT_SIZE_MIN, max: fontSize });
}

/**
 * The font size next above the usual one at which a character is a whole number of device pixels wide: the WebGL renderer
 * of xterm.js cuts the rest off every cell, and of every glyph.
 * @param advance the width of a character divided by its font size
 */
export function wholeCellFontSize(advance: number, devicePixelRatio: number): number {
  const pixels = Math.ceil(FONT_SIZE * advance * devicePixelRatio);
  // A hair above, so that measuring does not come out below.
  return (pixels + 0.01) / (advance * devicePixelRatio);
}

/** The width of a character of a monospace font divided by its font size. */
export function advanceOf(fontFamily: string): number {
  const context = document.createElement('canvas').getContext('2d');
  if (!context) return 0.6;
  context.font = `100px ${fontFamily}`;
  return context.measureText('W').width / 100 || 0.6;
}

/** The size of the drawn grid, or null while it is not laid out. */
export function measureGrid(terminal: Terminal): Area | null {
  const rect = terminal.element?.querySelector('.xterm-screen')?.getBoundingClientRect();
  return rect && rect.width > 0 && rect.height > 0 ? { width: rect.width, height: rect.height } : null;
}

/** The size of one cell as it is drawn, or null while it is not laid out. */
export function measureCell(terminal: Terminal): CellSize | null {
  const grid = measureGrid(terminal);
  return grid && { width: grid.width / terminal.cols, height: grid.height / terminal.rows };
}
