import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { loadConfig, settingsEnvironment } from '@/lib/config';
import type { ArchivedSession } from '@/lib/protocol/control';
import { newId } from '@/lib/protocol/ids';
import { projectRecord, sessionRecord } from '@/tests/contract/stores';
import { adoptArchive } from './archive';
import { closeContext, getContext } from './context';
import { labelOf } from './label';
import { RECORDS_MAX } from './store/store';

const INSTANCE = 'g1';

let directory: string;
let server: Server;
let archived: ArchivedSession[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-'));
  archived = [];
  const config = loadConfig(
    { HOLDFAST_DATA_DIR: directory, HOLDFAST_RUN_DIR: directory, HOLDFAST_LOG_LEVEL: 'error' },
    directory,
  );
  for (const [name, value] of Object.entries(settingsEnvironment(config))) vi.stubEnv(name, value);
  // Of a gateway only the archive.
  server = createServer((request, response) => {
    if (request.url === '/v1/archive') response.end(JSON.stringify({ instanceId: INSTANCE, sessions: archived }));
  }).listen(join(config.runDir, 'control.sock'));
});

afterEach(async () => {
  closeContext();
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

/** What a journal says of a session that ended at a time. */
function ended(owner: string, at: number): ArchivedSession {
  const record = sessionRecord({ owner });
  return {
    id: record.id,
    epoch: 1,
    type: 'system',
    cols: 80,
    rows: 24,
    title: '',
    cwd: '/',
    createdAt: 1,
    lastActivity: at,
    start: 0,
    position: 0,
    exit: { code: 0, signal: 0, at, reason: 'exited' },
    label: labelOf(record, projectRecord({ owner, id: PROJECTS[owner] ?? '' })),
  };
}
const PROJECTS: Record<string, string> = { alice: newId('project'), bob: newId('project') };

it('R14 of more archived sessions than an owner may have, the newest are adopted, and the log says how many are not', async () => {
  const times = Array.from({ length: RECORDS_MAX + 50 }, (_, n) => 1_000 + ((n * 7_919) % (RECORDS_MAX + 50)));
  archived = [...times.map((at) => ended('alice', at)), ended('bob', 1), ended('bob', 2)];
  const context = getContext();
  const warn = vi.spyOn(context.log, 'warn');
  for (let n = 0; n < 10; n++) await context.sessions.insert(sessionRecord({ endedAt: 5 }), []);
  await adoptArchive(context, INSTANCE);
  await expect.poll(() => context.archive.adoptedFrom, { timeout: 10_000 }).toBe(INSTANCE);

  const records = await context.sessions.list({ owner: 'alice', limit: 5_000 });
  expect(records).toHaveLength(RECORDS_MAX);
  const adopted = records.filter(({ endedAt }) => endedAt !== 5).map(({ endedAt }) => endedAt);
  expect(Math.min(...adopted.map(Number))).toBe(1_000 + 60);
  expect(await context.sessions.list({ owner: 'bob', limit: 10 })).toHaveLength(2);
  expect(warn).toHaveBeenCalledWith({ sessions: 60, max: RECORDS_MAX }, expect.stringContaining('not adopted'));
});
