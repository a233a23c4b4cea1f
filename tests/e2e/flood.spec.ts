/** A program that prints as fast as it can: the page stays usable, Ctrl-C is felt at once, memory stays bounded. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, type Page, test } from '@playwright/test';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import { App } from '@/tests/harness/app';
import { heapBytes, note, watchWaits } from '@/tests/harness/measure';
import { findProcesses, residentBytes } from '@/tests/harness/processes';
import {
  facts,
  openWorkspace,
  pressIn,
  screenText,
  selectTab,
  terminalOf,
  typeInto,
  waitForText,
} from '@/tests/harness/workspace-page';

const START_DEADLINE_MS = 300_000;
const FLOOD_MS = 10_000;
const SAMPLE_MS = 250;
const MIB = 1024 * 1024;
/** The page answers within this time, whatever is printed (ms). */
const RESPONSE_MS = 1_000;
/** Ctrl-C brings the prompt back within this time (ms). */
const INTERRUPT_MS = 2_000;
/** Web, gateway and hosts together grow by less than this, and so does the page's heap (bytes). */
const GROWTH_MAX = 200 * MIB;
const HEAP_GROWTH_MAX = 64 * MIB;

let app: App;
let page: Page;
let project: Project;
let quiet: TerminalSession;
let loud: TerminalSession;

test.beforeAll(async ({ browser }) => {
  test.setTimeout(START_DEADLINE_MS);
  app = await App.start();
  project = await app.createProject('flood');
  quiet = await app.createTerminal(project, 'quiet');
  loud = await app.createTerminal(project, 'loud');
  page = await browser.newPage();
});

test.afterAll(async () => {
  await page?.close();
  await app?.stop();
});

/** Resident memory of processes together (bytes). */
function bytesOf(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
}

async function show({ id, tabName }: TerminalSession): Promise<void> {
  await selectTab(page, tabName);
  await expect(terminalOf(page, id)).toBeVisible();
}

test('P4 V6 `yes` for 10 s: the page answers, memory is bounded, and Ctrl-C stops it at once', async () => {
  await openWorkspace(app, page, project, quiet.id);
  await waitForText(page, quiet.id, 'hf% ');
  await show(loud);
  await waitForText(page, loud.id, 'hf% ');
  const heapBefore = await heapBytes(page);
  // The flood makes its host busy, so that an empty one is started beside it: that one is not counted.
  const servers = [app.pidOf('web'), app.pidOf('sidecar'), ...findProcesses(`${app.runDir}/hosts/`)];
  expect(servers).toHaveLength(3);
  const serversBefore = bytesOf(servers);
  let serversMost = serversBefore;

  await typeInto(page, loud.id, 'yes\n');
  await waitForText(page, loud.id, /^y$/m);
  const startedAt = performance.now();
  const stopWatching = await watchWaits(page);
  while (performance.now() - startedAt < FLOOD_MS) {
    serversMost = Math.max(serversMost, bytesOf(servers));
    for (const session of [quiet, loud]) await show(session);
    await sleep(SAMPLE_MS);
  }
  const waits = await stopWatching();

  const interruptedAt = performance.now();
  await pressIn(page, loud.id, 'Control+c');
  await expect
    .poll(async () => (await screenText(page, loud.id)).trimEnd().endsWith('\nhf%'), { intervals: [20] })
    .toBe(true);
  const interruptMs = performance.now() - interruptedAt;
  await typeInto(page, loud.id, 'echo calm-$((50 + 5))\n');
  await waitForText(page, loud.id, 'calm-55');

  const serversGrowth = serversMost - serversBefore;
  const heapGrowth = (await heapBytes(page)) - heapBefore;
  note('longest time without a frame', `${Math.round(waits.frame)} ms`);
  note('slowest answer to a click', `${waits.event} ms`);
  note('prompt after Ctrl-C', `${Math.round(interruptMs)} ms`);
  note(
    'growth of web, gateway and hosts',
    `${Math.round(serversGrowth / MIB)} MiB of ${Math.round(serversBefore / MIB)}`,
  );
  note("growth of the page's heap", `${Math.round(heapGrowth / MIB)} MiB of ${Math.round(heapBefore / MIB)}`);
  expect(waits.frame).toBeLessThan(RESPONSE_MS);
  expect(waits.event).toBeGreaterThan(0);
  expect(waits.event).toBeLessThan(RESPONSE_MS);
  expect(interruptMs).toBeLessThan(INTERRUPT_MS);
  expect(serversGrowth).toBeLessThan(GROWTH_MAX);
  expect(heapGrowth).toBeLessThan(HEAP_GROWTH_MAX);
  expect((await facts(page, loud.id)).state.kind).toBe('live');
});
