import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { loadConfig, settingsEnvironment } from '@/lib/config';
import type { ControlEvent, LiveSession } from '@/lib/protocol/control';
import { projectRecord, sessionRecord } from '@/tests/contract/stores';
import { liveSession } from '@/tests/harness/scripted-host';
import { closeContext, getContext } from './context';
import { createOrRestore } from './opening';

const INSTANCE = 'g1';

/** A gateway under the test's control: what it has, what it announces, and what it was asked to end. */
class ScriptedGateway {
  sessions: LiveSession[] = [];
  readonly ended: string[] = [];
  /** Ids whose host does not answer. */
  readonly hung = new Set<string>();
  onOpen: (id: string, response: ServerResponse) => void = (_, response) => response.destroy();
  onEnd: (id: string) => Promise<void> = async () => undefined;
  #stream: ServerResponse | null = null;
  readonly #server: Server;

  constructor(socketPath: string) {
    this.#server = createServer((request, response) => {
      const id = request.url?.split('/')[3] ?? '';
      if (request.url === '/v1/events') {
        this.#stream = response;
        this.announce({ event: 'sessions', instanceId: INSTANCE, isComplete: true, sessions: this.sessions });
      } else if (request.url?.startsWith('/v1/archive')) answer(response, { instanceId: INSTANCE, sessions: [] });
      else if (request.method === 'DELETE') void this.#end(id, response);
      else if (request.method === 'POST' && request.url === '/v1/files/directory') answer(response, { path: '/' });
      else if (request.method === 'POST') {
        request.setEncoding('utf8').once('data', (body: string) => this.onOpen(JSON.parse(body).id, response));
      } else answer(response, { instanceId: INSTANCE, isComplete: true, sessions: this.sessions });
    }).listen(socketPath);
  }

  announce(event: ControlEvent): void {
    this.#stream?.write(`${JSON.stringify(event)}\n`);
  }

  async #end(id: string, response: ServerResponse): Promise<void> {
    this.ended.push(id);
    await this.onEnd(id);
    if (this.hung.has(id)) return;
    const session = this.sessions.find((live) => live.id === id);
    this.sessions = this.sessions.filter((live) => live !== session);
    if (session) answer(response, { instanceId: INSTANCE, session });
    else refuse(response, 'not_found');
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function answer(response: ServerResponse, json: unknown): void {
  response.end(JSON.stringify(json));
}

function refuse(response: ServerResponse, code: string): void {
  response.writeHead(404).end(JSON.stringify({ error: { code, message: 'No.' } }));
}

function live(id: string): LiveSession {
  return liveSession({ id, hostId: 'h1', pid: 7 });
}

let directory: string;
let gateway: ScriptedGateway;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-'));
  const env = { HOLDFAST_DATA_DIR: directory, HOLDFAST_RUN_DIR: directory, HOLDFAST_LOG_LEVEL: 'error' };
  const config = loadConfig(env, directory);
  for (const [name, value] of Object.entries(settingsEnvironment(config))) vi.stubEnv(name, value);
  gateway = new ScriptedGateway(join(config.runDir, 'control.sock'));
});
afterEach(async () => {
  closeContext();
  vi.unstubAllEnvs();
  await gateway.close();
  rmSync(directory, { recursive: true });
});

/** The context with a deleted session, once it follows the gateway. */
async function contextWithDeleted() {
  const context = getContext();
  const record = sessionRecord();
  await context.sessions.insert(record, []);
  await context.sessions.delete(record.id);
  return { context, id: record.id };
}

it('a session that opens after its record was deleted is ended as soon as it is heard of', async () => {
  const { context, id } = await contextWithDeleted();
  await expect.poll(() => context.events.isSidecarReachable).toBe(true);
  gateway.sessions = [live(id)];
  gateway.announce({ event: 'session', session: live(id) });
  await expect.poll(() => gateway.sessions).toEqual([]);
  expect(gateway.ended).toEqual([id]);
});

it('a deleted session that runs is ended when the gateway comes back', async () => {
  const context = getContext();
  const record = sessionRecord();
  gateway.sessions = [live(record.id)];
  await context.sessions.insert(record, []);
  await context.sessions.delete(record.id);
  await expect.poll(() => gateway.sessions).toEqual([]);
});

it('a host that does not end its deleted session keeps neither the gateway away nor other hosts from being asked', async () => {
  const context = getContext();
  const records = [sessionRecord(), sessionRecord()];
  gateway.sessions = records.map(({ id }) => live(id));
  gateway.hung.add(records[0]?.id ?? '');
  for (const record of records) {
    await context.sessions.insert(record, []);
    await context.sessions.delete(record.id);
  }
  await expect.poll(() => context.events.isSidecarReachable).toBe(true);
  await expect.poll(() => gateway.sessions).toEqual([live(records[0]?.id ?? '')]);
});

it('a session that may have opened although opening failed is ended after its record is gone', async () => {
  const context = getContext();
  const project = projectRecord({ owner: 'local', path: '/' });
  await context.projects.insert(project, { isPathUnique: true, max: 1 });
  let isDeleted = false;
  let opened = '';
  gateway.onOpen = (id, response) => {
    opened = id;
    gateway.sessions = [live(id)];
    response.destroy();
  };
  gateway.onEnd = async (id) => {
    isDeleted = typeof (await context.sessions.get(id))?.deletedAt === 'number';
  };
  const input = { projectId: project.id, type: 'system' as const, tabName: 'a', projectPath: '/', restore: false };
  const asking = { caller: { userId: 'local', sid: 'a', via: 'token' as const }, origin: null };
  await expect(createOrRestore(context, asking, { input, idempotencyKey: null })).rejects.toMatchObject({
    code: 'sidecar_unavailable',
  });
  expect(opened).not.toBe('');
  expect(gateway.ended).toContain(opened);
  expect(isDeleted).toBe(true);
});
