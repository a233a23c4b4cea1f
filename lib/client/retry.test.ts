import { expect, test } from 'vitest';
import { Retry } from './retry';

test('C1 delays double from 0.2 s to 10 s, and start anew after a success', () => {
  const retry = new Retry(() => 1);
  const delays = Array.from({ length: 8 }, () => retry.next('retry'));
  expect(delays).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  retry.reset();
  expect(retry.next('retry')).toBe(200);
});

test('C1 the jitter is full: any delay from nothing to the ceiling', () => {
  expect(new Retry(() => 0).next('retry')).toBe(0);
  expect(new Retry(() => 0.5).next('retry')).toBe(100);
});

test('C7 a restarting gateway is tried soon, with a small spread', () => {
  const retry = new Retry(() => 0.5);
  expect(retry.next('retry', true)).toBe(250);
});

test('C1 who shared the gateway with many spreads wider, 10 s at most', () => {
  const retry = new Retry(() => 1);
  retry.share(10);
  expect(retry.next('retry')).toBe(200);
  retry.share(300);
  expect([retry.next('retry'), retry.next('retry', true)]).toEqual([3_000, 3_000]);
  retry.share(100_000);
  expect([retry.next('retry'), retry.next('retry')]).toEqual([10_000, 10_000]);
});

test('C1 nobody waits longer for a gateway that is back than the others need', () => {
  const retry = new Retry(() => 0.5);
  expect(retry.onReturn()).toBe(0);
  retry.share(200);
  expect(retry.onReturn()).toBe(1_000);
});

test('C7 sign-in: one fresh ticket, then no more', () => {
  const retry = new Retry(() => 1);
  expect(retry.next('sign-in')).toBe(0);
  expect(retry.next('sign-in')).toBeNull();
});

test('C7 ticket: at once with a fresh ticket, but not for ever', () => {
  const retry = new Retry(() => 1);
  expect([1, 2, 3].map(() => retry.next('ticket'))).toEqual([0, 0, 0]);
  expect(retry.next('ticket')).toBeGreaterThan(0);
});

test.each(['stop', 'reload', 'upgrade'] as const)('C7 %s: no further attempt', (action) => {
  expect(new Retry(() => 1).next(action)).toBeNull();
});
