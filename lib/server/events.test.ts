import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { EventHub } from './events';

let hub: EventHub;
beforeEach(() => {
  vi.useFakeTimers();
  hub = new EventHub();
});
afterEach(() => {
  hub.close();
  vi.useRealTimers();
});

const alice = { userId: 'alice', sid: 'login-1' };
const removed = { type: 'project-removed', id: 'project_1700000000000_aaaaaaaa' } as const;

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string | null> {
  const { value, done } = await reader.read();
  return done ? null : Buffer.from(value).toString();
}

it('says hello first, then what is published for this user, and a comment every 15 s', async () => {
  const reader = hub.subscribe(alice, true).getReader();
  hub.publish('bob', removed);
  hub.publish('alice', removed);
  expect(await read(reader)).toBe('data: {"type":"hello","sidecar":true,"degraded":[]}\n\n');
  expect(await read(reader)).toBe(`data: ${JSON.stringify(removed)}\n\n`);
  vi.advanceTimersByTime(15_000);
  expect(await read(reader)).toBe(': \n\n');
});

it('says once that the sidecar went and came', async () => {
  const reader = hub.subscribe(alice, true).getReader();
  hub.setSidecarReachable(false);
  hub.setSidecarReachable(false);
  hub.setSidecarReachable(true);
  await read(reader);
  expect(await read(reader)).toContain('"reachable":false');
  expect(await read(reader)).toContain('"reachable":true');
});

it('closes a subscriber that does not read, and nobody else', async () => {
  const slow = hub.subscribe(alice, true).getReader();
  const other = hub.subscribe({ userId: 'bob', sid: 'login-2' }, true).getReader();
  for (let i = 0; i < 600; i++) hub.publish('alice', removed);
  let count = 0;
  while ((await read(slow)) !== null) count += 1;
  expect(count).toBe(512);
  hub.publish('bob', removed);
  await read(other);
  expect(await read(other)).toContain('project-removed');
});

it('ends the streams of a login that signs out', async () => {
  const reader = hub.subscribe(alice, true).getReader();
  const other = hub.subscribe({ ...alice, sid: 'login-2' }, true).getReader();
  hub.closeLogin('login-1');
  await read(reader);
  expect(await read(reader)).toBeNull();
  hub.publish('alice', removed);
  await read(other);
  expect(await read(other)).toContain('project-removed');
});

it('refuses more than 256 streams, until one is cancelled', async () => {
  const streams = Array.from({ length: 256 }, () => hub.subscribe(alice, true));
  expect(() => hub.subscribe(alice, true)).toThrow('too many');
  await streams[0]?.cancel();
  expect(() => hub.subscribe(alice, true)).not.toThrow();
});

it('opens no stream after the end, because browsers come back at once', async () => {
  const reader = hub.subscribe(alice, true).getReader();
  hub.close();
  await read(reader);
  expect(await read(reader)).toBeNull();
  expect(() => hub.subscribe(alice, true)).toThrow('stopping');
});
