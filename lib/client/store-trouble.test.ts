import { expect, it } from 'vitest';
import { storeTroubles } from './store-trouble';

it('P20 a degraded store is told, the worst first; what is no part of it is not', () => {
  expect(storeTroubles(['redis', 'sidecar', 'db', 'toString']).map(({ word }) => word)).toEqual([
    'Database away',
    'Redis away',
  ]);
  expect(storeTroubles(['store', 'db'])[0]?.word).toBe('Changes in memory only');
  expect(storeTroubles([])).toEqual([]);
});
