import { expect, test } from 'vitest';
import type { TerminalSession } from '@/lib/protocol/rest';
import { attention, NO_MARKS, reduceMarks } from './marks';

function session(over: Partial<TerminalSession> = {}): TerminalSession {
  return {
    id: 'session_1700000000000_aaaaaaaa',
    projectId: 'project_1700000000000_aaaaaaaa',
    type: 'system',
    tabName: 'Shell',
    active: true,
    output: [],
    currentPath: '/',
    pid: 1,
    createdAt: '2026-01-01T00:00:00.000Z',
    lastActivity: '2026-01-01T00:00:10.000Z',
    status: 'active',
    rev: 1,
    epoch: 1,
    nodeId: 'node',
    backendId: null,
    viewers: 0,
    durability: 'memory',
    position: 1,
    pinned: false,
    title: '',
    foreground: null,
    ...over,
  };
}

const { id } = session();
const met = reduceMarks(NO_MARKS, { type: 'met', sessions: [session()] });

test('what a session did before the page met it is no news', () => {
  expect(attention(met, session())).toBeNull();
});

test('output after the tab was left is news', () => {
  const left = reduceMarks(met, { type: 'left', id, at: Date.parse('2026-01-01T00:00:20.000Z') });
  expect(attention(left, session({ lastActivity: '2026-01-01T00:00:19.000Z' }))).toBeNull();
  expect(attention(left, session({ lastActivity: '2026-01-01T00:00:21.000Z' }))).toBe('output');
});

test('an end is news once', () => {
  const ended = session({ status: 'ended', exit: { code: 0, signal: 0, at: Date.parse('2026-01-01T00:00:30.000Z') } });
  expect(attention(met, ended)).toBe('output');
  expect(attention(reduceMarks(NO_MARKS, { type: 'met', sessions: [ended] }), ended)).toBeNull();
});

test('a bell stands above output until the tab is shown', () => {
  const rung = reduceMarks(met, { type: 'bell', id });
  expect(attention(rung, session({ lastActivity: '2026-01-01T00:00:40.000Z' }))).toBe('bell');
  expect(attention(reduceMarks(rung, { type: 'shown', id }), session())).toBeNull();
});
