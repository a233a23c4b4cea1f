import { beforeEach, describe, expect, it } from 'vitest';
import { AutoScaler, type PoolFacts } from './autoscaler';

const PER_HOST = 10;
let now: number;
let scaler: AutoScaler;

beforeEach(() => {
  now = 1_000_000;
  scaler = new AutoScaler(() => now);
});

/** Facts of a pool whose hosts have these sessions. */
function facts(sessions: number[], changes: Partial<PoolFacts> & { busy?: number[] } = {}): PoolFacts {
  const { busy = [], ...rest } = changes;
  const slotsPerHost = rest.slotsPerHost ?? PER_HOST;
  const quiet = sessions.filter((taken, index) => taken > 0 && !busy.includes(index));
  return {
    hosts: sessions.length,
    floor: 1,
    ceiling: 20,
    slots: sessions.length * slotsPerHost,
    taken: sessions.reduce((sum, taken) => sum + taken, 0),
    slotsPerHost,
    emptyHosts: sessions.filter((taken) => taken === 0).length,
    quietRoom: quiet.reduce((sum, taken) => sum + slotsPerHost - taken, 0),
    busyHosts: busy.length,
    isExhausted: false,
    ...rest,
  };
}

describe('AutoScaler: growing', () => {
  it.each([
    ['below the floor', facts([], { floor: 3 }), 3],
    ['full', facts([10]), 2],
    ['few slots left', facts([8]), 2],
    ['busy, though nearly empty', facts([1], { busy: [0] }), 2],
    ['all busy', facts([3, 4], { busy: [0, 1] }), 3],
    ['little room but on busy hosts', facts([9, 1], { busy: [1] }), 3],
    ['80 % taken, with room on several', facts([8, 8, 8, 8, 8]), 6],
    ['one slot for each host, all taken', facts([1, 1], { slotsPerHost: 1 }), 3],
  ])('B3 %s: at once', (_what, given, targetCapacity) => {
    const decision = scaler.evaluateScaling(given);
    expect(decision).toMatchObject({ action: 'scale_up', targetCapacity });
    expect(decision.reason).not.toBe('');
    expect(decision.confidence).toBeGreaterThanOrEqual(0.8);
    expect(decision.confidence).toBeLessThanOrEqual(1);
  });

  it.each([
    ['room enough', facts([7])],
    ['an empty host stands by', facts([9, 0])],
    ['an empty host stands by a busy one', facts([1, 0], { busy: [0] })],
    ['the ceiling is reached', facts([10], { ceiling: 1 })],
    ['nothing there to do', facts([0])],
  ])('B3 %s: as it is', (_what, given) => {
    expect(scaler.evaluateScaling(given)).toMatchObject({ action: 'maintain', targetCapacity: given.hosts });
  });

  it('B5 at the ceiling it says what would help', () => {
    const full = facts([10, 10], { ceiling: 2 });
    expect(scaler.getRecommendations(full)).toEqual([expect.stringContaining('BACKEND_POOL_SIZE')]);
    expect(scaler.evaluateScaling(full).reason).toContain('ceiling is 2');
    expect(scaler.getRecommendations(facts([3]))).toEqual([]);
    expect(scaler.getRecommendations(facts([3], { isExhausted: true }))).toEqual([expect.stringContaining('crashing')]);
  });
});

describe('AutoScaler: shrinking', () => {
  it('B3 only after 60 s with few slots taken, and by all that is surplus', () => {
    const given = facts([4, 0, 0, 0]);
    expect(scaler.evaluateScaling(given).action).toBe('maintain');
    now += 59_000;
    expect(scaler.evaluateScaling(given).action).toBe('maintain');
    now += 2_000;
    expect(scaler.evaluateScaling(given)).toMatchObject({ action: 'scale_down', targetCapacity: 1 });
  });

  it('B3 a moment with more sessions begins the 60 s anew', () => {
    scaler.evaluateScaling(facts([4, 0]));
    now += 50_000;
    scaler.evaluateScaling(facts([7, 5]));
    now += 50_000;
    expect(scaler.evaluateScaling(facts([4, 0])).action).toBe('maintain');
  });

  it('B3 not within 60 s after the last change', () => {
    scaler.evaluateScaling(facts([1, 0]));
    now += 30_000;
    scaler.scaled();
    now += 40_000;
    expect(scaler.evaluateScaling(facts([1, 0])).action).toBe('maintain');
    now += 30_000;
    expect(scaler.evaluateScaling(facts([1, 0])).action).toBe('scale_down');
  });

  it.each([
    ['a host with a session', facts([1, 1, 1])],
    ['the spare beside a busy host', facts([1, 0], { busy: [0] })],
    ['the spare of a host that is nearly full', facts([6, 0])],
    ['a host of the floor', facts([0, 0], { floor: 2 })],
  ])('B3 never %s', (_what, given) => {
    for (let seconds = 0; seconds < 600; seconds += 5) {
      expect(scaler.evaluateScaling(given).action).toBe('maintain');
      now += 5_000;
    }
  });
});

describe('AutoScaler: over time', () => {
  /** Sessions on the fewest hosts, as placement fills them. */
  function spread(sessions: number, hosts: number, perHost: number): number[] {
    return Array.from({ length: hosts }, (_, index) => Math.min(perHost, Math.max(0, sessions - index * perHost)));
  }

  it.each([1, 2, 3, 4, 5, 10, 25])(
    'B3 no number of sessions makes a pool of hosts with %i slots flap',
    (slotsPerHost) => {
      for (let sessions = 0; sessions <= slotsPerHost * 12; sessions++) {
        let hosts = 1;
        let changes = 0;
        for (let seconds = 0; seconds < 1_200; seconds += 10) {
          const needed = Math.max(hosts, Math.ceil(sessions / slotsPerHost));
          const decision = scaler.evaluateScaling(facts(spread(sessions, needed, slotsPerHost), { slotsPerHost }));
          hosts = decision.targetCapacity;
          if (decision.action !== 'maintain') scaler.scaled();
          if (seconds > 600 && decision.action !== 'maintain') changes++;
          now += 10_000;
        }
        expect({ sessions, changes }).toEqual({ sessions, changes: 0 });
        expect(hosts * slotsPerHost).toBeGreaterThanOrEqual(Math.min(sessions, 20 * slotsPerHost));
        expect(hosts).toBeLessThanOrEqual(20);
      }
    },
  );

  it('B3 a session that comes and goes every 20 s starts one host at most, and ends none', () => {
    for (const sessions of [7, 8, 15, 16]) {
      const actions: string[] = [];
      let hosts = Math.ceil(sessions / PER_HOST);
      for (let turn = 0; turn < 180; turn++) {
        const decision = scaler.evaluateScaling(facts(spread(sessions + (turn % 2), hosts, PER_HOST)));
        hosts = decision.targetCapacity;
        if (decision.action !== 'maintain') {
          actions.push(decision.action);
          scaler.scaled();
        }
        now += 20_000;
      }
      expect(actions.length).toBeLessThanOrEqual(1);
      expect(actions).not.toContain('scale_down');
    }
  });
});
