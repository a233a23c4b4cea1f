import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { askLauncher, type LauncherLock, stopLauncher, takeLauncherLock } from './launcher-lock';

const status = () => ({ pid: 4242, publicUrl: 'http://127.0.0.1:4110', isReady: true });
let runDir: string;
let lock: LauncherLock | null;

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'hf-launcher-'));
  lock = null;
});

afterEach(async () => {
  await lock?.release('');
  rmSync(runDir, { recursive: true });
});

test('L3 a launcher tells its pid and address, and a second one is refused', async () => {
  expect(await askLauncher(runDir)).toBeNull();
  lock = await takeLauncherLock([runDir], { status, stop: () => undefined });
  expect(await askLauncher(runDir)).toEqual(status());
  expect(await takeLauncherLock([runDir], { status, stop: () => undefined })).toBeNull();
});

test('L2 whoever stops the launcher waits until it is gone and hears what keeps running', async () => {
  const stop = vi.fn();
  lock = await takeLauncherLock([runDir], { status, stop });
  const stopped = stopLauncher(runDir, 5_000);
  await expect.poll(() => stop.mock.calls.length).toBe(1);
  await lock?.release('1 session keeps running: api / shell.');
  lock = null;
  expect(await stopped).toEqual({ pid: 4242, farewell: '1 session keeps running: api / shell.' });
  expect(await stopLauncher(runDir, 5_000)).toBeNull();
});

test('L2 a launcher that does not stop in time is a clear error', async () => {
  lock = await takeLauncherLock([runDir], { status, stop: () => undefined });
  await expect(stopLauncher(runDir, 200)).rejects.toThrow(/did not answer within 0.2 s/);
});

test('L3 a stranger who talks nonsense to the lock is cut off and changes nothing', async () => {
  const stop = vi.fn();
  lock = await takeLauncherLock([runDir], { status, stop });
  const socket = createConnection(join(runDir, 'launcher.sock'));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => socket.destroy());
  socket.write('{"op":"explode"}\n');
  await closed;
  expect(stop).not.toHaveBeenCalled();
  expect(await askLauncher(runDir)).toEqual(status());
});
