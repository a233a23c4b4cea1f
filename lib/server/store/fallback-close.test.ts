import { afterEach, expect, it } from 'vitest';
import { projectRecord, sessionRecord } from '@/tests/contract/stores';
import { FallbackYard } from '@/tests/harness/fallback';

const yard = new FallbackYard();
afterEach(() => yard.close());

const FREE = { isPathUnique: true, max: 1000 };

it('D55 what is closed acknowledges no change, also none that hung', async () => {
  const { driver, stores } = await yard.open();
  const project = projectRecord();
  await stores.projects.insert(project, FREE);
  driver.mood = 'hung';
  const hung = stores.projects.update({ ...project, name: 'renamed' });
  const closing = stores.close();
  await expect(hung).rejects.toMatchObject({ code: 'no_capacity' });
  await closing;
  await expect(stores.projects.delete(project.id)).rejects.toMatchObject({ code: 'no_capacity' });
  await expect(stores.sessions.insert(sessionRecord(), [])).rejects.toMatchObject({ code: 'no_capacity' });
});

it('D55 what is acknowledged while it closes is there for the next process', async () => {
  const { stores, directory } = await yard.open({ mood: 'away' });
  const records = Array.from({ length: 20 }, () => projectRecord());
  const inserts = records.map((record) => stores.projects.insert(record, FREE));
  await inserts[0];
  const later = projectRecord();
  const rest = Promise.allSettled([...inserts, stores.projects.insert(later, FREE)]);
  await stores.close();
  const outcomes = await rest;
  const acknowledged = [...records, later].filter((_, i) => outcomes[i]?.status === 'fulfilled').map(({ id }) => id);
  expect(acknowledged.length).toBeGreaterThan(0);
  const next = await yard.open({ mood: 'away', directory });
  const kept = (await next.stores.projects.list({ limit: 100 })).map(({ id }) => id);
  expect(kept).toEqual(expect.arrayContaining(acknowledged));
});
