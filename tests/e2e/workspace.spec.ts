/** What people do with the pages: sign in, projects, tabs, ends and restarts, theme, search. */
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContext, expect, type Locator, type Page, test } from '@playwright/test';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import { App } from '@/tests/harness/app';
import { isRunning } from '@/tests/harness/processes';
import {
  bufferText,
  newShell,
  openWorkspace,
  terminalOf,
  typeInto,
  waitForTerminal,
  waitForText,
} from '@/tests/harness/workspace-page';

const START_DEADLINE_MS = 300_000;

let app: App;
let context: BrowserContext;
let page: Page;

test.beforeAll(async ({ browser }) => {
  test.setTimeout(START_DEADLINE_MS);
  app = await App.start({ HOLDFAST_AGENT_COMMAND: 'claude --from-settings' });
  // No agent of this machine, and a place for one of ours.
  mkdirSync(join(app.home, 'bin'));
  appendFileSync(join(app.home, '.bash_profile'), `PATH=${join(app.home, 'bin')}:/usr/bin:/bin\n`);
  context = await browser.newContext();
  page = await context.newPage();
  await app.signIn(page);
});

test.afterAll(async () => {
  await context?.close();
  await app?.stop();
});

/** A project with terminals, open in the browser with the first one in front. */
async function openProject(name: string, ...tabNames: string[]): Promise<[Project, ...TerminalSession[]]> {
  const project = await app.createProject(name);
  const sessions: TerminalSession[] = [];
  for (const tabName of tabNames) sessions.push(await app.createTerminal(project, tabName));
  await openWorkspace(app, page, project, sessions[0]?.id);
  if (sessions[0]) await waitForText(page, sessions[0].id, 'hf% ');
  return [project, ...sessions];
}

async function sessionNow(id: string): Promise<TerminalSession> {
  const session = (await app.terminals()).find((each) => each.id === id);
  if (!session) throw new Error(`${id} is not listed`);
  return session;
}

function tab(name: string): Locator {
  return page.getByRole('tab', { name });
}

function tabNames(): Promise<string[]> {
  return page.getByRole('tab').allInnerTexts();
}

function question(): Locator {
  return page.getByRole('alertdialog');
}

test('P5 a login link opens one browser once, and says so when it is used up or foreign', async ({ browser }) => {
  const link = await app.freshLink();
  const first = await browser.newPage();
  await first.goto(link);
  await expect(first.getByRole('heading', { name: 'Projects' })).toBeVisible();
  expect(first.url()).toBe(`${app.origin}/`);
  await first.context().close();

  const second = await browser.newPage();
  await second.goto(link);
  await expect(second.getByRole('heading', { name: 'This link was used or has expired' })).toBeVisible();
  expect(second.url()).toBe(`${app.origin}/`);
  await second.goto(`${app.origin}/#t=bogus`);
  await expect(second.getByRole('heading', { name: 'This link was used or has expired' })).toBeVisible();
  await second.goto(`${app.origin}/`);
  await expect(second.getByRole('heading', { name: 'Open a login link' })).toBeVisible();
  await expect(second.getByText('npm run open')).toBeVisible();
  await second.context().close();
});

test('R5 a project is created by its path, and a wrong path is told at the field', async () => {
  writeFileSync(join(app.home, 'a-file'), '');
  symlinkSync('/etc', join(app.home, 'a-way-out'));
  mkdirSync(join(app.home, 'website'));
  await page.goto(app.origin);
  await page.getByRole('button', { name: 'New project' }).first().click();
  const directory = page.getByLabel('Directory');
  const name = page.getByLabel('Name');
  const create = page.getByRole('button', { name: 'Create project' });
  const refused: [string, RegExp][] = [
    ['', /Which directory/],
    ['website', /begin with \//],
    [join(app.home, 'missing'), /There is no directory .*missing/],
    [join(app.home, 'a-file'), /a-file is not a directory/],
    ['/etc', /\/etc is outside the allowed directories/],
    [join(app.home, 'a-way-out'), /a-way-out is outside the allowed directories/],
    [`${app.home}/..`, /outside the allowed directories/],
  ];
  for (const [path, message] of refused) {
    await directory.fill(path);
    await create.click();
    await expect(directory).toHaveAccessibleDescription(message);
    await expect(directory).toHaveAttribute('aria-invalid', 'true');
  }
  await directory.fill('~/website');
  await expect(name).toHaveValue('website');
  await name.fill(' ');
  await create.click();
  await expect(name).toHaveAccessibleDescription(/name/i);
  await name.fill('My website');
  await create.click();

  await expect(page).toHaveURL(/\/projects\/project_/);
  await expect(page.getByRole('heading', { name: 'My website' })).toBeVisible();
  const id = await newShell(page);
  await typeInto(page, id, 'pwd\n');
  await waitForText(page, id, join(app.home, 'website'));
  await page.goto(app.origin);
  await page.getByRole('link', { name: 'My website' }).click();
  await waitForTerminal(page, id);
});

test('H8 an agent that is missing says how to install it; installed, it runs in the project directory', async () => {
  const [project] = await openProject('agent');
  await page.getByRole('button', { name: 'New Claude' }).first().click();
  await expect(tab('Claude')).toBeVisible();
  const [session] = (await app.terminals()).filter(({ projectId }) => projectId === project.id);
  const id = session?.id ?? '';
  await waitForText(page, id, 'claude is not installed.');
  await waitForText(page, id, 'npm install -g @anthropic-ai/claude-code');
  await expect(terminalOf(page, id).getByRole('status')).toContainText('Exited with code 127');
  await expect(tab('Claude')).toContainText('exit 127');

  const agent = join(app.home, 'bin', 'claude');
  writeFileSync(agent, '#!/bin/sh\necho "agent with $* in $(pwd)"\nread answer\necho "you said $answer"\n');
  chmodSync(agent, 0o755);
  await terminalOf(page, id).getByRole('button', { name: 'Restart' }).click();
  await waitForText(page, id, `agent with --from-settings in ${project.path}`);
  await typeInto(page, id, 'hello\n');
  await waitForText(page, id, 'you said hello');
  await expect(terminalOf(page, id).getByRole('status')).toContainText('Exited with code 0');
});

test('P1 a tab is renamed by a double click and moved by dragging, and stays so after a reload', async () => {
  await openProject('order', 'one', 'two', 'three');
  await tab('two').dblclick();
  const field = page.getByLabel('Name of the tab');
  await field.fill('the second');
  await field.press('Enter');
  await expect.poll(tabNames).toEqual(['one', 'the second', 'three']);
  await tab('one').dblclick();
  await field.fill('not this');
  await field.press('Escape');
  await expect.poll(tabNames).toEqual(['one', 'the second', 'three']);

  const from = await tab('three').boundingBox();
  const to = await tab('one').boundingBox();
  if (!from || !to) throw new Error('the tabs are not shown');
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 12 });
  await page.mouse.up();
  await expect.poll(tabNames).toEqual(['three', 'one', 'the second']);
  await expect
    .poll(async () => (await app.terminals()).find(({ tabName }) => tabName === 'three')?.position)
    .toBeLessThan(1);
  await page.reload();
  await expect.poll(tabNames).toEqual(['three', 'one', 'the second']);
});

test('P2 closing a tab names what runs in it and asks; an idle shell closes at once', async () => {
  const [, busy, idle] = await openProject('closing', 'busy', 'idle');
  if (!busy || !idle) throw new Error('two terminals were created');
  await typeInto(page, busy.id, 'sleep 1000 & echo "pid=$!"; wait\n');
  await waitForText(page, busy.id, /^pid=\d+$/m);
  const sleeper = Number(/^pid=(\d+)$/m.exec(await bufferText(page, busy.id))?.[1]);
  const close = page.getByRole('button', { name: 'Close busy' });
  await close.click();
  await expect(question()).toContainText('sleep is still running');
  await question().getByRole('button', { name: 'Cancel' }).click();
  await expect(question()).toBeHidden();
  expect(isRunning(sleeper)).toBe(true);

  await close.click();
  await question().getByRole('button', { name: 'End and close' }).click();
  await expect.poll(tabNames).toEqual(['idle']);
  await expect.poll(() => isRunning(sleeper)).toBe(false);
  await expect.poll(() => isRunning(busy.pid ?? 0)).toBe(false);

  await tab('idle').hover();
  await page.getByRole('button', { name: 'Close idle' }).click();
  await expect(page.getByRole('heading', { name: 'closing' })).toBeVisible();
  await expect(question()).toBeHidden();
  await expect.poll(() => isRunning(idle.pid ?? 0)).toBe(false);
});

test('P3 an ended shell tells its exit code, and Restart gives a new shell in the same tab', async () => {
  const [project, session] = await openProject('ending', 'short');
  if (!session) throw new Error('a terminal was created');
  const { id, pid } = session;
  mkdirSync(join(project.path, 'below'));
  await typeInto(page, id, 'cd below\n');
  await expect.poll(async () => (await sessionNow(id)).currentPath).toBe(join(project.path, 'below'));
  await typeInto(page, id, 'echo last-words; exit 3\n');
  const terminal = terminalOf(page, id);
  await expect(terminal.getByRole('status')).toContainText('Exited with code 3');
  await expect(tab('short')).toContainText('exit 3');
  expect(await bufferText(page, id)).toContain('last-words');
  expect(isRunning(pid ?? 0)).toBe(false);
  await page.reload();
  await expect(terminal.getByRole('status')).toContainText('Exited with code 3');
  await waitForText(page, id, 'last-words');

  await terminal.getByRole('button', { name: 'Restart' }).click();
  await waitForTerminal(page, id);
  await typeInto(page, id, 'echo "again in $(basename "$PWD")"\n');
  await waitForText(page, id, 'again in below');
  const now = await sessionNow(id);
  expect(now).toMatchObject({ tabName: 'short', epoch: session.epoch + 1, status: 'active' });
  expect(now.pid).not.toBe(pid);
  expect(isRunning(now.pid ?? 0)).toBe(true);
  await expect(tab('short')).not.toContainText('exit');
});

test('R6 the 11th session of a project is refused, and the page says why', async () => {
  const [project] = await openProject('full', 'Shell 1');
  for (let number = 2; number <= 10; number++) await app.createTerminal(project, `Shell ${number}`);
  await expect(page.getByRole('tab')).toHaveCount(10);
  await page.getByRole('button', { name: 'New shell' }).first().click();
  await expect(page.getByText('No new terminal')).toBeVisible();
  await expect(page.getByText('This project runs 10 terminals, which is its limit.')).toBeVisible();
  await expect(page.getByRole('tab')).toHaveCount(10);
});

test('R9 removing a project with running terminals asks, ends them and leaves the files', async () => {
  const [project, one, two] = await openProject('goner', 'one', 'two');
  if (!one || !two) throw new Error('two terminals were created');
  writeFileSync(join(project.path, 'precious'), 'kept');
  await page.goto(app.origin);
  const card = page.getByRole('listitem').filter({ hasText: 'goner' });
  const remove = async () => {
    await card.hover();
    await card.getByRole('button', { name: 'Menu of goner' }).click();
    await page.getByRole('menuitem', { name: 'Remove…' }).click();
  };
  await remove();
  await expect(question()).toContainText('2 terminals are running in it');
  await question().getByRole('button', { name: 'Cancel' }).click();
  await expect(question()).toBeHidden();
  expect(isRunning(one.pid ?? 0)).toBe(true);

  await remove();
  await question().getByRole('button', { name: 'End 2 terminals and remove' }).click();
  await expect(card).toBeHidden();
  for (const { pid } of [one, two]) await expect.poll(() => isRunning(pid ?? 0)).toBe(false);
  expect(readFileSync(join(project.path, 'precious'), 'utf8')).toBe('kept');
  expect(existsSync(project.path)).toBe(true);

  await page.goto(`${app.origin}/projects/${project.id}`);
  await expect(page.getByRole('heading', { name: 'This project is not here' })).toBeVisible();
});

/** The background that the terminal is drawn on. */
function terminalBackground(id: string): Promise<string> {
  return terminalOf(page, id).evaluate((element) => getComputedStyle(element).backgroundColor);
}

function brightness(colour: string): number {
  return (colour.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
}

test('P6 light and dark are chosen by hand, for page and terminal, and kept', async () => {
  const [, session] = await openProject('colours', 'shell');
  const id = session?.id ?? '';
  const choose = async (name: string) => {
    await page.getByRole('button', { name: /^Theme:/ }).click();
    await page.getByRole('menuitemradio', { name }).click();
  };
  await choose('Dark');
  await expect.poll(async () => brightness(await terminalBackground(id))).toBeLessThan(60);
  await page.reload();
  await waitForTerminal(page, id);
  expect(brightness(await terminalBackground(id))).toBeLessThan(60);
  await choose('Light');
  await expect.poll(async () => brightness(await terminalBackground(id))).toBeGreaterThan(200);
  await choose('System');
  await page.emulateMedia({ colorScheme: 'dark' });
  await expect.poll(async () => brightness(await terminalBackground(id))).toBeLessThan(60);
  await page.emulateMedia({ colorScheme: 'light' });
  await expect.poll(async () => brightness(await terminalBackground(id))).toBeGreaterThan(200);
});

test('P7 search finds text in screen and scrollback', async () => {
  const [, session] = await openProject('finding', 'shell');
  const id = session?.id ?? '';
  await typeInto(page, id, 'seq -f "line %g" 200; echo needle; seq 100\n');
  await waitForText(page, id, /^100$/m);
  await page.keyboard.press('Control+Shift+F');
  const field = page.getByLabel('Find in terminal');
  await expect(field).toBeFocused();
  await field.fill('needle');
  // The command line has it too.
  await expect(page.getByRole('search')).toContainText(/[12] of 2/);
  await field.fill('line 17');
  await expect(page.getByRole('search')).toContainText(/of 11/);
  await field.fill('nowhere to be found');
  await expect(page.getByRole('search')).toContainText('No match');
  await field.press('Escape');
  await expect(field).toBeHidden();
  await page.keyboard.type('echo typed-after-search\n');
  await waitForText(page, id, /^typed-after-search$/m);
});

test('P8 an address without a project says so and leads back', async () => {
  await page.goto(`${app.origin}/projects/project_1700000000000_aaaaaaaa`);
  await expect(page.getByRole('heading', { name: 'This project is not here' })).toBeVisible();
  const answer = await page.goto(`${app.origin}/projects/no-id`);
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole('heading', { name: 'There is nothing at this address' })).toBeVisible();
  await page.getByRole('link', { name: 'All projects' }).click();
  await expect(page.getByRole('heading', { name: 'Projects' })).toBeVisible();
});
