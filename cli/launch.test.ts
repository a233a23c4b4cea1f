import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { type Config, loadConfig } from '@/lib/config';
import { redeemLoginToken } from '@/lib/secrets';
import { freePort } from '@/tests/harness/processes';
import { CommandError } from './command-error';
import { logFile } from './directories';
import { launch } from './launch';
import { stopLauncher } from './launcher-lock';
import { signal } from './processes';
import type { ChildSpec } from './supervise';

/** Stands for web and gateway: answers every request with its state and its pid. */
const SERVER = `require('node:http').createServer((_, response) =>
  response.end(JSON.stringify({ status: 'ready', pid: process.pid }))).listen(Number(process.argv[1]), '127.0.0.1')`;

/** Like it, on a full disk. */
const SHORT_SERVER = SERVER.replace("'ready'", "'degraded', degraded: ['journal']");

/** Like it, but degraded until somebody asks for `/recover`. */
const RECOVERING_SERVER = `let status = 'degraded';
  require('node:http').createServer((request, response) => {
    if (request.url === '/recover') status = 'ready';
    response.end(JSON.stringify({ status, pid: process.pid }));
  }).listen(Number(process.argv[1]), '127.0.0.1')`;

let directory: string;
let config: Config;
let said: string[];
let running: Promise<number>[];
let squatter: Server | null;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hf-launch-'));
  const [webPort, wsPort] = [await freePort(), await freePort()];
  config = loadConfig(
    {
      HOLDFAST_STORE: 'memory',
      HOLDFAST_DATA_DIR: join(directory, 'data'),
      PORT: String(webPort),
      WS_PORT: String(wsPort),
    },
    directory,
  );
  said = [];
  running = [];
  squatter = null;
});

afterEach(async () => {
  await stopLauncher(config.runDir, 10_000);
  await Promise.allSettled(running);
  await new Promise((resolve) => (squatter ? squatter.close(resolve) : resolve(null)));
  rmSync(directory, { recursive: true });
});

function server(name: ChildSpec['name'], script = SERVER): ChildSpec {
  const port = name === 'web' ? config.webPort : config.wsPort;
  const args = ['-e', script, String(port)];
  return { name, command: process.execPath, args, env: { NODE_ENV: 'test' }, output: { file: logFile(config, name) } };
}

function run(children = () => [server('web'), server('sidecar')]): Promise<number> {
  const ended = launch({ config, children, prepare: async () => undefined, say: (line) => said.push(line) });
  running.push(ended);
  return ended;
}

function isReady(): Promise<void> {
  return expect.poll(() => said.join('\n'), { timeout: 10_000 }).toContain('Holdfast is ready');
}

async function pidAt(port: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
  return z.object({ pid: z.number() }).parse((await response?.json()) ?? { pid: 0 }).pid;
}

test('L1 one line tells the address and a login token that works once', async () => {
  const ended = run();
  await isReady();
  const [line] = said;
  expect(said).toHaveLength(1);
  const token = line?.split('/#t=')[1] ?? '';
  expect(line).toBe(`Holdfast is ready: http://127.0.0.1:${config.webPort}/#t=${token}`);
  expect(redeemLoginToken(config.dataDir, token)).toBe(true);
  const pid = await pidAt(config.webPort);
  expect(await stopLauncher(config.runDir, 10_000)).toEqual({ pid: process.pid, farewell: 'Nothing keeps running.' });
  expect(await ended).toBe(0);
  expect(signal(pid, 0)).toBe(false);
});

test('L1 it is not ready before web says that it reaches the gateway', async () => {
  run(() => [server('web', RECOVERING_SERVER), server('sidecar')]).catch(() => 1);
  await expect.poll(() => pidAt(config.webPort), { timeout: 10_000 }).toBeGreaterThan(0);
  await expect.poll(() => pidAt(config.wsPort), { timeout: 10_000 }).toBeGreaterThan(0);
  expect(said).toEqual([]);
  await fetch(`http://127.0.0.1:${config.webPort}/recover`);
  await isReady();
});

test('L1 it is ready when web does without something else than the gateway', async () => {
  run(() => [server('web', SHORT_SERVER), server('sidecar')]).catch(() => 1);
  await isReady();
});

test('L3 a second start on the same data directory names the first and ends', async () => {
  const ended = run();
  await isReady();
  await expect(run()).rejects.toThrow(
    `Holdfast already runs on this data directory (pid ${process.pid}): open it with \`npm run open\`.`,
  );
  expect(await pidAt(config.webPort)).toBeGreaterThan(0);
  await stopLauncher(config.runDir, 10_000);
  await ended;
});

test('L3 a second start on the same data directory ends also when it has another run directory', async () => {
  run().catch(() => 1);
  await isReady();
  const [webPort, wsPort] = [await freePort(), await freePort()];
  const second = { ...config, runDir: join(directory, 'other'), webPort, wsPort };
  await expect(
    launch({ config: second, children: () => [], prepare: async () => undefined, say: (line) => said.push(line) }),
  ).rejects.toThrow(`Holdfast already runs on this data directory (pid ${process.pid})`);
});

test('L3 two data directories do not share a run directory', async () => {
  run().catch(() => 1);
  await isReady();
  const second = { ...config, dataDir: join(directory, 'data2') };
  await expect(
    launch({ config: second, children: () => [], prepare: async () => undefined, say: (line) => said.push(line) }),
  ).rejects.toThrow(
    `HOLDFAST_RUN_DIR: the Holdfast of another data directory (pid ${process.pid}) uses ${config.runDir}`,
  );
});

test('L6 a killed gateway is there again within 3 s', async () => {
  run().catch(() => 1);
  await isReady();
  const first = await pidAt(config.wsPort);
  process.kill(first, 'SIGKILL');
  await expect.poll(async () => ![first, 0].includes(await pidAt(config.wsPort)), { timeout: 3_000 }).toBe(true);
});

test('L7 a port that is taken is named with its setting before anything runs', async () => {
  const taken = createServer().listen(config.wsPort, '127.0.0.1');
  squatter = taken;
  await expect.poll(() => taken.listening).toBe(true);
  const children = () => {
    throw new Error('nothing may be started');
  };
  await expect(run(children)).rejects.toThrow(`WS_PORT: port ${config.wsPort} of 127.0.0.1 is taken`);
  await expect(run(children)).rejects.toBeInstanceOf(CommandError);
});

test('L12 a process that cannot start ends the start with the end of its log, and the other process with it', async () => {
  let webPid = 0;
  const watch = setInterval(async () => {
    webPid = (await pidAt(config.webPort)) || webPid;
  }, 100);
  try {
    const broken = server('sidecar', `console.error('no such table'); process.exit(1)`);
    await expect(run(() => [server('web'), broken])).rejects.toThrow(
      /sidecar process cannot be started[\s\S]*no such table/,
    );
  } finally {
    clearInterval(watch);
  }
  expect(webPid).toBeGreaterThan(0);
  expect(signal(webPid, 0)).toBe(false);
});

test('L10 the directories are for their owner only', async () => {
  run().catch(() => 1);
  await isReady();
  for (const path of [config.dataDir, config.runDir]) expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(statSync(logFile(config, 'web')).mode & 0o777).toBe(0o600);
  await stopLauncher(config.runDir, 10_000);
  await Promise.all(running);
  chmodSync(config.dataDir, 0o755);
  await expect(run()).rejects.toThrow(`HOLDFAST_DATA_DIR: other users can enter ${config.dataDir}.`);
});

test('L12 a log of more than 5 MiB is put aside at the start', async () => {
  const file = logFile(config, 'web');
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, Buffer.alloc(5 * 1024 * 1024 + 1));
  run().catch(() => 1);
  await isReady();
  expect(statSync(`${file}.1`).size).toBe(5 * 1024 * 1024 + 1);
  expect(statSync(file).size).toBe(0);
});
