/** Redis keeps the contract of the stores, and says so when it does not answer. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { AppError } from '@/lib/protocol/errors';
import { projectRecord, projectStoreContract, sessionRecord, sessionStoreContract } from '@/tests/contract/stores';
import { until } from '@/tests/harness/processes';
import { hasRedis, RedisServer } from '@/tests/harness/redis';
import { REDIS_PREFIX, RedisDriver } from './redis';
import { RedisConnection } from './redis-connection';

describe.runIf(hasRedis())('Redis', () => {
  let server: RedisServer;
  let connection: RedisConnection;
  let count = 0;

  const prefix = () => `test-${++count}:`;
  const driver = (name = prefix()) => new RedisDriver(connection, name);

  beforeAll(async () => {
    server = await RedisServer.start();
    connection = new RedisConnection(server.url);
  });
  afterAll(async () => {
    await connection?.close();
    await server?.stop();
  });

  describe('D20 projects in Redis', () => projectStoreContract(async () => driver().projects));
  describe('D20 sessions in Redis', () => sessionStoreContract(async () => driver().sessions));

  it('D20 keeps a limit exactly when two instances insert 50 at once', async () => {
    const other = new RedisConnection(server.url);
    const name = prefix();
    const stores = [driver(name).sessions, new RedisDriver(other, name).sessions];
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => stores[i % 2]?.insert(sessionRecord(), [{ limit: 'user', max: 7 }])),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(7);
    expect(await stores[0]?.list({ owner: 'alice', isOpen: true, limit: 100 })).toHaveLength(7);
    await other.close();
  });

  it('D21 lets nothing expire but tombstones, which stay a day and keep no content', async () => {
    const { projects, sessions } = driver(REDIS_PREFIX);
    const [project, live, ended, gone] = [
      projectRecord({ name: 'secret plan' }),
      sessionRecord(),
      sessionRecord({ endedAt: 5 }),
      sessionRecord({ tabName: 'secret plan', path: '/home/secret' }),
    ];
    await projects.insert(project, { isPathUnique: true, max: 10 });
    for (const record of [live, ended, gone]) await sessions.insert(record, []);
    await sessions.saveTail(gone.id, 1, ['secret plan']);
    await sessions.delete(gone.id);
    const lives = (key: string) => Number(server.command('TTL', `${REDIS_PREFIX}${key}`));
    for (const { id } of [live, ended]) expect(lives(`session:${id}`)).toBe(-1);
    expect(lives(`project:${project.id}`)).toBe(-1);
    expect(lives(`session:${gone.id}`)).toBeGreaterThanOrEqual(24 * 3_600);
    expect(server.command('TYPE', `${REDIS_PREFIX}session:${live.id}`)).toBe('hash');
    expect(server.command('HGETALL', `${REDIS_PREFIX}session:${gone.id}`)).not.toContain('secret');
    expect(server.command('EXISTS', `${REDIS_PREFIX}tail:${gone.id}`)).toBe('0');
    await projects.delete(project.id);
    await sessions.delete(live.id);
    await sessions.delete(ended.id);
    const keys = server.command('--scan', '--pattern', `${REDIS_PREFIX}*`).split('\n');
    expect(keys.filter((key) => !/^holdfast:(session|project):/.test(key))).toEqual([]);
  });

  it('D20 leaves every index as it was when a record moves, ends and goes', async () => {
    const { sessions, projects } = driver();
    const record = sessionRecord();
    await sessions.put([record]);
    await sessions.put([{ ...record, owner: 'bob', projectId: 'project_1700000000000_bbbbbbbb', rev: 2 }]);
    expect(await sessions.list({ owner: 'alice', limit: 10 })).toEqual([]);
    expect(await sessions.list({ projectId: record.projectId, limit: 10 })).toEqual([]);
    expect(await sessions.list({ owner: 'bob', isOpen: true, limit: 10 })).toHaveLength(1);
    const project = projectRecord({ path: '/home/a:b"\n' });
    await projects.insert(project, { isPathUnique: true, max: 10 });
    const moved = await projects.update({ ...project, path: '/home/other' });
    await projects.insert(projectRecord({ path: project.path }), { isPathUnique: true, max: 10 });
    expect(moved.path).toBe('/home/other');
  });

  it('D22 fails at once while Redis is away, and works again by itself when it is back', async () => {
    const [own, link] = await apart({ isPersistent: true });
    const { sessions } = new RedisDriver(link);
    const record = sessionRecord();
    await sessions.insert(record, []);
    own.kill();
    await until('the call fails', async () => (await outcome(sessions.get(record.id))) !== 'done');
    const startedAt = performance.now();
    expect(await outcome(sessions.get(record.id))).toBe('away');
    expect(performance.now() - startedAt).toBeLessThan(50);
    await own.restart();
    await until('the call works', async () => (await outcome(sessions.get(record.id))) === 'done');
    expect(await sessions.get(record.id)).toEqual(record);
  });

  it('D22 a reset ends what hangs, with its connection, and opens a new one', async () => {
    const [own, link] = await apart();
    await link.ping();
    own.freeze();
    const hanging = outcome(link.ping());
    link.reset();
    expect(await hanging).toBe('away');
    link.reset();
    own.thaw();
    await link.ping();
    await until('one connection is left', () => own.command('CLIENT', 'LIST').split('\n').length === 2);
    await link.close();
    await until('none is left', () => own.command('CLIENT', 'LIST').split('\n').length === 1);
  });

  it('D22 an answer that is no result counts as away: out of memory, read-only, wrong password or none', async () => {
    const [own, link] = await apart({ password: 'right', maxmemory: '2mb' });
    const { sessions } = new RedisDriver(link);
    const record = sessionRecord();
    await sessions.insert(record, []);
    const heavy = Array.from({ length: 100 }, () => sessionRecord({ path: 'x'.repeat(30_000) }));
    await expect(Promise.all(heavy.map((other) => sessions.insert(other, [])))).rejects.toThrow(/OOM/);
    own.command('CONFIG', 'SET', 'maxmemory', '0');
    own.command('REPLICAOF', '127.0.0.1', '1');
    await expect(sessions.insert(sessionRecord(), [])).rejects.toThrow(/READONLY/);
    own.command('REPLICAOF', 'NO', 'ONE');
    await sessions.delete(record.id);
    for (const url of [own.url.replace('right', 'wrong'), own.url.replace(':right@', '')]) {
      const stranger = new RedisConnection(url);
      expect(await outcome(stranger.ping())).toBe('away');
      await stranger.close();
    }
  });

  it('D22 a server that forgot the scripts is told them again', async () => {
    const { sessions } = driver();
    await sessions.insert(sessionRecord(), []);
    server.command('SCRIPT', 'FLUSH');
    await sessions.insert(sessionRecord(), []);
    expect(await sessions.list({ limit: 10 })).toHaveLength(2);
  });
});

/** A Redis of its own for one test, and a connection to it. */
async function apart(options: Parameters<typeof RedisServer.start>[0] = {}): Promise<[RedisServer, RedisConnection]> {
  const server = await RedisServer.start(options);
  const connection = new RedisConnection(server.url);
  onTestFinished(async () => {
    await connection.close();
    await server.stop();
  });
  return [server, connection];
}

async function outcome(work: Promise<unknown>): Promise<'done' | 'away' | 'refused'> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return error instanceof AppError ? 'refused' : 'away';
  }
}
