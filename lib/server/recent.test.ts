import { afterEach, expect, it, vi } from 'vitest';
import { RecentResults } from './recent';

afterEach(() => {
  vi.useRealTimers();
});

it('R8 repeats, also at once, share the first result', async () => {
  const recent = new RecentResults<string>();
  const make = vi.fn(async () => 'first');
  const both = await Promise.all([recent.once('key', 'a', make), recent.once('key', 'a', make)]);
  expect(both.map(({ value }) => value)).toEqual(['first', 'first']);
  expect(both.map(({ isRepeat }) => isRepeat)).toEqual([false, true]);
  expect(make).toHaveBeenCalledTimes(1);
});

it('R8 a key that was used for something else is refused', async () => {
  const recent = new RecentResults<string>();
  await recent.once('key', 'a', async () => 'first');
  await expect(recent.once('key', 'b', async () => 'second')).rejects.toMatchObject({ code: 'conflict' });
});

it('R8 a failure is not remembered', async () => {
  const recent = new RecentResults<string>();
  const failing = recent.once('key', 'a', () => Promise.reject(new Error('no')));
  await expect(failing).rejects.toThrow('no');
  expect(await recent.once('key', 'a', async () => 'now')).toEqual({ value: 'now', isRepeat: false });
});

it('R8 a result is kept for 10 minutes, and 1,000 of them at most', async () => {
  vi.useFakeTimers();
  const recent = new RecentResults<string>();
  await recent.once('key', 'a', async () => 'first');
  vi.advanceTimersByTime(599_000);
  expect((await recent.once('key', 'a', async () => 'second')).isRepeat).toBe(true);
  vi.advanceTimersByTime(2_000);
  expect((await recent.once('key', 'a', async () => 'second')).isRepeat).toBe(false);
  for (let i = 0; i < 1_000; i++) await recent.once(`other ${i}`, 'a', async () => 'other');
  expect((await recent.once('key', 'a', async () => 'third')).isRepeat).toBe(false);
});
