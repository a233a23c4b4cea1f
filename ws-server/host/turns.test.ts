import { describe, expect, it } from 'vitest';
import { turnsDuring } from '@/tests/harness/turns';
import type { JournalRecord } from './journal-format';
import { Tape } from './tape';
import { Turnstile, turn } from './turns';

/** A job that is under way until it is told to end. */
function job() {
  const ending: { end(): void } = { end: () => undefined };
  const state = { hasBegun: false };
  const run = () => {
    state.hasBegun = true;
    return new Promise<string>((resolve) => {
      ending.end = () => resolve('done');
    });
  };
  return { run, state, end: () => ending.end() };
}

describe('turn', () => {
  it('J15 gives each turn of the loop to one caller, however many there are', async () => {
    const worker = async () => {
      for (let n = 0; n < 10; n++) await turn();
    };
    expect(await turnsDuring(Promise.all([worker(), worker(), worker(), worker()]))).toBeGreaterThanOrEqual(40);
  });

  it('J15 a screen that is drawn from much output leaves the loop free in between', async () => {
    const text = Buffer.from('a line of some log\r\n'.repeat(100_000));
    const records: JournalRecord[] = [
      { kind: 'key', isBare: false, position: 0, cols: 80, rows: 24, text: Buffer.alloc(0) },
    ];
    for (let at = 0; at < text.length; at += 1_000_000) {
      records.push({ kind: 'output', position: at, data: text.subarray(at, at + 1_000_000) });
    }
    const drawn = new Tape(records).screen(10);
    expect(await turnsDuring(drawn)).toBeGreaterThanOrEqual(text.length / 65_536);
    expect((await drawn)?.lines.at(-1)).toBe('a line of some log');
  });
});

describe('Turnstile', () => {
  it('J15 lets four in at a time, and the next when one has left', async () => {
    const turnstile = new Turnstile();
    const jobs = Array.from({ length: 6 }, job);
    const passed = jobs.map(({ run }) => turnstile.pass(run));
    const begun = () => jobs.map(({ state }) => state.hasBegun);
    expect(begun()).toEqual([true, true, true, true, false, false]);
    jobs[1]?.end();
    expect(await passed[1]).toBe('done');
    await turn();
    expect(begun()).toEqual([true, true, true, true, true, false]);
    jobs[0]?.end();
    await turn();
    for (const { end } of jobs) end();
    expect(await Promise.all(passed)).toEqual(Array(6).fill('done'));
  });

  it('J15 a failure leaves its place to the next', async () => {
    const turnstile = new Turnstile();
    for (let n = 0; n < 8; n++) {
      await expect(turnstile.pass(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    }
    expect(await turnstile.pass(async () => 'done')).toBe('done');
  });

  it('J15 what takes too long is refused, and as long as it hangs no more than four hang with it', async () => {
    const turnstile = new Turnstile(20);
    const jobs = Array.from({ length: 6 }, job);
    const answers = await Promise.all(jobs.map(({ run }) => turnstile.pass(run).catch((error: unknown) => error)));
    for (const answer of answers) expect(answer).toMatchObject({ code: 'no_capacity', details: { reason: 'disk' } });
    expect(jobs.filter(({ state }) => state.hasBegun)).toHaveLength(4);
    for (const { end } of jobs) end();
    await turn();
    expect(await turnstile.pass(async () => 'done')).toBe('done');
    expect(jobs.filter(({ state }) => state.hasBegun)).toHaveLength(4);
  });

  it('J15 no more than a thousand wait', async () => {
    const turnstile = new Turnstile();
    const jobs = Array.from({ length: 1_004 }, job);
    const passed = jobs.map(({ run }) => turnstile.pass(run));
    await expect(turnstile.pass(async () => 'done')).rejects.toMatchObject({ code: 'no_capacity' });
    const isOver = Promise.all(passed);
    while ((await Promise.race([isOver, turn().then(() => null)])) === null) for (const { end } of jobs) end();
  });
});
