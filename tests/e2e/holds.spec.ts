/** Restarts of the gateway, of web and of everything: programs run on, and the page finds them again. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Page, test } from '@playwright/test';
import { z } from 'zod';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import { App } from '@/tests/harness/app';
import { note } from '@/tests/harness/measure';
import { findProcesses, isRunning, until } from '@/tests/harness/processes';
import {
  bufferText,
  facts,
  openWorkspace,
  selectTab,
  typeInto,
  waitForTerminal,
  waitForText,
} from '@/tests/harness/workspace-page';

const START_DEADLINE_MS = 300_000;
/** Typing works this soon after a new gateway is there (ms). */
const TYPING_DEADLINE_MS = 3_000;

/** Ctrl-C ends web and gateway by themselves, with a page open: after 4 s they would be killed (ms). */
const STOP_DEADLINE_MS = 3_500;

/** Prints numbered lines, answers each line that is typed, and ends at `stop`: fewer lines than the scrollback holds. */
const COUNT = `stty -echo
word=
for ((i = 1; i <= 950; i++)); do
  echo "n $i"
  IFS= read -rt 0.02 part
  isWhole=$?
  word+=$part # what came before the time was over
  ((isWhole == 0)) || continue
  echo "got $word"
  [ "$word" = stop ] && break
  word=
done
stty echo
echo "all printed"
`;

test.describe.configure({ mode: 'serial' });

let app: App;
let page: Page;
let project: Project;
let sessions: TerminalSession[];

test.beforeAll(async ({ browser }) => {
  test.setTimeout(START_DEADLINE_MS);
  app = await App.start();
  project = await app.createProject('lines');
  writeFileSync(join(project.path, 'count.sh'), COUNT);
  sessions = [];
  for (const name of ['one', 'two', 'three']) sessions.push(await app.createTerminal(project, name));
  page = await browser.newPage();
  await openWorkspace(app, page, project);
});

test.afterAll(async () => {
  await page?.close();
  await app?.stop();
});

/** The pids of the shells by session, as REST tells them. */
async function pids(): Promise<Record<string, number | null>> {
  return Object.fromEntries((await app.terminals()).map(({ id, pid }) => [id, pid]));
}

async function expectSamePids(before: Record<string, number | null>): Promise<void> {
  await expect.poll(() => pids().catch((error: Error) => error.message)).toEqual(before);
  for (const pid of Object.values(before)) expect(isRunning(pid ?? 0)).toBe(true);
}

/** The numbers of the lines `n 1`, `n 2`, ... in the order in which the page's terminal holds them. */
async function numbers(sessionId: string): Promise<number[]> {
  return [...(await bufferText(page, sessionId)).matchAll(/^n (\d+)$/gm)].map((match) => Number(match[1]));
}

/** Kills the gateway, and returns when the launcher has started another that answers. */
async function killGateway(): Promise<void> {
  const gateway = await app.gatewayId();
  process.kill(app.pidOf('sidecar'), 'SIGKILL');
  await until('a new gateway answers', async () => ![null, gateway].includes(await app.gatewayId()));
}

function tabNames(): Promise<string[]> {
  return page.getByRole('tab').allInnerTexts();
}

test('G4 the gateway is killed while three tabs print: same shells, every line once in each tab, typing works in 3 s', async () => {
  for (const { id, tabName } of sessions) {
    await selectTab(page, tabName);
    await waitForTerminal(page, id);
    await typeInto(page, id, '. ./count.sh\n');
  }
  for (const { id } of sessions) await expect.poll(async () => (await numbers(id)).length).toBeGreaterThan(50);
  const before = await pids();

  const killedAt = performance.now();
  await killGateway();
  const upAt = performance.now();
  const third = sessions[2]?.id ?? '';
  await typeInto(page, third, 'first-word\n');
  await waitForText(page, third, 'got first-word');
  const typingMs = performance.now() - upAt;
  note('the new gateway answers after', `${Math.round(upAt - killedAt)} ms`);
  note('typing works after', `${Math.round(typingMs)} ms more`);
  expect(typingMs).toBeLessThan(TYPING_DEADLINE_MS);

  await expectSamePids(before);
  for (const { id, tabName } of sessions) {
    const atKill = (await numbers(id)).length;
    await expect.poll(async () => (await numbers(id)).length).toBeGreaterThan(atKill);
    await selectTab(page, tabName);
    await typeInto(page, id, 'stop\n');
    await waitForText(page, id, 'all printed');
    const found = await numbers(id);
    expect(found).toEqual(found.map((_, index) => index + 1));
    expect((await facts(page, id)).skippedBytes).toBe(0);
  }
  expect((await bufferText(page, third)).match(/got first-word/g)).toHaveLength(1);
});

test('C1 after a gateway that died again and again, typing works in 3 s too', async () => {
  const id = sessions[0]?.id ?? '';
  await selectTab(page, 'one');
  for (let death = 1; death <= 4; death++) await killGateway();
  const upAt = performance.now();
  await typeInto(page, id, 'echo back-$((300 + 21))\n');
  await waitForText(page, id, 'back-321');
  const typingMs = performance.now() - upAt;
  note('typing works after', `${Math.round(typingMs)} ms`);
  expect(typingMs).toBeLessThan(TYPING_DEADLINE_MS);
});

test('R11 web is killed: terminals go on meanwhile, and tabs are back with their names and order', async () => {
  const [one, two, three] = sessions;
  if (!one || !two || !three) throw new Error('three sessions are open');
  const other = await app.createProject('other');
  await app.createTerminal(other, 'elsewhere');
  const listed = await app.terminals();
  const patch = async (id: string, change: object) => {
    const rev = listed.find((session) => session.id === id)?.rev;
    expect((await app.api('PATCH', `/api/terminal/${id}`, { ...change, rev })).status).toBe(200);
  };
  await patch(two.id, { tabName: 'renamed' });
  await patch(three.id, { position: one.position - 1 });
  await expect.poll(tabNames).toEqual(['three', 'one', 'renamed']);
  await selectTab(page, 'one');
  const before = await pids();
  const { viewer } = await facts(page, one.id);
  const web = app.pidOf('web');

  process.kill(web, 'SIGKILL');
  await typeInto(page, one.id, 'echo alive-$((20 + 3))\n');
  await waitForText(page, one.id, 'alive-23');
  await until('web is started again', () => app.pidOf('web') !== web);
  await until('web is ready', async () => (await readiness()) === 'ready', 20_000);
  const now = await facts(page, one.id);
  expect(now.state.kind).toBe('live');
  expect(now.viewer).toBe(viewer);

  await expectSamePids(before);
  expect(await tabNames()).toEqual(['three', 'one', 'renamed']);
  await page.reload();
  await waitForTerminal(page, one.id);
  expect(await tabNames()).toEqual(['three', 'one', 'renamed']);
  await waitForText(page, one.id, 'alive-23');
  await page.getByRole('link', { name: 'All projects' }).first().click();
  await expect(page.getByRole('link', { name: 'lines' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'other' })).toBeVisible();
  await expect(page.getByText('4 terminals running')).toBeVisible();
});

async function readiness(): Promise<string> {
  try {
    const answer = await app.api('GET', '/api/ready');
    return z.object({ status: z.string() }).parse(answer.body).status;
  } catch (error) {
    return String(error);
  }
}

test('L2 everything is stopped and started: what keeps running is named, and a reload finds it', async () => {
  const [one, two, three] = sessions;
  if (!one || !two || !three) throw new Error('three sessions are open');
  await openWorkspace(app, page, project, two.id);
  await typeInto(page, two.id, 'kept=value-$((40 + 2))\n');
  const before = await pids();
  expect(Object.keys(before)).toHaveLength(4);

  const stoppedAt = performance.now();
  await app.interrupt();
  const stopMs = performance.now() - stoppedAt;
  note('web and gateway end after', `${Math.round(stopMs)} ms`);
  expect(stopMs).toBeLessThan(STOP_DEADLINE_MS);
  expect(app.output).toMatch(
    /4 sessions keep running: lines \/ one, lines \/ renamed, lines \/ three, other \/ elsewhere\./,
  );
  for (const pid of Object.values(before)) expect(isRunning(pid ?? 0)).toBe(true);
  expect(await app.gatewayId()).toBeNull();

  await app.launch();
  await page.reload();
  await waitForTerminal(page, two.id);
  await expectSamePids(before);
  expect(await tabNames()).toEqual(['three', 'one', 'renamed']);
  await typeInto(page, two.id, 'echo "kept is $kept"\n');
  await waitForText(page, two.id, 'kept is value-42');
  const found = await numbers(two.id);
  expect(found.length).toBeGreaterThan(50);
  expect(found).toEqual(found.map((_, index) => index + 1));
});

test('L4 `stop --all` ends every shell, every host and the launcher', async () => {
  const before = await pids();
  const { code, output } = await app.command('stop', '--all');
  expect(code).toBe(0);
  expect(output).toMatch(/Ended 4 sessions: lines \/ one, lines \/ renamed, lines \/ three, other \/ elsewhere\./);
  for (const pid of Object.values(before)) expect(isRunning(pid ?? 0)).toBe(false);
  await until('no process is left', () => findProcesses(app.runDir).length === 0);
  expect(await app.gatewayId()).toBeNull();
});
