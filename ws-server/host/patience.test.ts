import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RING_BYTES_MAX } from '@/lib/protocol/limits';
import { Patience } from './patience';

const FAR = RING_BYTES_MAX * 0.75;

/** Viewers that are as far behind as a test says, and when the program was held. */
function follow(...behind: number[]) {
  const viewers = behind.map((bytes) => ({ behind: bytes }));
  const held: boolean[] = [];
  const patience = new Patience(
    () => viewers,
    (isHeld) => held.push(isHeld),
  );
  return { viewers, held, patience };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('Patience', () => {
  it('H10 a program does not wait for viewers that keep up', () => {
    const { patience, held } = follow(0, RING_BYTES_MAX / 2);
    patience.look();
    expect(held).toEqual([]);
  });

  it('H10 it waits for a viewer that falls behind until that one has caught up, and does so again', () => {
    const { patience, held, viewers } = follow(0, FAR);
    for (const times of [1, 2, 3]) {
      viewers[1] = Object.assign(viewers[1] ?? { behind: 0 }, { behind: FAR });
      patience.look();
      vi.advanceTimersByTime(200);
      patience.look();
      expect(held).toHaveLength(2 * times - 1);
      Object.assign(viewers[1], { behind: RING_BYTES_MAX / 4 });
      patience.look();
      expect(held.slice(-2)).toEqual([true, false]);
    }
    vi.advanceTimersByTime(60_000);
    expect(held).toHaveLength(6);
  });

  it('H10 it waits at most 250 ms in 10 s for a viewer that does not catch up, and still for others', () => {
    const { patience, held, viewers } = follow(FAR);
    patience.look();
    vi.advanceTimersByTime(250);
    expect(held).toEqual([true, false]);
    patience.look();
    expect(held).toEqual([true, false]);
    viewers.push({ behind: FAR });
    patience.look();
    expect(held).toEqual([true, false, true]);
    viewers.pop();
    patience.look();
    expect(held).toEqual([true, false, true, false]);
    vi.advanceTimersByTime(10_000);
    patience.look();
    expect(held).toEqual([true, false, true, false, true]);
    patience.stop();
    expect(held.at(-1)).toBe(false);
  });

  it('H10 it waits in vain three times in 10 s at most, whoever comes', () => {
    const { patience, held, viewers } = follow(FAR);
    for (let n = 0; n < 8; n++) {
      patience.look();
      vi.advanceTimersByTime(250);
      viewers[0] = { behind: FAR }; // the same one in a new connection
    }
    expect(held.filter((isHeld) => isHeld)).toHaveLength(3);
    vi.advanceTimersByTime(10_000);
    patience.look();
    expect(held.at(-1)).toBe(true);
    patience.stop();
  });
});
