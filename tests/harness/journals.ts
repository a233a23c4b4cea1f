/** Streams with a journal on disk, as sessions have them, for tests that use vitest. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { newId } from '@/lib/protocol/ids';
import { describeWriter } from '@/ws-server/host/host-facts';
import { Journal } from '@/ws-server/host/journal';
import type { Meta } from '@/ws-server/host/journal-format';
import { Output } from '@/ws-server/host/output';

/** The size of their terminals. */
export const SIZE = { cols: 80, rows: 24 };
/** How a session has ended. */
export const EXIT = { exit: { code: 3, signal: 0, at: 1_700_000_000_000 }, lastActivity: 1_700_000_000_000 };

const fault = (error: unknown) => {
  throw error;
};
/** For a screen whose answers nobody wants, and that must not fail. */
export const silent = { reply: () => undefined, title: () => undefined, fault };

/** What a journal knows of a session, written by this process. */
export function meta(change: Partial<Meta> = {}): Meta {
  const writer = describeWriter('testhost');
  return {
    id: newId('session'),
    epoch: 1,
    type: 'system',
    label: {},
    cwd: '/',
    title: '',
    createdAt: 1,
    writer,
    ...change,
  };
}

/** A directory for journals, and what makes them; both end with the test. To be called once, at the top of a test file. */
export function journalsPerTest() {
  let directory = '';
  const open = new Set<{ output: Output; journal: Journal }>();

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hf-journal-'));
  });
  afterEach(async () => {
    for (const { output, journal } of open) {
      await journal.close();
      output.dispose();
    }
    open.clear();
    rmSync(directory, { recursive: true, force: true });
  });

  /** A stream with a journal, as a session has them. */
  function recorded({ epoch = 1, bytesMax = 10_000_000, id = newId('session'), facts = meta({ id, epoch }) } = {}) {
    const output = new Output(SIZE, {
      ...silent,
      flush: () => journal.note(),
      pause: () => undefined,
      drained: () => undefined,
      unwritten: () => journal.waiting,
    });
    const faults: unknown[] = [];
    const journal = new Journal({
      directory: join(directory, id),
      epoch,
      bytesMax,
      source: output,
      meta: () => facts,
      onFault: (error) => faults.push(error),
    });
    open.add({ output, journal });
    return { id, output, journal, faults, path: join(directory, id) };
  }

  return { directory: () => directory, recorded };
}
