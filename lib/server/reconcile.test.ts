import { expect, it } from 'vitest';
import type { ArchivedSession, LiveSession } from '@/lib/protocol/control';
import { sessionRecord } from '@/tests/contract/stores';
import { liveSession } from '@/tests/harness/scripted-host';
import { corrected } from './reconcile';

const NOW = 1_700_000_100_000;
const facts = { nodeId: 'here', now: NOW };
const placed = sessionRecord({ placement: { nodeId: 'here', hostId: 'h1' } });
const exit = { code: 1, signal: 0, at: NOW - 5 };

function live(change: Partial<LiveSession> = {}): LiveSession {
  return liveSession({ id: placed.id, hostId: 'h1', pid: 7, cwd: '/home/alice/deep', ...change });
}

function archivedSession(change: Partial<ArchivedSession> & Pick<ArchivedSession, 'id' | 'exit'>): ArchivedSession {
  const { epoch, type, title, cwd, createdAt, lastActivity, position, label, cols, rows } = live();
  return { epoch, type, title, cwd, createdAt, lastActivity, start: 0, position, label, cols, rows, ...change };
}

it('R12 a record that agrees with what runs stays as it is', () => {
  expect(corrected(placed, live(), facts)).toEqual(placed);
});

it('R12 the end of a session is written down with its last directory, once', () => {
  const ended = corrected(placed, live({ exit }), facts);
  expect(ended).toEqual({ ...placed, exit, endedAt: exit.at, lastPath: '/home/alice/deep' });
  expect(corrected(ended, live({ exit }), facts)).toEqual(ended);
  expect(corrected(ended, null, facts)).toEqual(ended);
});

it('R12 a session that no host knows frees its slot, and takes it again when it is back', () => {
  const lost = corrected(placed, null, facts);
  const exit = { code: -1, signal: 0, at: NOW, reason: 'host-crash' };
  expect(lost).toEqual({ ...placed, endedAt: NOW, exit });
  expect(corrected(lost, live(), facts)).toEqual(placed);
});

it('R13 how a session was lost, and its last directory, come from its journal', () => {
  const exit = { code: -1, signal: 0, at: NOW - 9, reason: 'oom' as const };
  const archived = archivedSession({ id: placed.id, cwd: '/home/alice/deep', exit });
  const lost = corrected(placed, null, { ...facts, archived });
  expect(lost).toEqual({ ...placed, endedAt: exit.at, exit, lastPath: '/home/alice/deep' });
  expect(corrected(lost, null, facts)).toEqual(lost);
  const older = corrected({ ...placed, epoch: 2 }, null, { ...facts, archived });
  expect(older).toMatchObject({ endedAt: NOW, lastPath: null });
});

it('R12 a session that is being opened is left alone for a while', () => {
  const opening = sessionRecord({ openingAt: NOW - 1_000 });
  expect(corrected(opening, null, facts)).toEqual(opening);
  const late = sessionRecord({ openingAt: NOW - 60_000 });
  expect(corrected(late, null, facts)).toEqual({ ...late, endedAt: NOW });
});

it('R12 where a session runs follows the host', () => {
  const moved = corrected(sessionRecord({ id: placed.id, openingAt: NOW }), live({ hostId: 'h2' }), facts);
  expect(moved.placement).toEqual({ nodeId: 'here', hostId: 'h2' });
});

it('R10 epochs only grow: an older incarnation counts for nothing, a newer one is taken over', () => {
  const restarted = { ...placed, epoch: 2, placement: null, openingAt: NOW };
  expect(corrected(restarted, live({ exit }), facts)).toEqual(restarted);
  expect(corrected(placed, live({ epoch: 3 }), facts)).toEqual({ ...placed, epoch: 3 });
});
