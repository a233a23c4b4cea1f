import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Config, loadConfig } from '@/lib/config';
import { endSession, listLiveSessions } from './control';
import { sayGoodbye } from './farewell';
import { processFacts } from './processes';

const ID = 'session_1700000000000_abcdefgh';
let directory: string;
let config: Config;
let server: Server | null;
let host: ChildProcess | null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-bye-'));
  config = loadConfig({ HOLDFAST_DATA_DIR: directory, HOLDFAST_RUN_DIR: directory }, directory);
  server = null;
  host = null;
});

afterEach(async () => {
  host?.kill('SIGKILL');
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
  rmSync(directory, { recursive: true });
});

function session(id: string, label: object, exit: object | null = null): object {
  return { id, label, exit, epoch: 1 };
}

/** A control API that answers every request with this. */
async function answerWith(status: number, body: unknown): Promise<string[]> {
  const seen: string[] = [];
  const made = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    if (status !== 0) response.writeHead(status).end(JSON.stringify(body)); // 0: never answers
  });
  server = made;
  made.listen(join(directory, 'control.sock'));
  await once(made, 'listening');
  return seen;
}

test('L2 the sessions that keep running are named by project and tab', async () => {
  const label = (project: string, tabName: string) => ({ project: { name: project }, tabName });
  await answerWith(200, {
    sessions: [
      session(ID, label('web', 'shell')),
      session(ID, label('api', 'claude')),
      session(ID, label('api', 'done'), { code: 0, signal: 0, at: 1 }),
    ],
  });
  expect(await sayGoodbye(config)).toBe(
    '2 sessions keep running: api / claude, web / shell. `npm start` finds them again, `npm run stop -- --all` ends them.',
  );
  expect(await sayGoodbye({ ...config, ephemeral: true })).toBe(
    '2 sessions end now (HOLDFAST_EPHEMERAL): api / claude, web / shell.',
  );
});

test('L2 H15 a label that is foreign or hostile is told without harm', async () => {
  await answerWith(200, {
    sessions: [session(ID, { tabName: 7 }), session(ID, { tabName: '\u001b]0;x\u0007', project: { name: 'a\nb' } })],
  });
  const farewell = await sayGoodbye(config);
  expect(farewell).toContain(ID);
  expect(farewell).toContain('ab / ]0;x');
});

test('L2 without sessions nothing keeps running', async () => {
  await answerWith(200, { sessions: [] });
  expect(await sayGoodbye(config)).toBe('Nothing keeps running.');
});

test('L2 without a gateway nothing keeps running when there is no host', async () => {
  expect(await sayGoodbye(config)).toBe('Nothing keeps running.');
});

test('L2 a gateway that hangs costs one second, and its hosts are told', async () => {
  await answerWith(0, null);
  host = spawn('sh', ['-c', 'while :; do sleep 1; done', 'holdfast-host'], { stdio: 'ignore', detached: true });
  await once(host, 'spawn');
  const pid = host.pid ?? 0;
  mkdirSync(join(directory, 'hosts'));
  const startTime = processFacts(pid)?.startTime;
  writeFileSync(join(directory, 'hosts', 'aaaaaaaa.json'), JSON.stringify({ pid, startTime }));
  const startedAt = performance.now();
  expect(await sayGoodbye(config)).toContain('1 host process did not end');
  expect(performance.now() - startedAt).toBeLessThan(3_000);
});

test('L4 a session is ended over the control API, and one that is gone counts as ended', async () => {
  const seen = await answerWith(404, { error: { code: 'not_found', message: 'No such session.' } });
  expect(await endSession(directory, ID, 1_000)).toBe(true);
  expect(seen).toEqual([`DELETE /v1/sessions/${ID}`]);
});

test('L4 a failing gateway is not taken for one without sessions', async () => {
  await answerWith(500, {});
  await expect(listLiveSessions(directory, 1_000)).rejects.toThrow(/500/);
  expect(await endSession(directory, ID, 1_000)).toBe(false);
});
