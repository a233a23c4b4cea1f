import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '@/lib/log';
import { AppError } from '@/lib/protocol/errors';
import { type Mood, UnsteadyDriver } from '@/tests/harness/unsteady-driver';
import { Guard, type GuardOptions, Unavailable } from './guard';

const guards: Guard[] = [];
afterEach(() => {
  for (const guard of guards.splice(0)) guard.close();
});

function guarded(driver: UnsteadyDriver, change: Partial<GuardOptions> = {}): Guard {
  const log = createLog('test', 'error');
  log.level = 'silent';
  const guard = new Guard({ name: 'database', driver, deadlineMs: 100, connectMs: 400, log, ...change });
  guards.push(guard);
  return guard;
}

async function connected(mood: Mood = 'well', change: Partial<GuardOptions> = {}) {
  const driver = new UnsteadyDriver();
  driver.mood = mood;
  const guard = guarded(driver, change);
  await guard.first;
  return { driver, guard, read: () => guard.run('get', () => driver.sessions.get('one')) };
}

async function timed(work: () => Promise<unknown>): Promise<{ ms: number; error: unknown }> {
  const startedAt = performance.now();
  let error: unknown = null;
  try {
    await work();
  } catch (caught) {
    error = caught;
  }
  return { ms: performance.now() - startedAt, error };
}

describe('D40', () => {
  it('D40 one call waits for its deadline; every call beside and behind it fails at once', async () => {
    const { driver, guard, read } = await connected();
    expect(await read()).toBeNull();
    driver.mood = 'hung';
    const first = timed(read);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const beside = timed(read);
    const [one, two] = await Promise.all([first, beside]);
    expect(one.error).toBeInstanceOf(Unavailable);
    expect(two.error).toMatchObject({ name: 'Unavailable', wasAsked: true });
    expect(two.ms).toBeLessThan(90);
    expect(driver.resets).toBeGreaterThan(0);
    const later = await timed(read);
    expect(later.error).toMatchObject({ name: 'Unavailable', wasAsked: false });
    expect(later.ms).toBeLessThan(20);
    expect(guard.isClosed).toBe(false);
  });

  it('D40 a single failure is made good by the probe, without anybody being told', async () => {
    const { driver, guard, read } = await connected();
    const onChange = vi.fn();
    guard.onChange(onChange);
    driver.mood = 'hung';
    const missed = timed(read);
    await vi.waitFor(() => expect(driver.resets).toBe(1));
    driver.mood = 'well';
    expect((await missed).error).toBeInstanceOf(Unavailable);
    await vi.waitFor(() => expect(guard.isClosed).toBe(true));
    expect(await read()).toBeNull();
    expect(onChange).not.toHaveBeenCalled();
  });
});

it('D41 three failures in a row open the breaker, a probe every 2 s closes it, and listeners hear of both', async () => {
  const { driver, guard, read } = await connected();
  const states: boolean[] = [];
  guard.onChange(() => states.push(guard.isOpen));
  driver.mood = 'away';
  await timed(read);
  await vi.waitFor(() => expect(states).toEqual([true]));
  const before = driver.pings;
  await vi.waitFor(() => expect(driver.pings).toBeGreaterThanOrEqual(before + 2), { timeout: 4_600 });
  driver.mood = 'well';
  await vi.waitFor(() => expect(states).toEqual([true, false]), { timeout: 2_600 });
  expect(await read()).toBeNull();
});

it('D41 a later probe that fails counts like any failure, however long the first connection may take', async () => {
  const { driver, guard, read } = await connected('well', { connectMs: 1_800 });
  const before = driver.pings;
  let probes = 0;
  guard.onChange(() => {
    probes ||= driver.pings - before;
  });
  driver.mood = 'away';
  await expect(read()).rejects.toBeInstanceOf(Unavailable);
  await vi.waitFor(() => expect(guard.isOpen).toBe(true));
  expect(probes).toBe(2);
});

it('D41 half of at least five calls in 10 s open it as well', async () => {
  const { driver, guard } = await connected();
  const alternate = async (isGood: boolean) => {
    await vi.waitFor(() => expect(guard.isClosed).toBe(true));
    const call = isGood ? () => driver.sessions.get('one') : () => Promise.reject(new Error('broken'));
    await timed(() => guard.run('get', call));
  };
  for (let i = 0; i < 2; i++) {
    await alternate(true);
    await alternate(false);
  }
  expect(guard.isOpen).toBe(false);
  await alternate(true);
  await alternate(false);
  await vi.waitFor(() => expect(guard.isOpen).toBe(true));
});

it('D41 answers of the error table are no failures', async () => {
  const { guard } = await connected();
  for (let i = 0; i < 20; i++) {
    const { error } = await timed(() => guard.run('update', () => Promise.reject(new AppError('conflict', 'no'))));
    expect(error).toMatchObject({ code: 'conflict' });
  }
  expect(guard.isClosed).toBe(true);
});

it('D41 a driver that answers too late stays away', async () => {
  const { driver, guard, read } = await connected();
  driver.delayMs = 250;
  await timed(read);
  await vi.waitFor(() => expect(guard.isOpen).toBe(true), { timeout: 3_000 });
  const before = driver.pings;
  await vi.waitFor(() => expect(driver.pings).toBeGreaterThanOrEqual(before + 2), { timeout: 6_000 });
  expect(guard.isClosed).toBe(false);
});

it('D41 a driver that comes and goes stays open longer each time', async () => {
  const { driver, guard, read } = await connected();
  const changes: number[] = [];
  guard.onChange(() => changes.push(performance.now()));
  for (let i = 0; i < 2; i++) {
    await vi.waitFor(() => expect(guard.isClosed).toBe(true), { timeout: 8_000 });
    driver.mood = 'away';
    await timed(read);
    await vi.waitFor(() => expect(guard.isOpen).toBe(true));
    driver.mood = 'well';
  }
  await vi.waitFor(() => expect(guard.isClosed).toBe(true), { timeout: 8_000 });
  const [first = 0, second = 0, third = 0, fourth = 0] = changes;
  expect(second - first).toBeLessThan(2_600);
  expect(fourth - third).toBeGreaterThan(3_700);
});

it('D42 the first connection may take longer than a call, and is given up after its ceiling', async () => {
  const slow = new UnsteadyDriver();
  slow.mood = 'hung';
  const late = guarded(slow);
  setTimeout(() => {
    slow.mood = 'well';
  }, 200);
  await late.first;
  expect(late.isClosed).toBe(true);
  const { ms } = await timed(async () => {
    const { guard } = await connected('hung');
    expect(guard.isOpen).toBe(true);
  });
  expect(ms).toBeGreaterThan(390);
  expect(ms).toBeLessThan(1_000);
});

it('D43 calls go through only after `resume` has closed, in the same step', async () => {
  const seen: boolean[] = [];
  const { guard } = await connected('well', {
    resume: async (attempt, close) => {
      seen.push(await attempt(50, async () => guards.at(-1)?.isClosed ?? false));
      close();
    },
  });
  expect(seen).toEqual([false]);
  expect(guard.isClosed).toBe(true);
  const failing = await connected('well', { resume: () => Promise.reject(new Error('schema is newer')) });
  expect(failing.guard.isClosed).toBe(false);
  expect(failing.guard.isOpen).toBe(true);
});
