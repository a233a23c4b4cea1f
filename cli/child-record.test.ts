import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { endRecordedChildren, recordChild } from './child-record';
import { processFacts } from './processes';

let runDir: string;
let child: ChildProcess;
let pid: number;

beforeEach(async () => {
  runDir = mkdtempSync(join(tmpdir(), 'hf-record-'));
  child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  await once(child, 'spawn');
  pid = child.pid ?? 0;
});

afterEach(() => {
  child.kill('SIGKILL');
  rmSync(runDir, { recursive: true });
});

describe.runIf(process.platform === 'linux')('with start times', () => {
  test('L11 a process that a killed launcher left behind is ended', async () => {
    recordChild(runDir, 'web', { pid, startTime: processFacts(pid)?.startTime ?? '' });
    const exit = once(child, 'exit');
    expect(await endRecordedChildren(runDir, 5_000)).toEqual(['web']);
    expect(await exit).toEqual([null, 'SIGTERM']);
    expect(await endRecordedChildren(runDir, 5_000)).toEqual([]);
  });

  test('L8 a stranger who has the pid of an earlier web process is left alone', async () => {
    recordChild(runDir, 'web', { pid, startTime: '1' });
    recordChild(runDir, 'sidecar', { pid, startTime: '' });
    expect(await endRecordedChildren(runDir, 1_000)).toEqual([]);
    expect(processFacts(pid)).not.toBeNull();
  });
});
