/**
 * `npm run dev:memory`: how much memory the development server takes once it has settled. Works on a temporary copy of the
 * project: opens every page in a browser, edits, waits, and prints the figures. Ends with 1 above the limit.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Page } from '@playwright/test';
import { App } from '@/tests/harness/app';
import { residentBytes, until } from '@/tests/harness/processes';

const ROOT = resolve(import.meta.dirname, '..');
const MEGABYTE = 1_000_000;
const LIMIT_BYTES = 500 * MEGABYTE;
const EDITS = 8;
const PAGE_DEADLINE_MS = 120_000;
const EDIT_DEADLINE_MS = 60_000;
/** A person reads a page before the next one, in which time the compiler gives memory back. */
const PAUSE_MS = 5_000;
/** How long after the last compilation memory counts as settled, and for how long it is looked at. */
const SETTLE_MS = 20_000;
const WATCH_MS = 10_000;
const SAMPLE_MS = 250;
/** What of the server's output is shown after a failure. */
const OUTPUT_LINES = 20;
const NOT_COPIED = ['.git', '.next', 'dist', 'node_modules', 'test-results'];
const EDITED = join('app', 'layout.tsx');
/** Answers of the API that nobody needs a terminal for. */
const ROUTES = [
  '/api/health',
  '/api/ready',
  '/api/openapi.json',
  '/api/terminal/list',
  '/api/workspace/projects',
  '/metrics',
  '/api/none',
];

/** Packages are linked where the file system can, else copied: the compiler does not follow links out of the project. */
function copyProject(to: string): void {
  for (const name of readdirSync(ROOT)) {
    if (!NOT_COPIED.includes(name)) cpSync(join(ROOT, name), join(to, name), { recursive: true });
  }
  const packages = join(ROOT, 'node_modules');
  try {
    execFileSync('cp', ['-al', packages, to], { stdio: 'ignore' });
  } catch {
    rmSync(join(to, 'node_modules'), { recursive: true, force: true });
    execFileSync('cp', ['-a', packages, to]);
  }
}

function parentOf(pid: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? '';
  } catch {
    return ''; // it has just ended
  }
}

function titleOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** A process and all that it has started. */
function familyOf(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === String(pid));
  return [pid, ...children.flatMap((child) => familyOf(Number(child)))];
}

function serverOf(app: App): number {
  const server = familyOf(app.pidOf('web')).find((pid) => titleOf(String(pid)).startsWith('next-server'));
  if (server === undefined) throw new Error('there is no next-server process');
  return server;
}

function sum(pids: number[]): number {
  return pids.reduce((total, pid) => total + residentBytes(pid), 0);
}

async function visit(app: App, page: Page): Promise<void> {
  await app.signIn(page);
  await sleep(PAUSE_MS);
  const project = await app.createProject('memory');
  await app.createTerminal(project, 'shell');
  await page.goto(`${app.origin}/projects/${project.id}`);
  await page.locator('.xterm').first().waitFor();
  await sleep(PAUSE_MS);
  await page.goto(`${app.origin}/no-such-page`);
  await sleep(PAUSE_MS);
  // After a pause the server may be closing a connection that is kept: each request has its own.
  const headers = { authorization: `Bearer ${app.machineToken}`, connection: 'close' };
  for (const route of ROUTES) {
    const response = await fetch(app.origin + route, { headers });
    await response.arrayBuffer();
  }
  await page.goto(`${app.origin}/projects/${project.id}`);
  await page.locator('.xterm').first().waitFor();
}

/** Changes the frame of every page, and waits until the server shows it. */
async function edit(app: App, root: string): Promise<void> {
  const file = join(root, EDITED);
  const source = readFileSync(file, 'utf8');
  for (let count = 1; count <= EDITS; count += 1) {
    writeFileSync(file, source.replace('<body', `<body data-edit="${count}"`));
    const isShown = async () =>
      (await (await fetch(app.origin, { headers: { connection: 'close' } })).text()).includes(`data-edit="${count}"`);
    await until(`edit ${count} is shown`, isShown, EDIT_DEADLINE_MS);
  }
}

/** The highest of all samples within a time. */
async function watch(server: number): Promise<number> {
  const end = performance.now() + WATCH_MS;
  let highest = 0;
  while (performance.now() < end) {
    highest = Math.max(highest, residentBytes(server));
    await sleep(SAMPLE_MS);
  }
  return highest;
}

function show(what: string, bytes: number): void {
  console.log(`${what.padEnd(44)} ${Math.round(bytes / MEGABYTE)} MB`);
}

async function measure(app: App, root: string): Promise<boolean> {
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  let peak = 0;
  const server = serverOf(app);
  const sampling = setInterval(() => {
    peak = Math.max(peak, residentBytes(server));
  }, SAMPLE_MS);
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PAGE_DEADLINE_MS); // the first visit of a page compiles it
    await visit(app, page);
    show('next-server after every page', residentBytes(server));
    await edit(app, root);
    show(`next-server after ${EDITS} edits`, residentBytes(server));
    await sleep(SETTLE_MS);
    const settled = await watch(server);
    show('next-server at its peak', peak);
    show('next-server settled', settled);
    const family = familyOf(app.launcherPid);
    const sidecar = familyOf(app.pidOf('sidecar'));
    const database = familyOf(app.pidOf('database'));
    show('sidecar with its compiler, counted separately', sum(sidecar));
    show('database, counted separately', sum(database));
    const others = family.filter((pid) => pid !== server && ![...sidecar, ...database].includes(pid));
    show('launcher and helpers of Next', sum(others));
    return settled < LIMIT_BYTES;
  } finally {
    clearInterval(sampling);
    await browser.close();
  }
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'hf-dev-'));
  const root = join(directory, 'holdfast');
  let app: App | null = null;
  try {
    mkdirSync(root);
    copyProject(root);
    app = await App.start({}, { root, command: 'dev' });
    const isWithin = await measure(app, root);
    console.log(isWithin ? 'Within the limit of 500 MB.' : 'ABOVE the limit of 500 MB.');
    process.exitCode = isWithin ? 0 : 1;
  } catch (error) {
    console.error(app?.output.split('\n').slice(-OUTPUT_LINES).join('\n'));
    throw error;
  } finally {
    await app?.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
