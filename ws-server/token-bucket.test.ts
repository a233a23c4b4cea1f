import { expect, it } from 'vitest';
import { TokenBucket } from './token-bucket';

it('M7 a burst passes, then the rate, whatever time has gone by unused', () => {
  let now = 0;
  const bucket = new TokenBucket(50, 100, () => now);
  const taken = (tries: number) => Array.from({ length: tries }, () => bucket.take()).filter(Boolean).length;
  expect(taken(1_000)).toBe(100);
  now += 1_000;
  expect(taken(1_000)).toBe(50);
  now += 3_600_000;
  expect(taken(1_000)).toBe(100);
  let passed = 0;
  for (let step = 0; step < 1_000; step++) {
    now += 10;
    passed += taken(3);
  }
  expect(passed).toBe(500);
});
