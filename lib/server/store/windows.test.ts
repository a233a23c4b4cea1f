/** Sliding windows, in memory and in Redis alike. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '@/lib/config';
import { createLog } from '@/lib/log';
import { hasRedis, RedisServer } from '@/tests/harness/redis';
import { RedisConnection } from './redis-connection';
import { MemoryWindows, openWindows, RedisWindows, type Windows } from './windows';

const NOW = 1_800_000_000_000;
const MINUTE_MS = 60_000;

function contract(open: () => Windows): void {
  it('D30 counts what is younger than the window, for each key apart', async () => {
    const windows = open();
    for (const at of [0, 10, 20]) await windows.add('alice', MINUTE_MS, NOW + at);
    await windows.add('bob', MINUTE_MS, NOW);
    expect(await windows.count('alice', MINUTE_MS, NOW + 20)).toBe(3);
    expect(await windows.count('alice', MINUTE_MS, NOW + MINUTE_MS + 10)).toBe(1);
    expect(await windows.count('alice', 10, NOW + 20)).toBe(1);
    expect(await windows.count('bob', MINUTE_MS, NOW + 20)).toBe(1);
    expect(await windows.count('nobody', MINUTE_MS, NOW)).toBe(0);
  });

  it('D30 takes exactly as many as there is room for, also at once, and says when there is room again', async () => {
    const windows = open();
    const rate = { max: 5, windowMs: MINUTE_MS };
    expect(await windows.take('alice', rate, NOW - 1_000)).toBe(0);
    const waits = await Promise.all(Array.from({ length: 20 }, () => windows.take('alice', rate, NOW)));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(4);
    expect(waits.filter((wait) => wait === MINUTE_MS - 1_000)).toHaveLength(16);
    expect(await windows.count('alice', MINUTE_MS, NOW)).toBe(5);
    expect(await windows.take('alice', rate, NOW + MINUTE_MS - 1_000)).toBe(0);
    expect(await windows.take('alice', rate, NOW + MINUTE_MS - 1_000)).toBe(1_000);
  });

  it('D30 keeps a bounded number of events of one key', async () => {
    const windows = open();
    await Promise.all(Array.from({ length: 1_050 }, (_, i) => windows.add('alice', MINUTE_MS, NOW + (i % 100))));
    expect(await windows.count('alice', MINUTE_MS, NOW + 100)).toBe(1_000);
  });
}

describe('windows in memory', () => {
  contract(() => new MemoryWindows());

  it('D30 keeps a bounded number of keys', async () => {
    const windows = new MemoryWindows();
    for (let i = 0; i <= 10_000; i++) await windows.add(`key ${i}`, MINUTE_MS, NOW);
    expect(await windows.count('key 0', MINUTE_MS, NOW)).toBe(0);
    expect(await windows.count('key 1', MINUTE_MS, NOW)).toBe(1);
  });
});

describe.runIf(hasRedis())('windows in Redis', () => {
  let server: RedisServer;
  let connection: RedisConnection;
  let count = 0;

  beforeAll(async () => {
    server = await RedisServer.start();
    connection = new RedisConnection(server.url);
  });
  afterAll(async () => {
    await connection?.close();
    await server?.stop();
  });
  contract(() => new RedisWindows(connection, `test-${++count}:`));

  it('D30 a key expires with its window', async () => {
    await new RedisWindows(connection, 'ttl:').take('alice', { max: 5, windowMs: MINUTE_MS }, Date.now());
    const ttlMs = Number(server.command('PTTL', 'ttl:events:alice'));
    expect(ttlMs).toBeGreaterThan(0);
    expect(ttlMs).toBeLessThanOrEqual(MINUTE_MS);
  });

  it('D30 instances share one count, and each has its own while Redis is away', async () => {
    const config = { ...loadConfig({}), redisUrl: server.url };
    const log = createLog('web', 'error');
    const [one, two] = [openWindows({ config, log }), openWindows({ config, log })];
    onTestFinished(async () => {
      await Promise.all([one.close(), two.close()]);
    });
    const rate = { max: 1, windowMs: MINUTE_MS };
    await expect.poll(async () => server.command('CLIENT', 'LIST').split('\n').length).toBeGreaterThanOrEqual(4);
    await expect.poll(() => one.take('shared', rate, NOW).then(() => two.take('shared', rate, NOW))).toBeGreaterThan(0);
    server.kill();
    expect(await two.take('shared, but away', rate, NOW)).toBe(0);
    expect(await two.take('shared, but away', rate, NOW)).toBe(MINUTE_MS);
  });
});
