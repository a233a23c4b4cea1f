import { beforeEach, describe, expect, it } from 'vitest';
import { Restarts } from './restarts';

let now: number;
let restarts: Restarts;

beforeEach(() => {
  now = 1_000_000;
  restarts = new Restarts(() => now);
});

/** A host is started when that is allowed, and crashes before it comes up. */
function fail(): void {
  expect(restarts.mayStart).toBe(true);
  restarts.started();
  restarts.crashed();
}

describe('Restarts', () => {
  it('B9 the first start after a crash is made at once, the next at growing distances, five in all', () => {
    restarts.crashed();
    const waits: number[] = [];
    for (let n = 0; n < 5; n++) {
      const from = now;
      while (!restarts.mayStart) now += 100;
      waits.push(now - from);
      fail();
    }
    expect(waits).toEqual([0, 1_000, 2_000, 4_000, 8_000]);
    expect(restarts.isExhausted).toBe(true);
    expect(restarts.count).toBe(5);
    now += 5 * 60_000;
    expect(restarts.mayStart).toBe(false);
    now += 6 * 60_000;
    expect(restarts.isExhausted).toBe(false);
    expect(restarts.mayStart).toBe(true);
  });

  it('B9 a host that comes up and crashes again counts as well', () => {
    for (let n = 0; n < 5; n++) {
      restarts.crashed();
      now += 20_000;
      expect(restarts.mayStart).toBe(true);
      restarts.started();
      restarts.cameUp();
    }
    expect(restarts.isExhausted).toBe(false);
    restarts.crashed();
    expect(restarts.isExhausted).toBe(true);
  });

  it('B9 it has not given up while the last restart is under way', () => {
    restarts.crashed();
    for (let n = 0; n < 4; n++) {
      now += 10_000;
      fail();
    }
    now += 10_000;
    restarts.started();
    expect([restarts.isExhausted, restarts.mayStart]).toEqual([false, false]);
    restarts.cameUp();
    expect([restarts.isExhausted, restarts.mayStart]).toEqual([false, true]);
  });

  it('B9 after a crash one host is tried at a time; when it is up, any number may be started', () => {
    restarts.crashed();
    restarts.started();
    expect(restarts.mayStart).toBe(false);
    restarts.cameUp();
    for (let n = 0; n < 20; n++) {
      expect(restarts.mayStart).toBe(true);
      restarts.started();
    }
    expect(restarts.count).toBe(1);
  });

  it('B9 many hosts that die at once use up one restart', () => {
    for (let n = 0; n < 20; n++) restarts.crashed();
    expect(restarts.isExhausted).toBe(false);
    expect(restarts.mayStart).toBe(true);
    restarts.started();
    restarts.cameUp();
    expect(restarts.count).toBe(1);
  });

  it('B9 when nothing is left, a user who waits still makes one try in 10 s', () => {
    restarts.crashed();
    for (let n = 0; n < 5; n++) {
      now += 10_000;
      fail();
    }
    expect(restarts.mayTry).toBe(false);
    now += 10_000;
    expect(restarts.mayTry).toBe(true);
    restarts.started();
    restarts.crashed();
    expect(restarts.mayTry).toBe(false);
  });
});
