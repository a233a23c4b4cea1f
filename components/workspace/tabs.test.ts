import { describe, expect, it } from 'vitest';
import { freeTabName, moveTab } from './tabs';

const tabs = ['a', 'b', 'c', 'd'].map((id, place) => ({ id, position: place + 1 }));

function orderAfter(rows: { id: string; position: number }[], id: string, index: number): string {
  const changes = moveTab(rows, id, index);
  return rows
    .map((row) => changes.find((change) => change.id === row.id) ?? row)
    .sort((a, b) => a.position - b.position)
    .map((row) => row.id)
    .join('');
}

describe('moveTab', () => {
  it.each([
    ['a', 3, 'bcda'],
    ['a', 1, 'bacd'],
    ['d', 0, 'dabc'],
    ['c', 1, 'acbd'],
    ['b', 1, 'abcd'],
  ])('brings %s to index %i', (id, index, order) => {
    expect(orderAfter(tabs, id, index)).toBe(order);
  });

  it('changes one record while there is room between the neighbours', () => {
    expect(moveTab(tabs, 'd', 1)).toEqual([{ id: 'd', position: 1.5 }]);
  });

  it('numbers all tabs again when halving has no room left', () => {
    const tight = [
      { id: 'a', position: 1 },
      { id: 'b', position: 1 },
      { id: 'c', position: 1 },
    ];
    expect(orderAfter(tight, 'c', 1)).toBe('acb');
  });

  it('keeps every order over a thousand moves', () => {
    let rows = [...tabs];
    for (let step = 0; step < 1000; step += 1) {
      const moved = rows.at(-1)?.id ?? '';
      const changes = moveTab(rows, moved, 1);
      rows = rows.map((row) => changes.find(({ id }) => id === row.id) ?? row).sort((a, b) => a.position - b.position);
      expect(rows[1]?.id).toBe(moved);
    }
  });

  it('has nothing to change for a single tab', () => {
    expect(moveTab(tabs.slice(0, 1), 'a', 0)).toEqual([]);
  });
});

describe('freeTabName', () => {
  it('takes the lowest free number', () => {
    expect(freeTabName('system', [])).toBe('Shell');
    expect(freeTabName('system', ['Shell', 'Shell 3'])).toBe('Shell 2');
    expect(freeTabName('claude', ['Claude'])).toBe('Claude 2');
  });
});
