import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Heartbeat, type HostState } from './heartbeat';

const times = { beatMs: 5_000, slowMs: 6_000, unresponsiveMs: 11_000 };
let now: number;
let beats: number;
let states: HostState[];
let heartbeat: Heartbeat;

beforeEach(() => {
  vi.useFakeTimers();
  now = 0;
  beats = 0;
  states = [];
  heartbeat = new Heartbeat({
    times,
    beat: () => beats++,
    onState: (state) => states.push(state),
    now: () => now,
  });
});

afterEach(() => {
  heartbeat.stop();
  vi.useRealTimers();
});

/** Lets time pass in which this process is awake. */
function pass(ms: number): void {
  for (let passed = 0; passed < ms; passed += 100) {
    now += 100;
    vi.advanceTimersByTime(100);
  }
}

describe('Heartbeat', () => {
  it('B6 asks at once and every 5 s, and says nothing of a host that answers', () => {
    for (let second = 0; second < 60; second++) {
      pass(1_000);
      heartbeat.heard();
    }
    expect(beats).toBe(13);
    expect(states).toEqual([]);
    expect(heartbeat.state).toBe('ok');
  });

  it('B6 silence is slow after 6 s and unresponsive after 11 s, and any word ends it', () => {
    pass(5_900);
    expect(states).toEqual([]);
    pass(200);
    expect(states).toEqual(['slow']);
    pass(4_800);
    expect(states).toEqual(['slow']);
    pass(200);
    expect(states).toEqual(['slow', 'unresponsive']);
    heartbeat.heard();
    heartbeat.heard();
    expect(states).toEqual(['slow', 'unresponsive', 'ok']);
    pass(6_100);
    expect(states.at(-1)).toBe('slow');
  });

  it('B6 an unresponsive host is not asked again and again', () => {
    pass(11_100);
    const asked = beats;
    pass(3_600_000);
    expect(beats).toBe(asked);
    heartbeat.heard();
    pass(5_100);
    expect(beats).toBe(asked + 1);
  });

  it('B7 time in which we slept is no silence of the host: it is asked anew, and then counts', () => {
    heartbeat.heard();
    const asked = beats;
    now += 3_600_000; // asleep: the timer of 6 s fires an hour late
    vi.advanceTimersByTime(6_000);
    expect(states).toEqual([]);
    expect(beats).toBeGreaterThan(asked);
    pass(5_900);
    expect(states).toEqual([]);
    pass(200);
    expect(states).toEqual(['slow']);
  });

  it('B7 sleep between the two stages does not make a slow host unresponsive', () => {
    pass(6_100);
    expect(states).toEqual(['slow']);
    now += 60_000;
    vi.advanceTimersByTime(5_000);
    expect(states).toEqual(['slow']);
    heartbeat.heard();
    expect(states).toEqual(['slow', 'ok']);
  });

  it('is silent for good once it is stopped', () => {
    heartbeat.stop();
    const asked = beats;
    pass(60_000);
    expect(beats).toBe(asked);
    expect(states).toEqual([]);
  });
});
