import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { ControlEvent } from '@/lib/protocol/control';
import { ControlClient } from './control';
import { followControl } from './control-stream';

const ID = 'session_1700000000000_abcdefgh';
const INFO = {
  instanceId: 'g1',
  nodeId: 'n',
  version: '1',
  pid: 1,
  hosts: 0,
  sessions: 0,
  isComplete: true,
  memory: { rss: 1, heap: 1, external: 1 },
};

let directory: string;
let socketPath: string;
let client: ControlClient;
let server: Server | null = null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-'));
  socketPath = join(directory, 'control.sock');
  client = new ControlClient(socketPath);
});
afterEach(async () => {
  client.close();
  await stop();
  rmSync(directory, { recursive: true });
});

function serve(listener: RequestListener): Promise<void> {
  const started = createServer(listener);
  server = started;
  return new Promise((resolve) => started.listen(socketPath, resolve));
}

async function stop(): Promise<void> {
  const running = server;
  server = null;
  if (!running) return;
  running.closeAllConnections();
  await new Promise((resolve) => running.close(resolve));
}

it('no gateway, and one that goes away during the call, is sidecar_unavailable', async () => {
  await expect(client.info()).rejects.toMatchObject({ code: 'sidecar_unavailable' });
  await serve((request) => request.socket.destroy());
  await expect(client.info()).rejects.toMatchObject({ code: 'sidecar_unavailable' });
  await stop();
  await serve((request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{');
    setImmediate(() => request.socket.destroy());
  });
  await expect(client.info()).rejects.toMatchObject({ code: 'sidecar_unavailable' });
});

it('a gateway that does not answer is deadline_exceeded after 2 s, also in the middle of an answer', async () => {
  await serve((request, response) => {
    if (request.url === '/v1/info') response.writeHead(200, { 'content-length': '100' }).write('{');
  });
  const started = performance.now();
  const calls = await Promise.allSettled([client.info(), client.sessions()]);
  for (const call of calls) expect(call).toMatchObject({ reason: { code: 'deadline_exceeded' } });
  expect(performance.now() - started).toBeLessThan(4_000);
});

it('an error keeps its code, its words and its details', async () => {
  const error = { code: 'no_capacity', message: 'Full.', details: { hosts: 20 } };
  await serve((_, response) => response.writeHead(503).end(JSON.stringify({ error })));
  await expect(client.session(ID)).rejects.toMatchObject(error);
});

it('an answer that is none of ours is a bug and no expected failure', async () => {
  await serve((_, response) => response.end('{"instanceId":1}'));
  await expect(client.info()).rejects.not.toHaveProperty('code');
});

it('a kept connection that died with its gateway is replaced', async () => {
  const answer: RequestListener = (_, response) => response.end(JSON.stringify(INFO));
  await serve(answer);
  expect((await client.info()).instanceId).toBe('g1');
  await stop();
  await serve(answer);
  expect((await client.info()).instanceId).toBe('g1');
});

it('the event stream is joined again after each break, and unknown lines do not end it', async () => {
  const event: ControlEvent = { event: 'sessions', instanceId: 'g1', isComplete: true, sessions: [] };
  let connections = 0;
  const listener: RequestListener = (request, response) => {
    connections += 1;
    const text = JSON.stringify(event);
    response.write(`${text.slice(0, 10)}`);
    setImmediate(() => {
      response.write(`${text.slice(10)}\n\n{"event":"new"}\nnot json\n${text}\n`);
      setImmediate(() => request.socket.destroy());
    });
  };
  const [onEvent, onBreak, onUnknown] = [vi.fn(), vi.fn(), vi.fn()];
  const stop = new AbortController();
  const following = followControl(socketPath, { onEvent, onBreak, onUnknown }, stop.signal);
  await expect.poll(() => onBreak.mock.calls.length).toBeGreaterThan(0);
  await serve(listener);
  await expect.poll(() => connections, { timeout: 5_000 }).toBeGreaterThan(1);
  await expect.poll(() => onUnknown.mock.calls.length).toBeGreaterThan(1);
  expect(onEvent.mock.calls[0]?.[0]).toEqual(event);
  stop.abort();
  await following;
  const last = connections;
  await new Promise((resolve) => setImmediate(resolve));
  expect(connections).toBe(last);
});
