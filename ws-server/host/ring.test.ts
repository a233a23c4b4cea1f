import { describe, expect, it } from 'vitest';
import { Ring } from './ring';

const KIB = 1024;

function fill(ring: Ring, from: number, to: number): void {
  for (let position = from; position < to; ) {
    const length = Math.min(1 + (position % 7001), to - position);
    ring.append(Buffer.from(Array.from({ length }, (_, n) => (position + n) % 251)));
    position += length;
  }
}

describe('Ring', () => {
  it('H9 keeps the last bytes at their positions and forgets the oldest', () => {
    const ring = new Ring(256 * KIB);
    fill(ring, 0, 1024 * KIB);
    expect(ring.end).toBe(1024 * KIB);
    expect(ring.end - ring.start).toBeLessThanOrEqual(256 * KIB);
    expect(ring.end - ring.start).toBeGreaterThan(190 * KIB);
    const bytes = Buffer.concat(ring.slices(ring.start, ring.end));
    expect(bytes.every((byte, n) => byte === (ring.start + n) % 251)).toBe(true);
  });

  it('gives any part of what it holds, and nothing that it does not hold', () => {
    const ring = new Ring(128 * KIB);
    fill(ring, 0, 50_000);
    expect(Buffer.concat(ring.slices(20_000, 20_003))).toEqual(Buffer.from([20_000 % 251, 20_001 % 251, 20_002 % 251]));
    expect(ring.slices(7, 7)).toEqual([]);
    expect(() => ring.slices(0, 50_001)).toThrow(RangeError);
    fill(ring, 50_000, 400_000);
    expect(() => ring.slices(0, 10)).toThrow(RangeError);
  });

  it('H11 gives back all but the last bytes, and nothing from a position on', () => {
    const ring = new Ring(512 * KIB);
    fill(ring, 0, 300_000);
    ring.compact(64 * KIB, 150_000);
    expect(ring.start).toBeGreaterThan(0);
    expect(ring.start).toBeLessThanOrEqual(150_000);
    ring.compact(64 * KIB, ring.end);
    expect(ring.end - ring.start).toBeLessThanOrEqual(64 * KIB);
    expect(ring.bytes).toBe(ring.end - ring.start);
  });

  it('slices stay what they were while the ring goes on', () => {
    const ring = new Ring(64 * KIB);
    fill(ring, 0, 1000);
    const slices = ring.slices(0, 1000);
    const before = Buffer.concat(slices);
    fill(ring, 1000, 300_000);
    expect(Buffer.concat(slices)).toEqual(before);
  });
});
