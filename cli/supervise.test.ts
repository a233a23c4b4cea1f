import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processFacts } from './processes';
import { type ChildSpec, SupervisedChild } from './supervise';

const FOREVER = 'setInterval(() => {}, 1e6)';
let directory: string;
let file: string;
let said: string[];
let child: SupervisedChild | null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-supervise-'));
  file = join(directory, 'web.log');
  said = [];
  child = null;
});

afterEach(async () => {
  await child?.stop(0);
  rmSync(directory, { recursive: true });
});

function spec(script: string, output: ChildSpec['output'] = { file }): ChildSpec {
  return { name: 'web', command: process.execPath, args: ['-e', script], env: { NODE_ENV: 'test', A: 'a' }, output };
}

function supervise(script: string, options: { healthyMs?: number; restartMaxMs?: number } = {}): SupervisedChild {
  child = new SupervisedChild(spec(script), { say: (line) => said.push(line), ...options });
  return child;
}

function isAlive(pid: number | undefined): boolean {
  return pid !== undefined && processFacts(pid) !== null;
}

function log(): string {
  return readFileSync(file, 'utf8');
}

test('L6 a process that is killed is started again, and one line says so', async () => {
  const web = supervise(FOREVER);
  const first = web.pid ?? 0;
  process.kill(first, 'SIGKILL');
  await expect.poll(() => web.pid !== undefined && web.pid !== first, { timeout: 5_000 }).toBe(true);
  expect(isAlive(web.pid)).toBe(true);
  expect(said).toEqual(['The web process was ended by SIGKILL; it is started again.']);
});

test('L12 a process that keeps dying is tried again without end, and its log is named once', async () => {
  const web = supervise(`console.log('no luck'); process.exit(7)`, { restartMaxMs: 50 });
  await expect.poll(() => web.quickDeaths, { timeout: 15_000 }).toBeGreaterThan(6);
  expect(said).toHaveLength(5);
  expect(said[0]).toBe('The web process ended with code 7; it is started again.');
  expect(said[4]).toContain(`5 times in a row; ${file} says why.`);
  expect(log().match(/no luck/g)?.length).toBeGreaterThan(5);
});

test('L12 a process that was healthy is not counted as one that keeps dying', async () => {
  const web = supervise(`setTimeout(() => process.exit(1), 60)`, { healthyMs: 50 });
  await expect.poll(() => said.length, { timeout: 10_000 }).toBeGreaterThan(6);
  expect(web.quickDeaths).toBe(1);
});

test('L12 a program that is not there is told like one that dies', async () => {
  child = new SupervisedChild(
    { ...spec(''), command: join(directory, 'nothing') },
    { say: (line) => said.push(line), restartMaxMs: 50 },
  );
  await expect.poll(() => said.length, { timeout: 5_000 }).toBeGreaterThan(1);
  expect(said[0]).toContain('ENOENT');
});

test('L2 stopping ends the whole group, also who ignores TERM, and nothing is started again', async () => {
  const stubborn = `process.on('SIGTERM', () => {}); console.log('pid', process.pid); ${FOREVER}`;
  const web = supervise(
    `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}], {stdio: 'inherit'}); ${FOREVER}`,
  );
  await expect.poll(log, { timeout: 10_000 }).toContain('pid');
  const grandchild = Number(/pid (\d+)/.exec(log())?.[1]);
  expect(isAlive(grandchild)).toBe(true);
  await web.stop(300);
  await expect.poll(() => isAlive(grandchild)).toBe(false);
  expect(web.pid).toBeUndefined();
  expect(said).toEqual([]);
});

test('L6 what a dead process left of its group is ended before it is started again', async () => {
  const web = supervise(
    `const c = require('node:child_process').spawn('sleep', ['1000']); console.log('pid', c.pid); ${FOREVER}`,
  );
  await expect.poll(log, { timeout: 10_000 }).toContain('pid');
  const left = Number(/pid (\d+)/.exec(log())?.[1]);
  process.kill(web.pid ?? 0, 'SIGKILL');
  await expect.poll(() => isAlive(left), { timeout: 5_000 }).toBe(false);
});

test('L1 output goes line by line to a function in development', async () => {
  const lines: string[] = [];
  child = new SupervisedChild(
    spec(`console.log('one'); console.error(process.env.A); ${FOREVER}`, { onLine: (line) => lines.push(line) }),
    { say: (line) => said.push(line) },
  );
  await expect.poll(() => [...lines].sort(), { timeout: 5_000 }).toEqual(['a', 'one']);
});
