/** The cache keeps the contract of the stores, and is never wrong for longer than it says. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createLog } from '@/lib/log';
import { projectRecord, projectStoreContract, sessionRecord, sessionStoreContract } from '@/tests/contract/stores';
import { Line } from '@/tests/faults/proxy';
import { HAS_POSTGRES, TestPostgres } from '@/tests/harness/postgres';
import { until } from '@/tests/harness/processes';
import { hasRedis, RedisServer } from '@/tests/harness/redis';
import { cache } from './cache';
import { memoryStores } from './memory';
import { migrate } from './migrate';
import { PostgresDriver } from './postgres';
import { RedisConnection } from './redis-connection';
import type { Stores } from './store';

const log = createLog('web', 'error');
const TTL_MS = 3_600_000;

describe.runIf(hasRedis())('cache', () => {
  let server: RedisServer;
  let count = 0;
  const opened: Stores[] = [];

  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(async () => {
    await Promise.all(opened.map((stores) => stores.close()));
    await server?.stop();
  });

  type Change = Partial<Parameters<typeof cache>[1]> & { inner?: Stores; url?: string };

  /** An instance of web with its own connection; with the same prefix and inner it shares cache and truth with others. */
  function open({ inner = memoryStores(), url = server.url, ...options }: Change = {}): Stores {
    count += 1;
    const stores = cache(inner, {
      connection: new RedisConnection(url),
      log,
      instance: `web-${count}`,
      ttlMs: TTL_MS,
      prefix: `test-${count}:`,
      ...options,
    });
    opened.push(stores);
    return stores;
  }

  /** An instance whose calls go to Redis. */
  async function ready({ inner = memoryStores(), ...change }: Change = {}): Promise<Stores> {
    const stores = open({ inner, ...change });
    const record = sessionRecord();
    await inner.sessions.put([record]);
    await until('Redis is used', async () => {
      await stores.sessions.get(record.id);
      return hits(stores) > 0;
    });
    await stores.sessions.delete(record.id);
    return stores;
  }

  const hits = (stores: Stores) => stores.status().cache?.hits ?? 0;

  describe('D23 projects in memory behind Redis', () => projectStoreContract(async () => (await ready()).projects));
  describe('D23 sessions in memory behind Redis', () => sessionStoreContract(async () => (await ready()).sessions));

  describe.skipIf(!HAS_POSTGRES)('before Postgres', () => {
    let postgres: TestPostgres;
    beforeAll(async () => {
      postgres = await TestPostgres.start({ maxConnections: 100 });
    });
    afterAll(() => postgres?.dispose());

    async function overPostgres(): Promise<Stores> {
      const url = await postgres.schemaUrl();
      await migrate({ url });
      const driver = new PostgresDriver({ url });
      const { projects, sessions } = driver;
      onTestFinished(() => driver.close());
      return ready({ inner: { ...memoryStores(), projects, sessions } });
    }

    describe('D23 projects', () => projectStoreContract(async () => (await overPostgres()).projects));
    describe('D23 sessions', () => sessionStoreContract(async () => (await overPostgres()).sessions));
  });

  it('D23 answers reads from Redis, for other instances too, and counts them', async () => {
    const [inner, prefix] = [memoryStores(), 'shared-1:'];
    const [one, two] = [await ready({ inner, prefix }), await ready({ inner, prefix })];
    const record = sessionRecord();
    await one.sessions.insert(record, []);
    const before = hits(two);
    expect(await two.sessions.get(record.id)).toEqual(record);
    expect(hits(two)).toBe(before + 1);
    const renamed = await two.sessions.update({ ...record, tabName: 'renamed' });
    expect(await one.sessions.get(record.id)).toEqual(renamed);
    const project = projectRecord();
    await inner.projects.insert(project, { isPathUnique: true, max: 10 });
    const misses = one.status().cache?.misses ?? 0;
    for (let i = 0; i < 10; i++) expect(await one.projects.get(project.id)).toEqual(project);
    expect(one.status().cache?.misses).toBe(misses + 1);
  });

  it('D24 copies expire, tombstones after an hour, and a tombstone is final', async () => {
    const [inner, prefix] = [memoryStores(), 'final:'];
    const stores = await ready({ inner, prefix });
    const record = sessionRecord();
    await stores.sessions.insert(record, []);
    const key = `${prefix}cache:session:${record.id}`;
    expect(Number(server.command('PTTL', key))).toBeGreaterThan(TTL_MS - 10_000);
    const tombstone = await stores.sessions.delete(record.id);
    expect(Number(server.command('PTTL', key))).toBeGreaterThan(3_600_000 - 10_000);
    expect(server.command('HGETALL', key)).not.toContain('/home/alice');
    // A late writer and a late reader, both with what was true before.
    const late = memoryStores();
    await late.sessions.insert(record, []);
    const other = await ready({ inner: late, prefix });
    await other.sessions.update({ ...record, tabName: 'zombie' });
    expect(await other.sessions.get(record.id)).toEqual(tombstone);
    expect(await stores.sessions.get(record.id)).toEqual(tombstone);
  });

  it('D24 an older state never replaces a newer one', async () => {
    const [inner, prefix] = [memoryStores(), 'newer:'];
    const stores = await ready({ inner, prefix });
    const record = sessionRecord();
    await stores.sessions.insert(record, []);
    const newest = await stores.sessions.update({ ...record, tabName: 'newest' });
    const late = memoryStores();
    await late.sessions.put([record]);
    const other = await ready({ inner: late, prefix });
    await other.sessions.list({ limit: 10 });
    await other.sessions.put([record]);
    expect(await stores.sessions.get(record.id)).toEqual(newest);
  });

  it('D25 a refused change takes its copy away, so that the next try sees the truth', async () => {
    const inner = memoryStores();
    const stores = await ready({ inner });
    const record = sessionRecord();
    await stores.sessions.insert(record, []);
    const changed = await inner.sessions.update({ ...record, tabName: 'past the cache' });
    await expect(stores.sessions.update(record)).rejects.toMatchObject({ code: 'conflict' });
    expect(await stores.sessions.get(record.id)).toEqual(changed);
  });

  it('D25 what is not in the truth yet is not readable for others', async () => {
    const [truth, prefix] = [memoryStores(), 'outbox:'];
    let isTrue = true;
    const own = memoryStores();
    const cut = await ready({ inner: own, prefix, isTrue: () => isTrue });
    const whole = await ready({ inner: truth, prefix });
    const record = sessionRecord();
    await own.sessions.put([record]);
    await whole.sessions.insert(record, []);
    isTrue = false;
    const waiting = await cut.sessions.update({ ...record, tabName: 'waits in the outbox' });
    expect(await cut.sessions.get(record.id)).toEqual(waiting);
    expect(await whole.sessions.get(record.id)).toEqual(record);
  });

  it('D26 knows projects and open sessions from the start', async () => {
    const inner = memoryStores();
    const records = Array.from({ length: 150 }, () => sessionRecord());
    await inner.sessions.put(records.slice(0, 100));
    await inner.sessions.put(records.slice(100));
    const stores = open({ inner, prefix: 'warm:' });
    await until(
      'the cache is warm',
      () => server.command('--scan', '--pattern', 'warm:cache:session:*').split('\n').length === 150,
    );
    for (const { id } of records) await stores.sessions.get(id);
    expect(stores.status().cache).toEqual({ hits: 150, misses: 0 });
  });

  it('D27 without Redis the truth answers at once, and what hangs costs one deadline', async () => {
    const own = await RedisServer.start();
    onTestFinished(() => own.stop());
    const stores = await ready({ url: own.url });
    const record = sessionRecord();
    await stores.sessions.insert(record, []);
    const told: string[][] = [];
    stores.onChange(({ degraded }) => told.push([...degraded]));
    own.freeze();
    const startedAt = performance.now();
    expect(await stores.sessions.get(record.id)).toEqual(record);
    expect(performance.now() - startedAt).toBeLessThan(250);
    const times: number[] = [];
    for (let i = 0; i < 50; i++) {
      const from = performance.now();
      expect(await stores.sessions.get(record.id)).toEqual(record);
      times.push(performance.now() - from);
    }
    expect(Math.max(...times)).toBeLessThan(50);
    await until('it is told', () => stores.status().degraded.includes('redis'));
    own.thaw();
    await until('Redis is used again', () => !stores.status().degraded.includes('redis'), 10_000);
    expect(told).toEqual([['redis'], []]);
  });

  it('D28 an instance that is cut off from Redis misleads the others for no longer than a lease', async () => {
    const [inner, prefix, leaseMs] = [memoryStores(), 'cut:', 600];
    const line = await Line.open(() => server.port);
    onTestFinished(() => line.close());
    const cut = await ready({ inner, prefix, leaseMs, url: `redis://127.0.0.1:${line.port}` });
    const whole = await ready({ inner, prefix, leaseMs });
    const record = sessionRecord();
    await cut.sessions.insert(record, []);
    await whole.sessions.get(record.id);
    line.cut();
    let newest = await cut.sessions.update({ ...record, tabName: 'said to nobody' });
    const saidAt = performance.now();
    expect(await cut.sessions.get(record.id)).toEqual(newest);
    await until('the other one sees it', async () => (await whole.sessions.get(record.id))?.rev === newest.rev);
    expect(performance.now() - saidAt).toBeLessThan(leaseMs + 200);
    // As long as it stays away, copies live no longer than a lease.
    newest = await cut.sessions.update(newest);
    await until('this too', async () => (await whole.sessions.get(record.id))?.rev === newest.rev);
    expect(hits(whole)).toBeGreaterThan(1);
    line.heal();
    await until('it is back', () => !cut.status().degraded.includes('redis'));
    newest = await cut.sessions.update(newest);
    expect(await whole.sessions.get(record.id)).toEqual(newest);
  });
});
