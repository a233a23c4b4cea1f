import { expect, test } from 'vitest';
import { FONT_SIZE, fontSizeThatFits, SCROLLBAR_WIDTH, sizeThatFits, wholeCellFontSize } from './fit';

const cell = { width: 8, height: 16 };

test('Z4 the size that fits fills the area and stays within the limits', () => {
  expect(sizeThatFits({ width: 800 + SCROLLBAR_WIDTH, height: 399 }, cell)).toEqual({ cols: 100, rows: 24 });
  expect(sizeThatFits({ width: 0, height: 0 }, cell)).toEqual({ cols: 2, rows: 1 });
  expect(sizeThatFits({ width: 1e6, height: 1e6 }, cell)).toEqual({ cols: 1000, rows: 500 });
});

test('C9 a terminal sized by another window is drawn in the largest font that fits, never above the usual one', () => {
  const area = { width: 400 + SCROLLBAR_WIDTH, height: 1000 };
  const usual = { fontSize: FONT_SIZE, cell, pixels: 8 / FONT_SIZE };
  expect(fontSizeThatFits(area, usual, { cols: 100, rows: 24 })).toBeCloseTo(FONT_SIZE / 2, 1);
  expect(fontSizeThatFits(area, usual, { cols: 10, rows: 5 })).toBe(FONT_SIZE);
  expect(fontSizeThatFits(area, usual, { cols: 1000, rows: 500 })).toBe(4);
});

test('characters are whole device pixels wide, and no smaller than usual', () => {
  for (const ratio of [1, 1.25, 1.5, 2, 3]) {
    const size = wholeCellFontSize(0.6, ratio);
    const width = size * 0.6 * ratio;
    expect(width - Math.floor(width)).toBeLessThan(0.05);
    expect(size).toBeGreaterThanOrEqual(FONT_SIZE);
    expect(size).toBeLessThan(FONT_SIZE + 2);
  }
});
