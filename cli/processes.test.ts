import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { endHosts, findHosts, processFacts } from './processes';

let runDir: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'hf-processes-'));
  mkdirSync(join(runDir, 'hosts'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(runDir, { recursive: true });
});

async function run(script: string, ...args: string[]): Promise<{ child: ChildProcess; pid: number }> {
  const code = `${script}; setInterval(() => {}, 1e6); console.log('up')`;
  const child = spawn(process.execPath, ['-e', code, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  return { child, pid: child.pid ?? 0 };
}

function record(name: string, content: unknown): void {
  writeFileSync(join(runDir, 'hosts', `${name}.json`), JSON.stringify(content));
}

function startTimeOf(pid: number): string {
  return processFacts(pid)?.startTime ?? '';
}

test('L8 a process is known by its start time and command line, and a dead one is nothing', async () => {
  const { child, pid } = await run('', 'holdfast (mark) here');
  expect(processFacts(pid)?.commandLine).toContain('holdfast (mark) here');
  expect(processFacts(pid)).toEqual(processFacts(pid));
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(processFacts(pid)).toBeNull();
});

describe.runIf(process.platform === 'linux')('with start times', () => {
  test('L4 a recorded host is ended by TERM', async () => {
    const { child, pid } = await run('', 'holdfast-host', '{}');
    record('aaaaaaaa', { pid, startTime: startTimeOf(pid) });
    const exit = once(child, 'exit');
    expect(await endHosts(runDir, 5_000)).toBe(1);
    expect(await exit).toEqual([null, 'SIGTERM']);
  });

  test('L4 a host that ignores TERM is killed after the deadline', async () => {
    const { child, pid } = await run(`process.on('SIGTERM', () => {})`, 'holdfast-host', '{}');
    record('aaaaaaaa', { pid, startTime: startTimeOf(pid) });
    const exit = once(child, 'exit');
    await endHosts(runDir, 200);
    expect(await exit).toEqual([null, 'SIGKILL']);
  });

  test('L8 a stranger who has the pid of a host that died is left alone', async () => {
    const host = await run('', 'holdfast-host', '{}');
    record('aaaaaaaa', { pid: host.pid, startTime: String(Number(startTimeOf(host.pid)) - 1) });
    const stranger = await run('', 'editor');
    record('bbbbbbbb', { pid: stranger.pid, startTime: startTimeOf(stranger.pid) });
    record('cccccccc', { pid: process.pid, startTime: startTimeOf(process.pid) });
    expect(await endHosts(runDir, 1_000)).toBe(0);
    expect([host.child, stranger.child].map(({ exitCode, signalCode }) => exitCode ?? signalCode)).toEqual([
      null,
      null,
    ]);
  });
});

test('L8 without a start time, only a command line with the own socket proves a host', async () => {
  const socketPath = join(runDir, 'hosts', 'aaaaaaaa.sock');
  const host = await run('', 'holdfast-host', JSON.stringify({ socketPath }));
  record('aaaaaaaa', { pid: host.pid, startTime: '' });
  record('bbbbbbbb', { pid: host.pid, startTime: '' });
  expect(findHosts(runDir).map((found) => found.socketPath)).toEqual([socketPath]);
});

test('L8 a file that is no record is passed over', () => {
  record('aaaaaaaa', { pid: -1, startTime: '' });
  record('bbbbbbbb', { pid: 1, startTime: '' });
  record('cccccccc', 'holdfast-host');
  writeFileSync(join(runDir, 'hosts', 'dddddddd.json'), '{"pid":');
  expect(findHosts(runDir)).toEqual([]);
  expect(findHosts(join(runDir, 'nowhere'))).toEqual([]);
});
