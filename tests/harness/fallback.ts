/** Stores over a primary that a test can hang, take away and bring back, with an outbox in a directory of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog, type Logger } from '@/lib/log';
import { Fallback, type FallbackOptions } from '@/lib/server/store/fallback';
import { type Mood, UnsteadyDriver } from './unsteady-driver';

/** A log that says nothing. */
export function silentLog(): Logger {
  const log = createLog('test', 'error');
  log.level = 'silent';
  return log;
}

/** Directories and stores of one test file, ended together. */
export class FallbackYard {
  readonly #directories: string[] = [];
  readonly #stores: Fallback[] = [];

  /** A new directory. */
  directory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'hf-outbox-'));
    this.#directories.push(directory);
    return directory;
  }

  /** Stores over a driver; without one over a new one in this mood, and without a directory over a new one. */
  async open({
    driver = new UnsteadyDriver(),
    mood,
    directory = this.directory(),
    ...change
  }: { driver?: UnsteadyDriver; mood?: Mood; directory?: string } & Partial<FallbackOptions> = {}) {
    if (mood) driver.mood = mood;
    const outboxFile = join(directory, 'outbox.jsonl');
    const stores = new Fallback({
      kind: 'postgres',
      part: 'db',
      primary: driver,
      deadlineMs: 100,
      connectMs: 100,
      outboxFile,
      log: silentLog(),
      ...change,
    });
    this.#stores.push(stores);
    await stores.first;
    return { driver, stores, directory, outboxFile };
  }

  /** Ends everything. */
  async close(): Promise<void> {
    for (const stores of this.#stores.splice(0)) await stores.close();
    for (const directory of this.#directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  }
}
