import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectToLock, type SocketLock, takeSocketLock } from './socket-lock';

const OWNER = `require('node:net').createServer().listen(process.argv[1], () => console.log('listening'))`;

let directory: string;
let path: string;
const taken: (SocketLock | null)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-lock-'));
  path = join(directory, 'a.sock');
});

afterEach(async () => {
  for (const lock of taken.splice(0)) await lock?.release();
  rmSync(directory, { recursive: true });
});

async function take(): Promise<SocketLock | null> {
  const lock = await takeSocketLock(path);
  taken.push(lock);
  return lock;
}

test('L3 a lock has one owner until it is released', async () => {
  const first = await take();
  expect(first).not.toBeNull();
  expect(await take()).toBeNull();
  await taken.shift()?.release();
  expect(await take()).not.toBeNull();
});

test('L3 a lock is for its user only', async () => {
  await take();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('L3 a lock may lie deeper than the path of a socket can be long', async () => {
  const deep = join(directory, 'd'.repeat(100), 'e'.repeat(100));
  mkdirSync(deep, { recursive: true });
  path = join(deep, 'a.sock');
  expect(await connectToLock(path)).toBeNull();
  expect(await take()).not.toBeNull();
  expect(await take()).toBeNull();
  (await connectToLock(path))?.destroy();
  await taken.shift()?.release();
  expect(existsSync(path)).toBe(false);
  expect(await take()).not.toBeNull();
});

test('L3 the lock of a killed owner goes to exactly one of those who want it', async () => {
  const owner = spawn(process.execPath, ['-e', OWNER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(owner.stdout, 'data');
  expect(await take()).toBeNull();
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  const locks = await Promise.all([take(), take(), take(), take(), take()]);
  expect(locks.filter((lock) => lock !== null)).toHaveLength(1);
});
