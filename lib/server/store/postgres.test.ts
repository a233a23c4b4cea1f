/** The Postgres stores keep the contract of the stores, on a real server that is shared, killed and stopped. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { projectRecord, projectStoreContract, sessionRecord, sessionStoreContract } from '@/tests/contract/stores';
import { HAS_POSTGRES, TestPostgres } from '@/tests/harness/postgres';
import { freePort, until } from '@/tests/harness/processes';
import { migrate } from './migrate';
import { PostgresDriver, TOMBSTONE_KEPT_MS } from './postgres';

const FREE = { isPathUnique: true, max: 1000 };

describe.skipIf(!HAS_POSTGRES)('Postgres', () => {
  let server: TestPostgres;
  const drivers: PostgresDriver[] = [];

  beforeAll(async () => {
    server = await TestPostgres.start({ maxConnections: 60 });
  });

  afterEach(async () => {
    server.thaw();
    await Promise.all(drivers.splice(0).map((driver) => driver.close()));
  });

  afterAll(async () => {
    await server?.dispose();
  });

  async function freshUrl(): Promise<string> {
    const url = await server.schemaUrl();
    await migrate({ url });
    return url;
  }

  function connect(url: string): PostgresDriver {
    const driver = new PostgresDriver({ url });
    drivers.push(driver);
    return driver;
  }

  async function open(): Promise<PostgresDriver> {
    return connect(await freshUrl());
  }

  describe('projects', () => projectStoreContract(async () => (await open()).projects));
  describe('sessions', () => sessionStoreContract(async () => (await open()).sessions));

  it('D1 of 50 inserts at once through two instances exactly the limit is kept, whatever isolation the database prefers', async () => {
    const url = `${await freshUrl()}&default_transaction_isolation=repeatable%20read`;
    const [one, other] = [connect(url), connect(url)];
    const limits = [{ limit: 'project', max: 10 } as const];
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? one : other).sessions.insert(sessionRecord(), limits)),
    );
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []));
    expect(failures).toEqual(Array.from({ length: 40 }, () => 'session_limit_reached'));
    expect(await other.sessions.list({ limit: 100 })).toHaveLength(10);

    const paths = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        (n % 2 === 0 ? one : other).projects.insert(projectRecord({ path: '/same' }), FREE),
      ),
    );
    expect(paths.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('D2 a tombstone keeps nothing of what was said, and is forgotten after a week', async () => {
    const url = await freshUrl();
    const driver = connect(url);
    const session = sessionRecord({
      tabName: 'secret',
      path: '/secret',
      lastPath: '/secret',
      endedAt: 5,
      exit: { code: 1, signal: 0, at: 5 },
    });
    const project = projectRecord({ name: 'secret', path: '/secret' });
    await driver.projects.insert(project, FREE);
    await driver.sessions.insert(session, []);
    await driver.sessions.saveTail(session.id, 1, ['secret']);
    const [grave] = await Promise.all([driver.sessions.delete(session.id), driver.projects.delete(project.id)]);
    const rows = [
      ...(await server.query('table projects', url)),
      ...(await server.query('table terminal_sessions', url)),
    ];
    expect(rows).toHaveLength(2);
    expect(JSON.stringify(rows)).not.toContain('secret');

    await driver.purge(grave.deletedAt + TOMBSTONE_KEPT_MS - 1_000);
    expect(await driver.sessions.get(session.id)).toEqual(grave);
    await driver.purge(grave.deletedAt + TOMBSTONE_KEPT_MS + 60_000);
    expect(await driver.sessions.get(session.id)).toBeNull();
    expect(await driver.projects.get(project.id)).toBeNull();
  });

  it('D2 a purge leaves records alone', async () => {
    const driver = await open();
    const record = sessionRecord();
    await driver.sessions.insert(record, []);
    await driver.purge(Date.now() + 10 * TOMBSTONE_KEPT_MS);
    expect(await driver.sessions.get(record.id)).toEqual(record);
  });

  it('D3 put takes a hundred states at once, several of one id included, and crosses others without a deadlock', async () => {
    const url = await freshUrl();
    const [one, other] = [connect(url), connect(url)];
    const records = Array.from({ length: 99 }, () => sessionRecord());
    const [first] = records;
    if (!first) throw new Error('99 records');
    const renamed = { ...first, rev: 2, tabName: 'renamed' };
    const rounds = Array.from({ length: 10 }, () => [
      one.sessions.put([...records, renamed]),
      other.sessions.put([renamed, ...records.toReversed()]),
    ]);
    await Promise.all(rounds.flat());
    expect(await one.sessions.get(first.id)).toEqual(renamed);
    expect(await one.sessions.list({ limit: 1000 })).toHaveLength(99);
  });

  it('D4 everything of a session comes back as it was, and a tail whatever a program printed', async () => {
    const driver = await open();
    const record = sessionRecord({
      type: 'claude',
      position: 1.5,
      pinned: true,
      lastPath: '/home/ä \\ "quoted"',
      placement: { nodeId: 'n', hostId: 'h' },
      endedAt: 1_763_683_200_123,
      exit: { code: 0, signal: 15, at: 1_763_683_200_123, reason: 'closed' },
    });
    await driver.sessions.insert(record, []);
    expect(await driver.sessions.get(record.id)).toEqual(record);
    await driver.sessions.saveTail(record.id, 1, ['a\0b', 'half \ud83d', '\u001b[31mred', '😀']);
    expect(await driver.sessions.tail(record.id)).toEqual(['a\uFFFDb', 'half \uFFFD', '\u001b[31mred', '😀']);
  });

  it('D4 a value that the tables cannot hold is refused as a bad request, without the statement in the error', async () => {
    const driver = await open();
    const insert = driver.sessions.insert(sessionRecord({ tabName: 'a\0b' }), []);
    const error: unknown = await insert.catch((reason) => reason);
    expect(error).toMatchObject({ code: 'bad_request', details: { reason: 'not_storable' } });
  });

  it('D5 a unix socket in the address is used', async () => {
    const driver = connect(server.socketUrl);
    await driver.ping();
    const rows = await server.query("select client_addr from pg_stat_activity where application_name = 'holdfast'");
    expect(rows).toContainEqual({ client_addr: null });
  });

  it('D5 an address with several hosts is understood', async () => {
    const driver = connect(`postgres://app:secret@127.0.0.1:${await freePort()},127.0.0.1:${server.port}/postgres`);
    await Promise.all(Array.from({ length: 10 }, () => driver.ping()));
  });

  it('D6 calls on a server that is stopped end at a reset, leave no socket behind, and work again when it goes on', async () => {
    const driver = await open();
    await Promise.all(Array.from({ length: 5 }, () => driver.ping()));
    const before = openSockets();
    server.freeze();
    for (let round = 0; round < 5; round++) {
      const calls = [
        driver.ping(),
        driver.sessions.insert(sessionRecord(), [{ limit: 'user', max: 5 }]),
        ...Array.from({ length: 20 }, () => driver.sessions.get('x')),
      ].map((call) =>
        call.then(
          () => 'answered',
          (error) => String(error.code),
        ),
      );
      await until('a connection is tried', () => openSockets() > 0);
      driver.reset();
      expect(new Set(await Promise.all(calls))).not.toContain('answered');
    }
    await until('all sockets are closed', () => openSockets() < before);
    server.thaw();
    await driver.ping();
  });

  it('D6 a close does not wait for a server that is stopped', async () => {
    const driver = await open();
    await driver.ping();
    server.freeze();
    const call = driver.ping().catch((error) => error.code);
    await driver.close();
    expect(await call).toMatch(/^CONNECTION_/);
    await expect(driver.ping()).rejects.toMatchObject({ code: 'CONNECTION_ENDED' });
  });

  it.each(['SIGKILL', 'SIGINT'] as const)(
    'D7 a server that ends with %s amid transactions fails the calls and nothing else; the next ones connect anew',
    async (name) => {
      const own = await TestPostgres.start();
      try {
        await migrate({ url: own.url() });
        const driver = connect(own.url());
        const limits = [{ limit: 'user', max: 100 } as const];
        const kept: string[] = [];
        let isDown = false;
        const writers = Array.from({ length: 5 }, async () => {
          for (;;) {
            const record = sessionRecord();
            const isKept = await driver.sessions.insert(record, limits).then(
              () => true,
              () => false,
            );
            if (isKept) kept.push(record.id);
            else if (isDown) return;
          }
        });
        await until('some are kept', () => kept.length > 20);
        await (name === 'SIGKILL' ? own.kill() : own.stop());
        isDown = true;
        await Promise.all(writers);
        await own.start();
        await until('it answers again', () =>
          driver.ping().then(
            () => true,
            () => false,
          ),
        );
        const ids = (await driver.sessions.list({ limit: 1000 })).map(({ id }) => id);
        expect(kept.filter((id) => !ids.includes(id))).toEqual([]);
      } finally {
        await own.dispose();
      }
    },
  );
});

/** TCP and unix sockets of this process that are connected or connecting to something. */
function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => /^(TCPSocketWrap|TCPConnectWrap|PipeWrap)$/.test(name))
    .length;
}
