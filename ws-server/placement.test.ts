import { describe, expect, it } from 'vitest';
import { ErrorRate } from './error-rate';
import { type Beat, Load } from './load';
import { type Candidate, pickCalmest, pickQuiet } from './placement';

function host(taken: number, changes: Partial<Candidate> = {}): Candidate {
  return { taken, capacity: 10, isReady: true, isBusy: false, cpu: 0, ...changes };
}

function beat(cpuSeconds: number, loopLagMs = 0): Beat {
  const zero = { rss: 0, sessions: 0, hibernated: 0, sessionBytes: 0, bytesIn: 0, bytesOut: 0, errors: 0 };
  return { ...zero, cpuSeconds, loopLagMs, journalFault: null };
}

describe('placement', () => {
  it('B2 the fullest quiet host with room', () => {
    const hosts = [host(2), host(10), host(7), host(9, { isBusy: true }), host(0)];
    expect(pickQuiet(hosts)).toBe(hosts[2]);
  });

  it('B2 one that listens before a fuller one that is still starting', () => {
    const hosts = [host(5, { isReady: false }), host(0)];
    expect(pickQuiet(hosts)).toBe(hosts[1]);
    expect(pickQuiet(hosts.slice(0, 1))).toBe(hosts[0]);
  });

  it('B2 none when all are full or busy, and then the least busy with room', () => {
    const hosts = [host(10), host(1, { isBusy: true, cpu: 0.9 }), host(8, { isBusy: true, cpu: 0.6 })];
    expect(pickQuiet(hosts)).toBeNull();
    expect(pickCalmest(hosts)).toBe(hosts[2]);
    expect(pickCalmest([host(10)])).toBeNull();
  });
});

describe('Load', () => {
  it('B2 half a core between two beats is busy, and is remembered for one beat', () => {
    const load = new Load();
    load.note(beat(100), 0);
    expect([load.cpu, load.isBusy]).toEqual([0, false]);
    load.note(beat(104), 5_000);
    expect([load.cpu, load.isBusy]).toEqual([0.8, true]);
    load.note(beat(104), 10_000);
    expect([load.cpu, load.isBusy]).toEqual([0, true]);
    load.note(beat(104.5), 15_000);
    expect([load.cpu, load.isBusy]).toEqual([0.1, false]);
  });

  it('B2 a loop that lags in two beats is busy, one hiccup is not', () => {
    const load = new Load();
    load.note(beat(0, 900), 0);
    expect(load.isBusy).toBe(false);
    load.note(beat(0, 0), 5_000);
    expect(load.isBusy).toBe(false);
    load.note(beat(0, 300), 10_000);
    expect(load.isBusy).toBe(false);
    load.note(beat(0, 400), 15_000);
    expect(load.isBusy).toBe(true);
  });

  it('B2 beats that come close together are taken as one', () => {
    const load = new Load();
    load.note(beat(100), 0);
    load.note(beat(100.01), 5);
    expect([load.cpu, load.isBusy, load.beat?.cpuSeconds]).toEqual([0, false, 100.01]);
    load.note(beat(101), 5_000);
    expect(load.cpu).toBe(0.2);
  });
});

describe('ErrorRate', () => {
  it('B5 is the share of failed calls of the last one to two minutes', () => {
    let now = 0;
    const errors = new ErrorRate(() => now);
    expect(errors.rate).toBe(0);
    for (const hasFailed of [true, false, false, false]) errors.count(hasFailed);
    expect(errors.rate).toBe(0.25);
    now = 70_000;
    expect(errors.rate).toBe(0.25);
    for (let n = 0; n < 4; n++) errors.count(true);
    expect(errors.rate).toBe(0.625);
    now = 130_000;
    expect(errors.rate).toBe(1);
    now = 400_000;
    expect(errors.rate).toBe(0);
  });
});
