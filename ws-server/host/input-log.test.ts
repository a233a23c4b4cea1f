import { expect, it } from 'vitest';
import { InputLog } from './input-log';

const MINUTE = 60_000;

it('I6 remembers a client for 10 minutes after it has left, and as long as it is here', () => {
  const here = new Set(['quiet-but-here']);
  const log = new InputLog((client) => here.has(client));
  for (const client of ['quiet-but-here', 'away']) log.accept(log.of(client, 0), 1, 5);
  expect(log.of('away', 9 * MINUTE).accepted).toBe(1);
  log.of('newcomer', 30 * MINUTE);
  expect(log.of('quiet-but-here', 30 * MINUTE).accepted).toBe(1);
  expect(log.of('away', 30 * MINUTE).accepted).toBe(0);
});

it('I6 remembers 64 clients that are away, the last ones', () => {
  const log = new InputLog((client) => client === 'here');
  for (const client of ['here', ...Array.from({ length: 70 }, (_, n) => `away-${n}`)])
    log.accept(log.of(client, 0), 1, 5);
  expect(log.of('here', 0).accepted).toBe(1);
  expect(log.of('away-69', 0).accepted).toBe(1);
  expect(log.of('away-6', 0).accepted).toBe(1);
  expect(log.of('away-0', 0).accepted).toBe(0);
});

it('I1 I3 judges repetitions, holes and too much', () => {
  const log = new InputLog(() => true);
  const input = log.of('client');
  expect(log.accept(input, 1, 100)).toBe('write');
  expect(log.accept(input, 1, 100)).toBe('repeated');
  expect(() => log.accept(input, 3, 1)).toThrow('came after');
  expect(() => log.accept(input, 2, 65_536)).toThrow('64 KiB');
  log.wrote(input, 1, 100);
  expect(log.accept(input, 2, 65_536)).toBe('write');
});
