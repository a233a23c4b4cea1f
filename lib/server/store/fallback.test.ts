import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { newId } from '@/lib/protocol/ids';
import { projectRecord, projectStoreContract, sessionRecord, sessionStoreContract } from '@/tests/contract/stores';
import { FallbackYard } from '@/tests/harness/fallback';
import { type Mood, UnsteadyDriver } from '@/tests/harness/unsteady-driver';
import type { Fallback } from './fallback';
import type { SessionLimit, SessionRecord } from './store';

const yard = new FallbackYard();
afterEach(() => yard.close());

const FREE = { isPathUnique: true, max: 1000 };

async function timed<T>(work: Promise<T>): Promise<number> {
  const startedAt = performance.now();
  await Promise.allSettled([work]);
  return performance.now() - startedAt;
}

async function isBack(stores: Fallback): Promise<void> {
  await vi.waitFor(() => expect([stores.status().degraded, stores.status().outbox?.pending]).toEqual([[], 0]), {
    timeout: 8_000,
    interval: 5,
  });
}

/** A session in the primary and in the mirror. */
async function known(stores: Fallback, change: Partial<SessionRecord> = {}): Promise<SessionRecord> {
  const record = sessionRecord(change);
  await stores.sessions.insert(record, []);
  return record;
}

describe.each(['well', 'away', 'hung', 'readonly'] satisfies Mood[])('a primary that is %s', (mood) => {
  describe('projects', () => projectStoreContract(async () => (await yard.open({ mood })).stores.projects));
  describe('sessions', () => sessionStoreContract(async () => (await yard.open({ mood })).stores.sessions));
});

describe('a primary that hangs as soon as it is there', () => {
  const open = async () => {
    const { driver, stores } = await yard.open();
    driver.mood = 'hung';
    return stores;
  };
  describe('projects', () => projectStoreContract(async () => (await open()).projects));
  describe('sessions', () => sessionStoreContract(async () => (await open()).sessions));
});

describe('while the primary is away', () => {
  it('D44 what was read or written before is there, and is changed as before', async () => {
    const { driver, stores } = await yard.open();
    const project = projectRecord();
    await stores.projects.insert(project, FREE);
    const read = sessionRecord();
    await driver.inside.sessions.insert(read, []);
    const own = await known(stores);
    await stores.sessions.list({ limit: 10 });
    driver.mood = 'hung';
    expect((await stores.sessions.list({ limit: 10 })).map(({ id }) => id)).toEqual([read.id, own.id].sort());
    expect(await stores.projects.get(project.id)).toEqual(project);
    expect((await stores.sessions.update({ ...read, tabName: 'renamed' })).rev).toBe(2);
    await stores.sessions.delete(own.id);
    expect(await stores.sessions.list({ limit: 10 })).toHaveLength(1);
    await vi.waitFor(() => expect(stores.status().degraded).toEqual(['db']), { timeout: 8_000 });
  });

  it('D44 everything was read into memory at the start', async () => {
    const driver = new UnsteadyDriver();
    await driver.inside.projects.insert(projectRecord(), FREE);
    for (let i = 0; i < 1_201; i++) await driver.inside.sessions.insert(sessionRecord(), []);
    const calls: string[] = [];
    const { stores } = await yard.open({ driver, onCall: (operation) => calls.push(operation) });
    await vi.waitFor(() => expect(calls.filter((call) => call === 'sessions.load')).toHaveLength(3));
    driver.mood = 'away';
    await vi.waitFor(async () => expect(await stores.sessions.list({ limit: 5_000 })).toHaveLength(1_201));
    expect(await stores.projects.list({ limit: 10 })).toHaveLength(1);
    expect(stores.status().isComplete).toBe(true);
  });

  it('D45 an acknowledged change is in a file before it is acknowledged, and the badge says so', async () => {
    const { driver, stores, outboxFile } = await yard.open();
    const stored = await known(stores);
    expect(stores.sessions.durabilityOf(stored.id)).toBe('stored');
    driver.mood = 'away';
    const record = sessionRecord({ tabName: 'made meanwhile' });
    await stores.sessions.insert(record, []);
    expect(readFileSync(outboxFile, 'utf8')).toContain('made meanwhile');
    expect(stores.sessions.durabilityOf(record.id)).toBe('outbox');
    expect(stores.sessions.durabilityOf(stored.id)).toBe('stored');
    expect(stores.status().outbox).toMatchObject({ pending: 1 });
    driver.mood = 'well';
    await isBack(stores);
    expect(stores.sessions.durabilityOf(record.id)).toBe('stored');
    expect(await driver.inside.sessions.get(record.id)).toEqual(record);
    await vi.waitFor(() => expect(readFileSync(outboxFile, 'utf8')).toBe(''));
  });

  it('D45 the next process finds what was acknowledged, at once and before the primary is back', async () => {
    const { driver, stores, directory } = await yard.open({ mood: 'away' });
    const project = projectRecord();
    await stores.projects.insert(project, FREE);
    const record = await known(stores);
    await stores.close();
    const next = await yard.open({ driver, directory });
    expect(next.stores.status().outbox?.pending).toBe(2);
    expect(await next.stores.sessions.get(record.id)).toEqual(record);
    expect(next.stores.status().isComplete).toBe(false);
    driver.mood = 'well';
    await isBack(next.stores);
    expect(await driver.inside.sessions.get(record.id)).toEqual(record);
    expect(await driver.inside.projects.get(project.id)).toEqual(project);
  });

  it('D46 at most one call waits when the primary hangs, and none of those behind it', async () => {
    const { driver, stores } = await yard.open();
    const record = await known(stores);
    driver.mood = 'hung';
    const slow: number[] = [];
    for (let i = 0; i < 50; i++) {
      const ms = await timed(stores.sessions.get(record.id));
      if (ms > 50) slow.push(ms);
    }
    expect(slow.length).toBeLessThanOrEqual(1);
    expect(Math.max(...slow, 0)).toBeLessThan(300);
  });

  it('D48 tails are not kept for the primary', async () => {
    const { driver, stores } = await yard.open({ mood: 'away' });
    const record = await known(stores);
    await stores.sessions.saveTail(record.id, 1, ['line']);
    expect(await stores.sessions.tail(record.id)).toEqual(['line']);
    driver.mood = 'well';
    await isBack(stores);
    expect(await driver.inside.sessions.tail(record.id)).toEqual([]);
  });
});

describe('a change that was not answered and is made late', () => {
  async function hungWith<T>(work: (stores: Fallback, record: SessionRecord) => Promise<T>) {
    const { driver, stores } = await yard.open();
    const record = await known(stores);
    driver.mood = 'hung';
    const outcome = await Promise.allSettled([work(stores, record)]);
    return { driver, stores, record, outcome: outcome[0] };
  }

  async function agree(driver: UnsteadyDriver, stores: Fallback): Promise<SessionRecord[]> {
    driver.mood = 'well';
    await isBack(stores);
    const inside = await driver.inside.sessions.list({ limit: 100 });
    driver.mood = 'away';
    expect(await stores.sessions.list({ limit: 100 })).toEqual(inside);
    return inside;
  }

  it('D47 an insert is no second row', async () => {
    const late = sessionRecord();
    const { driver, stores, record } = await hungWith((stores) => stores.sessions.insert(late, []));
    expect((await agree(driver, stores)).map(({ id }) => id)).toEqual([record.id, late.id].sort());
  });

  it('D47 an update does not win over a newer one', async () => {
    const { driver, stores } = await hungWith(async (stores, record) => {
      const first = await stores.sessions.update({ ...record, tabName: 'first' });
      await stores.sessions.update({ ...first, tabName: 'second' });
    });
    expect(await agree(driver, stores)).toMatchObject([{ tabName: 'second', rev: 3 }]);
  });

  it('D47 an update that lost does not win over the one of the same rev that was acknowledged', async () => {
    const { driver, stores, outcome } = await hungWith(async (stores, record) =>
      Promise.allSettled(['one', 'two', 'three'].map((tabName) => stores.sessions.update({ ...record, tabName }))),
    );
    const results = outcome?.status === 'fulfilled' ? outcome.value : [];
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.tabName] : []));
    expect(won).toHaveLength(1);
    expect(await agree(driver, stores)).toMatchObject([{ tabName: won[0] }]);
  });

  it('D47 a deletion is final', async () => {
    const { driver, stores } = await hungWith((stores, record) =>
      Promise.allSettled([
        stores.sessions.update({ ...record, tabName: 'late' }),
        stores.sessions.delete(record.id),
        stores.sessions.update({ ...record, tabName: 'later' }),
      ]),
    );
    expect(await agree(driver, stores)).toEqual([]);
  });

  it('D47 one that has the rev of the acknowledged one already gives way to it', async () => {
    const { driver, stores, record } = await hungWith((stores, record) =>
      stores.sessions.update({ ...record, tabName: 'acknowledged' }),
    );
    await driver.inside.sessions.update({ ...record, tabName: 'late' });
    expect(await agree(driver, stores)).toMatchObject([{ tabName: 'acknowledged', rev: 3 }]);
  });

  it('D47 what was refused stays refused', async () => {
    const one: SessionLimit[] = [{ limit: 'project', max: 1 }];
    const { driver, stores } = await yard.open();
    const ended = await known(stores, { endedAt: 5 });
    driver.mood = 'hung';
    const refused = sessionRecord({ tabName: 'refused' });
    const outcomes = await Promise.allSettled([
      stores.sessions.insert(sessionRecord({ tabName: 'kept' }), one),
      stores.sessions.insert(refused, one),
      stores.sessions.update({ ...ended, endedAt: null }, one),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    // The primary comes to other results: it was asked in another order.
    await driver.inside.sessions.insert(refused, []);
    await driver.inside.sessions.update({ ...ended, endedAt: null });
    const inside = await agree(driver, stores);
    expect(inside.map(({ tabName, endedAt }) => [tabName, endedAt])).toEqual(
      expect.arrayContaining([
        ['kept', null],
        [ended.tabName, 5],
      ]),
    );
    expect(inside).toHaveLength(2);
  });
});

describe('when the primary is back', () => {
  it('D43 nobody reads from it before it has everything', async () => {
    const { driver, stores } = await yard.open();
    const record = await known(stores);
    driver.mood = 'away';
    let { rev } = await stores.sessions.update({ ...record, tabName: '1' });
    driver.mood = 'well';
    let changes = 1;
    // Changes go on all the time, and none is read back in an older version.
    const until = performance.now() + 3_000;
    while (performance.now() < until) {
      const seen = await stores.sessions.get(record.id);
      expect(seen).toMatchObject({ rev, tabName: String(changes) });
      changes += 1;
      rev = (await stores.sessions.update({ ...record, rev, tabName: String(changes) })).rev;
      if (changes % 200 === 0) driver.reset();
    }
    await isBack(stores);
    expect(await driver.inside.sessions.get(record.id)).toMatchObject({ rev, tabName: String(changes) });
  });

  it('D43 a stream of changes does not keep it away', async () => {
    const { driver, stores } = await yard.open();
    const records = await Promise.all(Array.from({ length: 20 }, () => known(stores)));
    driver.mood = 'away';
    let isOver = false;
    const renaming = records.map(async (record) => {
      let current = record;
      while (!isOver) current = await stores.sessions.update({ ...current, tabName: `${current.rev}` });
      return current;
    });
    await vi.waitFor(() => expect(stores.status().degraded).toEqual(['db']));
    driver.mood = 'well';
    await isBack(stores);
    isOver = true;
    for (const current of await Promise.all(renaming)) {
      expect(await driver.inside.sessions.get(current.id)).toEqual(current);
    }
  });

  it('D43 what others changed or deleted meanwhile is known in memory', async () => {
    const calls: string[] = [];
    const { driver, stores } = await yard.open({ onCall: (operation) => calls.push(operation) });
    const [changed, deleted] = [await known(stores), await known(stores)];
    driver.mood = 'away';
    await stores.sessions.get(changed.id);
    await driver.inside.sessions.update({ ...changed, tabName: 'elsewhere' });
    await driver.inside.sessions.delete(deleted.id);
    const renamed = await stores.sessions.update({ ...deleted, tabName: 'here' });
    expect(renamed.rev).toBe(2);
    await vi.waitFor(() => expect(stores.status().degraded).toEqual(['db']));
    driver.mood = 'well';
    await isBack(stores);
    // Read into memory at the start, and again now.
    await vi.waitFor(() => expect(calls.filter((call) => call === 'sessions.load').length).toBeGreaterThanOrEqual(2));
    driver.mood = 'away';
    expect(await stores.sessions.list({ limit: 10 })).toMatchObject([{ tabName: 'elsewhere' }]);
  });
});

describe('the outbox', () => {
  it('D49 a torn end and damaged lines are skipped, and the rest is served', async () => {
    const { stores, directory, outboxFile, driver } = await yard.open({ mood: 'away' });
    const records = [await known(stores), await known(stores), await known(stores), await known(stores)];
    await stores.close();
    const bytes = readFileSync(outboxFile);
    const lines = bytes.toString().split('\n');
    const middle = (lines[0]?.length ?? 0) + 200;
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
    writeFileSync(outboxFile, bytes.subarray(0, bytes.length - 40));
    const next = await yard.open({ driver, directory });
    const left = await next.stores.sessions.list({ limit: 10 });
    expect(left.map(({ id }) => id).sort()).toEqual([records[0]?.id, records[2]?.id].sort());
    const more = await known(next.stores);
    await next.stores.close();
    const third = await yard.open({ driver, directory });
    expect(await third.stores.sessions.list({ limit: 10 })).toHaveLength(3);
    expect(await third.stores.sessions.get(more.id)).toEqual(more);
  });

  it('D49 is held by one process at a time, and handed over', async () => {
    const { directory, driver, stores } = await yard.open({ mood: 'away' });
    const record = await known(stores);
    const second = await yard.open({ driver, directory });
    expect(second.stores.status().degraded).toContain('store');
    await expect(second.stores.sessions.insert(sessionRecord(), [])).rejects.toMatchObject({ code: 'storage_full' });
    await stores.close();
    const own = await known(second.stores);
    expect(second.stores.sessions.durabilityOf(own.id)).toBe('outbox');
    expect(await second.stores.sessions.get(record.id)).toEqual(record);
    await vi.waitFor(() => expect(second.stores.status().degraded).toEqual(['db']), { timeout: 4_000 });
  });

  it('D50 without a file changes wait in memory, and the badge says so', async () => {
    const { driver, stores } = await yard.open({ mood: 'away', outboxFile: null });
    const record = await known(stores);
    expect(stores.sessions.durabilityOf(record.id)).toBe('memory');
    expect(stores.status().outbox).toBeNull();
    driver.mood = 'well';
    await vi.waitFor(async () => expect(await driver.inside.sessions.get(record.id)).toEqual(record), {
      timeout: 4_000,
    });
  });

  it('D51 a primary that cannot be used as it is stays away, and gets nothing', async () => {
    const { driver, stores } = await yard.open({ prepare: () => Promise.reject(new Error('the schema is newer')) });
    const record = await known(stores);
    expect(stores.status()).toMatchObject({ degraded: ['db'] });
    await vi.waitFor(() => expect(driver.pings).toBeGreaterThan(3), { timeout: 5_000 });
    expect(await driver.inside.sessions.get(record.id)).toBeNull();
    expect(stores.sessions.durabilityOf(record.id)).toBe('outbox');
  });

  it('D52 takes nothing new when it is full; changes and ends go on', async () => {
    const { stores } = await yard.open({ mood: 'away', outboxBytesMax: 5_000 });
    const records: SessionRecord[] = [];
    const fill = async () => {
      for (;;) records.push(await known(stores));
    };
    await expect(fill()).rejects.toMatchObject({ code: 'no_capacity', details: { reason: 'outbox_full' } });
    const [first, second] = records;
    if (!first || !second) throw new Error('two records');
    await stores.sessions.update({ ...first, endedAt: 5 });
    await stores.sessions.delete(second.id);
    expect(stores.sessions.durabilityOf(first.id)).toBe('outbox');
    expect(stores.sessions.durabilityOf(second.id)).toBe('outbox');
    expect(await stores.sessions.list({ limit: 1_000 })).toHaveLength(records.length - 1);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'D53 on a full disk new records are refused, changes wait in memory, and it recovers',
    async () => {
      const directory = join(yard.directory(), 'disk');
      mkdirSync(directory);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
      try {
        const { driver, stores, outboxFile } = await yard.open({ mood: 'away', directory });
        const record = await known(stores);
        const filler = join(directory, 'filler');
        expect(() => writeFileSync(filler, Buffer.alloc(1024 * 1024))).toThrow('ENOSPC');
        const refused = sessionRecord();
        const many = async () => {
          for (;;) await stores.sessions.insert({ ...refused, id: newId('session') }, []);
        };
        await expect(many()).rejects.toMatchObject({ code: 'storage_full' });
        const there = (await stores.sessions.list({ limit: 1_000 })).length;
        await stores.sessions.update({ ...record, tabName: 'renamed' });
        expect(stores.sessions.durabilityOf(record.id)).toBe('memory');
        expect(stores.status().degraded).toContain('store');
        rmSync(filler);
        await vi.waitFor(() => expect(stores.sessions.durabilityOf(record.id)).toBe('outbox'), { timeout: 5_000 });
        expect(stores.status().degraded).not.toContain('store');
        await known(stores);
        expect(readFileSync(outboxFile, 'utf8').split('\n').slice(0, -1)).toHaveLength(there + 2);
        driver.mood = 'well';
        await isBack(stores);
        expect(await driver.inside.sessions.list({ limit: 1_000 })).toHaveLength(there + 1);
      } finally {
        execFileSync('umount', ['--lazy', directory]);
      }
    },
  );
});

it('D54 a primary that comes and goes costs few calls anything', async () => {
  const { driver, stores } = await yard.open();
  const record = await known(stores);
  const times: number[] = [];
  const until = performance.now() + 12_000;
  for (let turn = 0; performance.now() < until; turn++) {
    driver.mood = turn % 2 === 0 ? 'hung' : 'well';
    const next = performance.now() + 1_500;
    while (performance.now() < next) {
      times.push(await timed(stores.sessions.get(record.id)));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  const sorted = times.sort((a, b) => a - b);
  expect(sorted[Math.floor(sorted.length * 0.95)]).toBeLessThan(50);
  expect(sorted.at(-1)).toBeLessThan(400);
});
