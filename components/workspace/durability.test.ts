import { expect, it } from 'vitest';
import { survivalOf } from './durability';

it('P19 only a stored session is the normal case, and an ephemeral Holdfast promises the least', () => {
  expect(survivalOf('stored', false)).toMatchObject({ level: 'L3', isNormal: true });
  expect(survivalOf('outbox', false)).toMatchObject({ level: 'L2', isNormal: false });
  expect(survivalOf('memory', false)).toMatchObject({ level: 'L2', isNormal: false });
  for (const durability of ['stored', 'outbox', 'memory'] as const) {
    expect(survivalOf(durability, true)).toMatchObject({ level: 'L0', isNormal: false });
  }
});
