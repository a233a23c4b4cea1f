/** A host whose disk does not answer. No file system of a test hangs on demand, so its one write hangs instead. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createLog } from '@/lib/log';
import { newId } from '@/lib/protocol/ids';
import { Journal } from './journal';
import { Sessions } from './sessions';
import { Vitals } from './vitals';

let directory = '';
let sessions: Sessions;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-slow-'));
  sessions = new Sessions({
    hostId: 'testhost',
    capacity: 10,
    idleTimeoutMs: 0,
    groupDirectory: null,
    history: { kind: 'disk', directory: join(directory, 'journal'), bytesMax: 1_000_000, keptMs: 1_000_000 },
    vitals: new Vitals(),
    news: { session: () => undefined, gone: () => undefined },
    log: createLog('host', 'error'),
  });
});

afterEach(async () => {
  await sessions.endAll();
  rmSync(directory, { recursive: true, force: true });
});

async function open() {
  const at = { id: newId('session'), epoch: 1 };
  const launch = { file: '/bin/sh', args: ['-c', 'echo ready; exec sleep 1000'], env: { PATH: '/usr/bin:/bin' } };
  const size = { cols: 80, rows: 24 };
  await sessions.call('open', {
    ...at,
    ...size,
    type: 'system',
    cwd: directory,
    label: {},
    roots: [directory],
    launch,
  });
  return at;
}

it('J16 history is refused after a while, and sessions are opened, served and ended meanwhile', async () => {
  const first = await open();
  const other = await open();
  const flush = vi.spyOn(Journal.prototype, 'flush').mockReturnValue(new Promise(() => undefined));
  const pages = Array.from({ length: 20 }, () => sessions.call('history', { ...first, limit: 1_000 }));
  const refused = Promise.allSettled(pages);
  const startedAt = performance.now();
  expect((await sessions.call('end', { ...other, forget: true })).exit).not.toBeNull();
  await open();
  expect(performance.now() - startedAt).toBeLessThan(4_500);
  for (const answer of await refused) {
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'no_capacity', details: { reason: 'disk' } } });
  }
  flush.mockRestore();
});
