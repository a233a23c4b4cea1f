import { expect, test } from 'vitest';
import { median, percentile, shown } from './statistics';

test('N9 a median is the middle value, or the mean of the two in the middle; what is no number does not count', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([7, Number.NaN])).toBe(7);
  expect(median([])).toBeNaN();
});

test('N9 a percentile is a value that was measured, by the nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, n) => 100 - n);
  expect(percentile(hundred, 0.5)).toBe(50);
  expect(percentile(hundred, 0.99)).toBe(99);
  expect(percentile(hundred, 1)).toBe(100);
  expect(percentile([3], 0.5)).toBe(3);
  expect(percentile([3, 4], 0)).toBe(3);
  expect(percentile([], 0.5)).toBeNaN();
});

test('N9 numbers are shown with about three digits', () => {
  expect([0, 0.0123, 0.5, 12.345, 1234.5, Number.NaN].map(shown)).toEqual(['0', '0.012', '0.50', '12.3', '1235', '–']);
});
