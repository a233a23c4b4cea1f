/** An outbox whose disk does not answer. No file system of a test hangs on demand, so its sync is held back instead. */
import { readFileSync } from 'node:fs';
import { afterEach, expect, it, vi } from 'vitest';
import { projectRecord, sessionRecord } from '@/tests/contract/stores';
import { FallbackYard } from '@/tests/harness/fallback';
import type { Fallback } from './fallback';

const disk = vi.hoisted(() => {
  const held: (() => void)[] = [];
  return { held, isHung: false };
});

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  const fdatasync = (fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
    if (disk.isHung) disk.held.push(() => fs.fdatasync(fd, done));
    else fs.fdatasync(fd, done);
  };
  return { ...fs, fdatasync };
});

const yard = new FallbackYard();
afterEach(async () => {
  answer();
  await yard.close();
});

function answer(): void {
  disk.isHung = false;
  for (const sync of disk.held.splice(0)) sync();
}

async function timed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await Promise.allSettled([work]);
  return performance.now() - startedAt;
}

const FREE = { isPathUnique: true, max: 1000 };
const REFUSED = { code: 'storage_full' };

async function degradedIs(stores: Fallback, degraded: string[]): Promise<void> {
  await vi.waitFor(() => expect(stores.status().degraded).toEqual(degraded), { timeout: 8_000, interval: 5 });
}

it('D57 new records are refused within a second and others change in memory, and the database comes back meanwhile', async () => {
  const { driver, stores } = await yard.open({ mood: 'away' });
  const record = sessionRecord();
  await stores.sessions.insert(record, []);
  disk.isHung = true;
  const first = stores.projects.insert(projectRecord(), FREE);
  const renamed = stores.sessions.update({ ...record, tabName: 'renamed' });
  const firstMs = timed(first);
  await expect(first).rejects.toMatchObject(REFUSED);
  expect(await firstMs).toBeLessThan(1_500);
  expect(await renamed).toMatchObject({ tabName: 'renamed', rev: 2 });
  expect(stores.sessions.durabilityOf(record.id)).toBe('memory');
  expect(stores.status().degraded).toContain('store');
  const second = stores.projects.insert(projectRecord(), FREE);
  const secondMs = timed(second);
  await expect(second).rejects.toMatchObject(REFUSED);
  expect(await secondMs).toBeLessThan(200);
  driver.mood = 'well';
  await degradedIs(stores, ['store']);
  expect(await driver.inside.sessions.get(record.id)).toMatchObject({ tabName: 'renamed', rev: 2 });
  const later = projectRecord();
  await stores.projects.insert(later, FREE);
  expect(await driver.inside.projects.list({ limit: 10 })).toEqual([later]);
  answer();
  await degradedIs(stores, []);
});

it('D57 a disk that hangs while the database comes back holds up no change for longer than its deadline', async () => {
  const { driver, stores } = await yard.open({ mood: 'away' });
  const record = sessionRecord();
  await stores.sessions.insert(record, []);
  disk.isHung = true;
  const renamed = stores.sessions.update({ ...record, tabName: 'renamed' });
  driver.mood = 'well';
  await vi.waitFor(() => expect(driver.pings).toBeGreaterThan(0), { timeout: 4_000, interval: 5 });
  expect(await timed(stores.projects.insert(projectRecord(), FREE))).toBeLessThan(2_000);
  expect(await renamed).toMatchObject({ rev: 2 });
  await vi.waitFor(async () => expect(await driver.inside.sessions.get(record.id)).toMatchObject({ rev: 2 }), {
    timeout: 8_000,
  });
});

it('D57 what the disk writes late brings back nothing that was refused, and loses nothing that was acknowledged', async () => {
  const { driver, stores, directory, outboxFile } = await yard.open({ mood: 'away' });
  const record = sessionRecord();
  await stores.sessions.insert(record, []);
  disk.isHung = true;
  const refused = [sessionRecord(), sessionRecord(), sessionRecord()];
  const inserts = refused.map((one) => stores.sessions.insert(one, []));
  const renamed = stores.sessions.update({ ...record, tabName: 'renamed' });
  for (const insert of await Promise.allSettled(inserts)) {
    expect(insert).toMatchObject({ status: 'rejected', reason: REFUSED });
  }
  const acknowledged = await renamed;
  expect(readFileSync(outboxFile, 'utf8')).toContain(refused[0]?.id);
  answer();
  await vi.waitFor(() => expect(stores.sessions.durabilityOf(record.id)).toBe('outbox'), { timeout: 8_000 });
  expect(stores.status().degraded).not.toContain('store');
  for (const { id } of refused) expect(readFileSync(outboxFile, 'utf8')).not.toContain(id);
  await stores.close();
  const next = await yard.open({ driver, directory });
  expect(await next.stores.sessions.list({ limit: 10 })).toEqual([acknowledged]);
});

it('D57 stores are closed beside a disk that hangs', async () => {
  const { stores } = await yard.open({ mood: 'away' });
  disk.isHung = true;
  const insert = stores.projects.insert(projectRecord(), FREE);
  const refusal = expect(insert).rejects.toMatchObject(REFUSED);
  await vi.waitFor(() => expect(disk.held).toHaveLength(1));
  expect(await timed(stores.close())).toBeLessThan(3_000);
  await refusal;
});
