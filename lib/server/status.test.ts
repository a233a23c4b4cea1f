import { expect, it } from 'vitest';
import type { SessionStatus } from '@/lib/protocol/rest';
import { deriveStatus, type Facts, IDLE_MS, isRunning, PENDING_MS } from './status';

const NOW = 1_700_000_000_000;
const record = { epoch: 2, placement: { nodeId: 'n', hostId: 'h' }, openingAt: NOW, exit: null };
const live = { epoch: 2, exit: null, viewers: 0, foreground: null, lastActivity: NOW };
const idle = { ...live, lastActivity: NOW - IDLE_MS };
const exit = { code: 0, signal: 0, at: NOW };
const lost = { code: -1, signal: 0, at: NOW, reason: 'host-crash' as const };

const TABLE: [string, Partial<Facts>, SessionStatus][] = [
  ['asked for, not opened yet', { record: { ...record, placement: null }, live: null }, 'creating'],
  [
    'asked for, and never opened',
    { record: { ...record, placement: null, openingAt: NOW - PENDING_MS }, live: null },
    'error',
  ],
  ['opened before its record knows', { record: { ...record, placement: null } }, 'active'],
  ['output or input a moment ago', {}, 'active'],
  ['nothing for the idle time', { live: idle }, 'inactive'],
  ['idle with a viewer', { live: { ...idle, viewers: 1 } }, 'active'],
  ['silent with a program in the foreground', { live: { ...idle, foreground: 'make' } }, 'active'],
  ['the host says that it is idle', { live: { ...live, state: 'inactive' } }, 'inactive'],
  ['the host knows of a process that left the terminal', { live: { ...idle, state: 'active' } }, 'active'],
  ['its host ends it', { live: { ...live, state: 'terminating' } }, 'terminating'],
  ['its host ends it, and it has ended', { live: { ...live, state: 'ended', exit } }, 'ended'],
  ['it is being ended', { isEnding: true }, 'terminating'],
  ['it is being ended, and has ended', { isEnding: true, live: { ...live, exit } }, 'ended'],
  ['the host says how it ended', { live: { ...live, exit } }, 'ended'],
  ['the host forgot it, the record knows its end', { record: { ...record, exit }, live: null }, 'ended'],
  ['it ended, and the node is away', { record: { ...record, exit }, live: null, isNodeAlive: false }, 'ended'],
  ['the record says ended, the host says it runs', { record: { ...record, exit } }, 'active'],
  ['no host knows it', { live: null }, 'lost'],
  ['its record says that its host crashed', { record: { ...record, exit: lost }, live: null }, 'lost'],
  [
    'its record says that its host crashed, and the node is away',
    { record: { ...record, exit: lost }, live: null, isNodeAlive: false },
    'lost',
  ],
  ['the node is away', { live: null, isNodeAlive: false }, 'unreachable'],
  ['only an older incarnation runs', { live: { ...live, epoch: 1 } }, 'lost'],
  [
    'only an older incarnation is known, and the node is away',
    { live: { ...live, epoch: 1 }, isNodeAlive: false },
    'unreachable',
  ],
  ['a newer incarnation runs', { live: { ...live, epoch: 3 } }, 'active'],
];

it.each(TABLE)('R12 %s', (_, facts, status) => {
  expect(deriveStatus({ record, live, isNodeAlive: true, isEnding: false, now: NOW, ...facts })).toBe(status);
});

it('R12 a session runs unless it has ended, is lost or never opened', () => {
  const stopped: SessionStatus[] = ['ended', 'lost', 'error'];
  const running: SessionStatus[] = ['creating', 'active', 'inactive', 'terminating', 'unreachable'];
  expect(stopped.filter(isRunning)).toEqual([]);
  expect(running.filter(isRunning)).toEqual(running);
});
