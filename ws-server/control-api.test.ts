import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '@/lib/log';
import { newId } from '@/lib/protocol/ids';
import { hello, liveSession, type ScriptedConnection, ScriptedHost } from '@/tests/harness/scripted-host';
import { createControlApi, isListening, listenOn } from './control-api';
import { Pool } from './pool';

const log = createLog('test', 'error');
log.level = 'silent';
const session = liveSession({ id: newId('session') });

let directory: string;
let socketPath: string;
let host: ScriptedHost;
let pool: Pool;
let server: Server;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-control-'));
  socketPath = join(directory, 'control.sock');
  mkdirSync(join(directory, 'hosts'));
  host = await ScriptedHost.listen(join(directory, 'hosts', 'aaaaaaaa.sock'), (message, connection) => {
    if (message.link === 'control') connection.say(hello({ sessions: [session] }));
    // An answer that no host of any revision gives: our own mistake, as far as a client can tell.
    if (message.link === 'call') connection.say({ link: 'reply', n: message.n, result: 'the secret cause' });
  });
  const config = {
    runDir: directory,
    dataDir: directory,
    maxHosts: 1,
    minHosts: 1,
    maxSessionsPerHost: 1,
    ephemeral: false,
    logLevel: 'error' as const,
    history: 'off' as const,
    journalBytesMax: 10_000_000,
    journalKeptMs: 0,
    idleTimeoutMs: 0,
    maxSessionsNode: 1_000,
    maxSessionsCluster: 1_000,
    roots: ['/'],
  };
  pool = new Pool({ config, recipe: { entry: '', execArgv: [], env: {} }, log });
  await pool.discover();
  server = createControlApi({
    instanceId: 'test',
    pool,
    log,
    info: () => {
      throw new Error('the secret cause');
    },
    launch: () => ({ file: '/bin/sh', args: [], env: {} }),
    revoke: () => 0,
  });
  await listenOn(server, socketPath);
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  pool.close();
  await host.close();
  rmSync(directory, { recursive: true, force: true });
});

function get(path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, agent: false }, async (response) => {
      resolve({ status: response.statusCode ?? 0, body: await text(response) });
    });
    call.on('error', reject);
    call.end();
  });
}

describe('the control socket', () => {
  it('G6 has mode 0600, and takes the place of a file that a dead gateway left', async () => {
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    const stale = join(directory, 'stale.sock');
    writeFileSync(stale, '');
    expect(await isListening(stale)).toBe(false);
    const next = createServer();
    await listenOn(next, stale);
    expect(await isListening(stale)).toBe(true);
    await new Promise((resolve) => next.close(resolve));
    expect(await isListening(join(directory, 'none.sock'))).toBe(false);
    expect(await isListening(socketPath)).toBe(true);
  });

  it('E2 tells nothing of a failure that nobody foresaw', async () => {
    for (const path of ['/v1/info', `/v1/sessions/${session.id}`]) {
      const { status, body } = await get(path);
      expect(status).toBe(500);
      expect(JSON.parse(body).error.code).toBe('internal');
      expect(body).not.toContain('secret');
    }
  });
});

describe('the event stream', () => {
  it('cuts off a reader that leaves more than 1 MiB unread, and serves the others', async () => {
    const [connection] = host.connections;
    if (!connection) throw new Error('no connection');
    const slow = request({ socketPath, path: '/v1/events', agent: false });
    slow.on('response', (response) => {
      response.pause();
      response.socket.pause();
    });
    slow.on('error', () => undefined);
    slow.end();
    let received = 0;
    const quick = request({ socketPath, path: '/v1/events', agent: false }, (response) => {
      response.on('data', (chunk) => {
        received += chunk.length;
      });
      response.on('error', () => undefined);
    });
    quick.on('error', () => undefined);
    quick.end();
    await vi.waitFor(() => expect(received).toBeGreaterThan(0));
    await vi.waitFor(async () => expect(await connections(server)).toBe(2));

    const written = await flood(connection);
    await vi.waitFor(async () => expect(await connections(server)).toBe(1), 5_000);
    await vi.waitFor(() => expect(received).toBeGreaterThan(written), 5_000);
    slow.destroy();
    quick.destroy();
  });
});

function connections(of: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    of.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}

/** Eight MiB of changes, and how many bytes they had. */
async function flood(connection: ScriptedConnection): Promise<number> {
  const changed = { ...session, label: { filler: 'x'.repeat(8_000) } };
  for (let i = 0; i < 1_000; i++) {
    connection.say({ link: 'session', session: changed });
    if (connection.socket.writableNeedDrain) await new Promise((resolve) => connection.socket.once('drain', resolve));
  }
  return 8_000 * 1_000;
}
