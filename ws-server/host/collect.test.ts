import { afterEach, expect, it, vi } from 'vitest';
import { collectSoon, countCollections } from './collect';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('S10 garbage is collected at most every 20 seconds, never at once, and counted; without the flag nothing happens', () => {
  vi.useFakeTimers();
  vi.stubGlobal('gc', undefined);
  collectSoon();
  vi.advanceTimersByTime(120_000);
  expect(countCollections()).toBe(0);

  const gc = vi.fn();
  vi.stubGlobal('gc', gc);
  for (let second = 0; second < 100; second++) {
    const before = gc.mock.calls.length;
    collectSoon();
    expect(gc.mock.calls.length, 'not within the call').toBe(before);
    vi.advanceTimersByTime(1_000);
  }
  expect(gc).toHaveBeenCalledTimes(5);
  expect(countCollections()).toBe(5);
});
