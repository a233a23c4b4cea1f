import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createLog } from '@/lib/log';
import type { LiveSession } from '@/lib/protocol/control';
import { newId } from '@/lib/protocol/ids';
import { turnsDuring } from '@/tests/harness/turns';
import { Sessions } from './sessions';
import { Vitals } from './vitals';

const MINUTE = 60_000;
const WAIT = { timeout: 10_000, interval: 10 };
const env = { PATH: '/usr/local/bin:/usr/bin:/bin', TERM: 'xterm-256color', HOME: '/tmp', PS1: 'prompt ' };
let directory: string;
let sessions: Sessions;
let news: LiveSession[];
let passedMs = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-idle-'));
  passedMs = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + passedMs);
});

afterEach(async () => {
  await sessions.endAll();
  rmSync(directory, { recursive: true, force: true });
});

async function start(idleTimeoutMs: number): Promise<{ id: string; epoch: number }> {
  news = [];
  sessions = new Sessions({
    hostId: 'testhost',
    capacity: 10,
    idleTimeoutMs,
    groupDirectory: null,
    vitals: new Vitals(),
    news: { session: (facts) => news.push(facts), gone: () => undefined },
    log: createLog('host', 'error'),
  });
  return open();
}

/** A real shell in a real pty, at its prompt. */
async function open(label: Record<string, unknown> = {}): Promise<{ id: string; epoch: number }> {
  const at = { id: newId('session'), epoch: 1 };
  const launch = { file: '/bin/sh', args: ['-i'], env: { ...env, HOLDFAST_SESSION: at.id } };
  await sessions.call('open', {
    ...at,
    type: 'system',
    cwd: directory,
    cols: 80,
    rows: 24,
    label,
    roots: [directory],
    launch,
  });
  await vi.waitFor(async () => expect((await lookAt(at)).position).toBeGreaterThan(0), WAIT);
  return at;
}

const lookAt = (at: { id: string; epoch: number }) => sessions.call('look', at);

/** Lets time pass, as the clock that nobody sets counts it, and waits for what the sweep does. */
async function pass(ms: number, expected: () => Promise<void>): Promise<void> {
  passedMs += ms;
  await vi.waitFor(async () => {
    sessions.sweep();
    await expected();
  }, WAIT);
}

it('T9 T10 a bare shell is announced 5 minutes before its end, and ends after 30', async () => {
  const at = await start(30 * MINUTE);
  sessions.sweep();
  expect(await lookAt(at)).toMatchObject({ state: 'active', idleEndsAt: null });
  await pass(25 * MINUTE, async () => {
    const { idleEndsAt } = await lookAt(at);
    expect(Math.abs((idleEndsAt ?? 0) - Date.now() - 5 * MINUTE)).toBeLessThan(MINUTE);
  });
  await pass(5 * MINUTE, async () => {
    expect(await lookAt(at)).toMatchObject({ state: 'ended', exit: { reason: 'idle' }, idleEndsAt: expect.anything() });
  });
});

it('T10 keep and a pin take the announcement back', async () => {
  const at = await start(30 * MINUTE);
  const other = await open();
  const areAnnounced = async () => {
    expect((await lookAt(at)).idleEndsAt).not.toBeNull();
    expect((await lookAt(other)).idleEndsAt).not.toBeNull();
  };
  await pass(25 * MINUTE, areAnnounced);
  expect(await sessions.call('keep', at)).toMatchObject({ state: 'active', idleEndsAt: null });
  expect(await sessions.call('label', { ...other, label: { pinned: true } })).toMatchObject({ idleEndsAt: null });
  await pass(25 * MINUTE, async () => expect((await lookAt(at)).idleEndsAt).not.toBeNull());
  await pass(5 * MINUTE, async () => expect((await lookAt(at)).exit?.reason).toBe('idle'));
  expect(await lookAt(other)).toMatchObject({ exit: null, idleEndsAt: null });
});

it('T12 with a time-out of 0 or a pin a shell becomes inactive and never ends; use makes it active again', async () => {
  const at = await start(0);
  await pass(31 * MINUTE, async () => expect((await lookAt(at)).state).toBe('inactive'));
  await pass(9_000 * MINUTE, async () => expect((await lookAt(at)).exit).toBeNull());
  expect(await sessions.call('keep', at)).toMatchObject({ state: 'active' });
  await pass(31 * MINUTE, async () => expect((await lookAt(at)).state).toBe('inactive'));
});

it('T9 a step of the wall clock ends nothing', async () => {
  const at = await start(30 * MINUTE);
  const now = Date.now.bind(Date);
  vi.spyOn(Date, 'now').mockImplementation(() => now() + 120 * MINUTE);
  sessions.sweep();
  await pass(24 * MINUTE, async () => expect(await lookAt(at)).toMatchObject({ state: 'active', idleEndsAt: null }));
});

it('T17 the screens of idle sessions are put away one in a turn of the loop', async () => {
  const first = await start(0);
  const others = await Promise.all([open(), open(), open()]);
  passedMs = 2 * MINUTE;
  const shed = sessions.call('shed', { stage: 'scrollback', ids: [] });
  expect(await turnsDuring(shed)).toBeGreaterThanOrEqual(others.length + 1);
  expect((await sessions.call('beat', { keep: false })).hibernated).toBe([first, ...others].length);
});
