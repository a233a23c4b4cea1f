/** Which stores the settings open, and what they share. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadConfig } from '@/lib/config';
import { createLog } from '@/lib/log';
import { Metrics } from '@/lib/metrics';
import { newId } from '@/lib/protocol/ids';
import { projectRecord } from '@/tests/contract/stores';
import { freePort } from '@/tests/harness/processes';
import { openStores } from './open';
import type { Stores } from './store';

let dataDir: string;
const opened: Stores[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'hf-open-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((stores) => stores.close()));
  rmSync(dataDir, { recursive: true });
});

function open(databaseUrl: string): Stores {
  const config = loadConfig({ HOLDFAST_DATA_DIR: dataDir, DATABASE_URL: databaseUrl }, dataDir);
  const stores = openStores({ config, log: createLog('test', 'error'), metrics: new Metrics('web') });
  opened.push(stores);
  return stores;
}

it('D73 what waits for a database is not taken over by another one, and is by the same with another password', async () => {
  const port = await freePort();
  const record = projectRecord({ id: newId('project') });
  const first = open(`postgres://app:one@127.0.0.1:${port}/first`);
  await first.projects.insert(record, { isPathUnique: true, max: 10 });
  expect(first.status().outbox).toMatchObject({ pending: 1 });
  await first.close();
  const second = open(`postgres://app:one@127.0.0.1:${port}/second`);
  await second.projects.list({ limit: 10 });
  expect(second.status().outbox).toMatchObject({ pending: 0 });
  const again = open(`postgres://other:two@127.0.0.1:${port}/first`);
  await again.projects.list({ limit: 10 });
  expect(again.status().outbox).toMatchObject({ pending: 1 });
  expect(readdirSync(dataDir).filter((name) => name.endsWith('.jsonl'))).toHaveLength(2);
});
