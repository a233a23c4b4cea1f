import { expect, test } from 'vitest';
import { fill, format, mediansOf, type Row } from './table';

const row: Row = {
  label: 'echo',
  unit: 'ms',
  value: 'p50',
  beside: 'difference',
  target: { text: '≤ naive + 0.25', isReached: ({ naive, holdfast }) => holdfast <= naive + 0.25 },
};

test('N9 each value has the median of its rounds; one that a round lacks counts in the others', () => {
  expect(mediansOf([{ a: 1, b: 10 }, { a: 3 }, { a: 2, b: 20 }])).toEqual({ a: 2, b: 15 });
  expect(mediansOf([])).toEqual({});
});

test('N9 a target is judged on the medians beside naive', () => {
  expect(fill(row, { p50: 0.5 }, { p50: 0.7 })).toEqual({
    label: 'echo, ms',
    naive: '0.50',
    holdfast: '0.70',
    beside: '+ 0.20',
    target: '≤ naive + 0.25',
    reached: 'yes',
  });
  expect(fill(row, { p50: 0.5 }, { p50: 0.8 }).reached).toBe('NO');
  expect(fill({ ...row, beside: 'ratio' }, { p50: 0.5 }, { p50: 0.25 }).beside).toBe('× 0.50');
});

test('N9 what was not measured reaches no target', () => {
  expect(fill(row, { p50: 0.5 }, {})).toMatchObject({ holdfast: '–', beside: '', reached: 'NO' });
  expect(fill(row, {}, { p50: 0.5 })).toMatchObject({ naive: '–', beside: '', reached: 'NO' });
});

test('N9 a row without a target is neither reached nor missed', () => {
  const { target: _, ...plain } = row;
  expect(fill(plain, {}, {})).toMatchObject({ target: '', reached: '' });
});

test('N9 the table has one line for each row and columns of one width', () => {
  const lines = format([fill(row, { p50: 0.5 }, { p50: 0.7 }), fill(row, { p50: 100 }, { p50: 200 })]).split('\n');
  expect(lines).toHaveLength(4);
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  expect(lines[0]).toMatch(/^\| case +\| +naive \| +Holdfast \| ratio or difference \| target +\| reached \|$/);
});
