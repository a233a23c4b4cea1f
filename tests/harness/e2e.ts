/** Playwright's test with one running product for all tests of a worker, and one watched shell for each test. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test as base, expect } from '@playwright/test';
import { App } from './app';
import { WatchedTab } from './screen-oracle';

const START_DEADLINE_MS = 300_000;
const PROGRAMS = join(import.meta.dirname, '../e2e/programs');

/** `tab` is a shell in a project of its own, open in `page`; it is ended with the test. */
export const test = base.extend<{ tab: WatchedTab }, { app: App }>({
  app: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of fixtures from the pattern.
    async ({}, use) => {
      const app = await App.start();
      try {
        await use(app);
      } finally {
        await app.stop();
      }
    },
    { scope: 'worker', timeout: START_DEADLINE_MS },
  ],
  tab: async ({ app, page }, use, { testId }) => {
    const faults: unknown[] = [];
    page.on('pageerror', (error) => faults.push(error));
    const tab = await WatchedTab.open(app, page, await app.createProject(testId.slice(-8)));
    try {
      await use(tab);
      expect(faults, 'errors that the page did not catch').toEqual([]);
    } finally {
      tab.recorder.terminate();
      await app.api('DELETE', `/api/terminal/${tab.session.id}`);
    }
  },
});

/** Puts a program of `tests/e2e/programs` into the project's directory, to be run as `./name`. */
export function install(tab: WatchedTab, name: string): void {
  const path = join(tab.project.path, name);
  writeFileSync(path, `#!/bin/bash\nexec '${process.execPath}' '${join(PROGRAMS, `${name}.mjs`)}' "$@"\n`);
  chmodSync(path, 0o755);
}
