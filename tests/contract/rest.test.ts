/** The REST API as a client sees it, over a real gateway, real hosts and real shells. */
import { existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  attachAnswerSchema,
  createTerminalAnswerSchema,
  listTerminalsAnswerSchema,
  projectAnswerSchema,
  projectTerminalsAnswerSchema,
  readyAnswerSchema,
  sessionAnswerSchema,
} from '@/lib/protocol/rest';
import { TICKET_PREFIX } from '@/lib/protocol/wire';
import { loadSecret } from '@/lib/secrets';
import { verifyTicket } from '@/lib/ticket';
import { Rest } from '@/tests/harness/rest';

let rest: Rest;
beforeAll(async () => {
  rest = await Rest.start();
}, 60_000);
afterEach(() => rest.clear());
afterAll(() => rest?.stop());

describe('R1 the shapes', () => {
  it('R1 a session is created with 201, its facts, and a socket that opens', async () => {
    const project = await rest.makeProject();
    const opened = await rest.create(project, { cols: 100, rows: 30 });
    expect(opened.status).toBe(201);
    expect(opened.session).toMatchObject({
      projectId: project.id,
      userId: 'local',
      type: 'system',
      tabName: 'shell',
      active: true,
      status: 'active',
      output: [],
      epoch: 1,
      durability: 'memory',
      pinned: false,
    });
    expect(opened.session.id).toMatch(/^session_\d{13}_[a-z0-9]{8}$/);
    expect(opened.session.pid).toBeGreaterThan(1);
    await expect.poll(async () => (await rest.read(opened.session.id)).currentPath).toBe(project.path);
    expect(opened.connectionUrl).toBe(`${rest.sidecar.wsUrl}/v1/sessions/${opened.session.id}`);
    expect(opened.connectionUrl).not.toContain('ticket');
    const { json } = await rest.sidecar.control('GET', `/v1/sessions/${opened.session.id}`);
    expect(json).toMatchObject({ session: { cols: 100, rows: 30 } });
    await rest.run(opened, 'echo $((6*7))', '42');
  });

  it('R1 a ticket names session, user, login, mode and Origin', async () => {
    await rest.web.signIn();
    const project = await rest.makeProject();
    const { session } = await rest.create(project);
    const answer = await rest.web.call(`POST /api/terminal/${session.id}/attach`, {
      as: 'cookie',
      body: { mode: 'read' },
    });
    const { protocols } = attachAnswerSchema.parse(answer.json);
    expect(protocols[0]).toBe('holdfast.v1');
    const ticket = protocols[1]?.slice(TICKET_PREFIX.length) ?? '';
    const claims = verifyTicket(ticket, loadSecret(rest.sidecar.dataDir, 'ticket.key'));
    const expected = { sub: 'local', session: session.id, epoch: 1, mode: 'read', origin: rest.web.config.publicUrl };
    expect(claims).toMatchObject({ ...expected, aud: rest.sidecar.instanceId });
    const viewer = await rest.open(attachAnswerSchema.parse(answer.json), rest.web.config.publicUrl);
    expect(viewer.events.find(({ event }) => event === 'attached')).toMatchObject({ mode: 'read' });
  });

  it('R1 lists say what runs, with memory as text', async () => {
    const project = await rest.makeProject();
    const { session } = await rest.create(project);
    const all = listTerminalsAnswerSchema.parse((await rest.web.call('GET /api/terminal/list')).json);
    expect(all.sessions.map(({ id }) => id)).toEqual([session.id]);
    expect(all.memoryUsage).toMatchObject({ rss: expect.stringMatching(/^[1-9]\d* MB$/), sessionCount: 1 });
    const own = await rest.web.call(`GET /api/workspace/projects/${project.id}/terminals`);
    const tabs = projectTerminalsAnswerSchema.parse(own.json);
    expect(tabs).toMatchObject({ success: true, projectId: project.id, activeCount: 1 });
    expect((await rest.projects())[0]).toMatchObject({ id: project.id, activeCount: 1 });
  });

  it('R1 a list comes in pages', async () => {
    const project = await rest.makeProject();
    const ids: string[] = [];
    for (const tabName of ['a', 'b', 'c']) ids.push((await rest.create(project, { tabName })).session.id);
    const seen: string[] = [];
    let query = `projectId=${project.id}&limit=2`;
    for (let page = 0; page < 2; page++) {
      const answer = listTerminalsAnswerSchema.parse((await rest.web.call(`GET /api/terminal/list?${query}`)).json);
      seen.push(...answer.sessions.map(({ id }) => id));
      query = `projectId=${project.id}&limit=2&cursor=${answer.nextCursor}`;
      expect(answer.nextCursor === undefined).toBe(page === 1);
    }
    expect(seen).toEqual(ids.sort());
  });

  it('R1 one session comes with the last lines of its output as text', async () => {
    const opened = await rest.create(await rest.makeProject());
    await rest.run(opened, "printf '\\e[31mred\\e[0m and %s\\n' plain", 'and plain');
    await expect.poll(async () => (await rest.read(opened.session.id)).output).toContain('red and plain');
  });

  it('T24 a session is kept without a viewer, and an ended or unknown one is not', async () => {
    const opened = await rest.create(await rest.makeProject());
    const line = `POST /api/terminal/${opened.session.id}/keep`;
    const { status, json } = await rest.web.call(line, { body: {} });
    expect(status).toBe(200);
    const { session } = sessionAnswerSchema.parse(json);
    expect(session).toMatchObject({ id: opened.session.id, status: 'active', idleEndsAt: null });
    await rest.exit(opened);
    expect(await rest.refused(line, { body: {} })).toMatchObject({ code: 'session_ended' });
    await rest.web.call(`DELETE /api/terminal/${opened.session.id}`);
    expect(await rest.refused(line, { body: {} })).toMatchObject({ code: 'not_found' });
  });

  it('R1 R15 raw output comes from any position that is kept, and says which bytes it is', async () => {
    const opened = await rest.create(await rest.makeProject());
    await rest.run(opened, 'echo one-$((1+1))', 'one-2');
    const path = `/api/terminal/${opened.session.id}/output`;
    const all = await rest.web.call(`GET ${path}`);
    expect(all.status).toBe(206);
    expect(all.headers.get('x-position')).toBe('0');
    const at = all.text.indexOf('one-2');
    expect(at).toBeGreaterThan(0);
    const part = await rest.web.call(`GET ${path}?from=${at}&limit=5`);
    expect(part).toMatchObject({ status: 206, text: 'one-2' });
    expect(part.headers.get('x-position')).toBe(String(at));
    expect(part.headers.get('content-type')).toBe('application/octet-stream');
    const end = all.bytes.length;
    expect(all.headers.get('content-range')).toBe(`bytes 0-${end - 1}/${end}`);
    expect(part.headers.get('content-range')).toMatch(new RegExp(`^bytes ${at}-${at + 4}/\\d+$`));
    expect(await rest.refused(`GET ${path}?from=999999999`)).toMatchObject({
      status: 416,
      code: 'range_not_satisfiable',
    });
    expect(await rest.refused(`GET ${path}?from=-1`)).toMatchObject({ code: 'bad_request' });
    expect(await rest.refused(`GET ${path}?limit=1e9`)).toMatchObject({ code: 'bad_request' });
  });

  it('R15 raw output from the end on, or from beyond it, is a 416 that says where the end is', async () => {
    const opened = await rest.create(await rest.makeProject());
    await rest.exit(opened);
    const path = `/api/terminal/${opened.session.id}/output`;
    const size = (await rest.web.call(`GET ${path}`)).bytes.length;
    for (const from of [size, size + 1]) {
      const beyond = await rest.web.call(`GET ${path}?from=${from}`);
      expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${size}`]);
    }
  });

  it('R1 readiness says whether the gateway answers', async () => {
    const ready = readyAnswerSchema.parse((await rest.web.call('GET /api/ready', { as: 'none' })).json);
    expect(ready).toMatchObject({
      status: 'ready',
      degraded: [],
      store: { kind: 'memory' },
      sidecar: { reachable: true },
    });
  });
});

describe('R4 ids', () => {
  const UNKNOWN = 'session_1700000000000_abcdefgh';
  const LINES = [
    `GET /api/terminal/${UNKNOWN}`,
    `PATCH /api/terminal/${UNKNOWN}`,
    `DELETE /api/terminal/${UNKNOWN}`,
    `POST /api/terminal/${UNKNOWN}/attach`,
    `POST /api/terminal/${UNKNOWN}/restart`,
    `GET /api/terminal/${UNKNOWN}/output`,
    'GET /api/workspace/projects/project_1700000000000_abcdefgh',
    'PATCH /api/workspace/projects/project_1700000000000_abcdefgh',
    'DELETE /api/workspace/projects/project_1700000000000_abcdefgh',
    'GET /api/workspace/projects/project_1700000000000_abcdefgh/terminals',
    'GET /api/terminal/list?projectId=project_1700000000000_abcdefgh',
  ];

  it.each(LINES)('R4 %s is 404', async (line) => {
    const body = line.includes('attach') ? { mode: 'write' } : { rev: 1 };
    const isBodyless = line.startsWith('GET') || line.startsWith('DELETE');
    expect(await rest.refused(line, isBodyless ? {} : { body })).toMatchObject({ status: 404, code: 'not_found' });
  });

  it('R4 a foreign session is 404 like an unknown one, with the same words', async () => {
    const project = await rest.makeProject();
    const opened = await rest.create(project);
    const live = await rest.sidecar.control('GET', `/v1/sessions/${opened.session.id}`);
    const { label } = (live.json as { session: { label: object } }).session;
    const foreign = await rest.sidecar.openSession({ label: { ...label, owner: 'bob' } });
    const lines = LINES.slice(0, 6).map((line) => line.replace(UNKNOWN, foreign.id));
    for (const [i, line] of lines.entries()) {
      const body = line.includes('attach') ? { mode: 'write' } : { rev: 1 };
      const request = line.startsWith('GET') || line.startsWith('DELETE') ? {} : { body };
      expect(await rest.refused(line, request)).toEqual(await rest.refused(LINES[i] ?? '', request));
    }
    const all = listTerminalsAnswerSchema.parse((await rest.web.call('GET /api/terminal/list')).json);
    expect(all.sessions.map(({ id }) => id)).not.toContain(foreign.id);
    expect((await rest.sidecar.control('GET', `/v1/sessions/${foreign.id}`)).status).toBe(200);
    await rest.sidecar.control('DELETE', `/v1/sessions/${foreign.id}`);
  });

  it('R4 an own deleted id answers DELETE with 200 and everything else with 404', async () => {
    const project = await rest.makeProject();
    const { session } = await rest.create(project);
    for (let i = 0; i < 2; i++) {
      const answer = await rest.web.call(`DELETE /api/terminal/${session.id}`);
      expect(answer.status).toBe(200);
      expect(sessionAnswerSchema.parse(answer.json).session).toMatchObject({
        id: session.id,
        status: 'ended',
        pid: null,
      });
    }
    expect(await rest.refused(`GET /api/terminal/${session.id}`)).toMatchObject({ status: 404 });
    expect(await rest.refused(`POST /api/terminal/${session.id}/attach`, { body: { mode: 'write' } })).toMatchObject({
      status: 404,
    });
    expect((await rest.sidecar.control('GET', `/v1/sessions/${session.id}`)).status).toBe(404);
    expect(await rest.tabs(project)).toEqual([]);
  });
});

describe('R7 changes', () => {
  it('R7 of two changes with the same rev one gets 200 and the other 409', async () => {
    const { session } = await rest.create(await rest.makeProject());
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        rest.web.call(`PATCH /api/terminal/${session.id}`, { body: { tabName: `name ${i}`, rev: session.rev } }),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    expect((await rest.read(session.id)).rev).toBe(session.rev + 1);
  });

  it('R7 name, place and pin change together, and the order of tabs follows', async () => {
    const project = await rest.makeProject();
    const first = (await rest.create(project, { tabName: 'first' })).session;
    const second = (await rest.create(project, { tabName: 'second' })).session;
    expect((await rest.tabs(project)).map(({ tabName }) => tabName)).toEqual(['first', 'second']);
    const body = { tabName: 'Bär 🐻', position: second.position + 1, pinned: true, rev: first.rev };
    const answer = await rest.web.call(`PATCH /api/terminal/${first.id}`, { body });
    expect(sessionAnswerSchema.parse(answer.json).session).toMatchObject({ tabName: 'Bär 🐻', pinned: true });
    expect((await rest.tabs(project)).map(({ tabName }) => tabName)).toEqual(['second', 'Bär 🐻']);
  });

  it('R7 a project changes by rev too', async () => {
    const project = await rest.makeProject();
    const patch = (body: object) => rest.web.call(`PATCH /api/workspace/projects/${project.id}`, { body });
    const answer = await patch({ name: 'New name', pinned: true, rev: project.rev });
    expect(projectAnswerSchema.parse(answer.json).project).toMatchObject({ name: 'New name', pinned: true, rev: 2 });
    expect((await patch({ archived: true, rev: project.rev })).status).toBe(409);
  });
});

describe('R8 the same session again', () => {
  it('R8 restore gives the living session of the same project, type and name', async () => {
    const project = await rest.makeProject();
    const first = await rest.create(project, { restore: true });
    const again = await rest.create(project, { restore: true });
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.session.id).toBe(first.session.id);
    expect((await rest.create(project, { restore: true, tabName: 'other' })).session.id).not.toBe(first.session.id);
    expect((await rest.create(project)).session.id).not.toBe(first.session.id);
    await rest.exit(first);
    const next = await rest.create(project, { restore: true, tabName: 'other' });
    expect(next.status).toBe(200);
  });

  it('R8 restore makes one session when it is asked many times at once', async () => {
    const project = await rest.makeProject();
    const answers = await Promise.all(Array.from({ length: 10 }, () => rest.create(project, { restore: true })));
    expect(new Set(answers.map(({ session }) => session.id)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(await rest.tabs(project)).toHaveLength(1);
  });

  it('R8 a repeated Idempotency-Key gives the first session, also at once; another body is refused', async () => {
    const project = await rest.makeProject();
    const request = { headers: { 'idempotency-key': 'key-1' } };
    const answers = await Promise.all(Array.from({ length: 10 }, () => rest.create(project, {}, request)));
    expect(new Set(answers.map(({ session }) => session.id)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const late = await rest.create(project, {}, request);
    expect(late.status).toBe(200);
    await (await rest.open(late)).close();
    const body = rest.creation(project, { tabName: 'other' });
    expect(await rest.refused('POST /api/terminal/create', { ...request, body })).toMatchObject({ code: 'conflict' });
    for (const key of ['', 'a b', 'a'.repeat(200)]) {
      const headers = { 'idempotency-key': key };
      expect(await rest.refused('POST /api/terminal/create', { headers, body })).toMatchObject({ code: 'bad_request' });
    }
    expect(await rest.tabs(project)).toHaveLength(1);
  });
});

describe('R9 removal of a project', () => {
  it('R9 with live sessions it is refused unless it is to end them, and files stay', async () => {
    const project = await rest.makeProject();
    writeFileSync(join(project.path, 'file.txt'), 'kept');
    const opened = await rest.create(project);
    const line = `DELETE /api/workspace/projects/${project.id}`;
    expect(await rest.refused(line)).toMatchObject({ status: 409, code: 'conflict', details: { activeCount: 1 } });
    expect(await rest.refused(`${line}?end=maybe`)).toMatchObject({ code: 'bad_request' });
    expect((await rest.read(opened.session.id)).status).toBe('active');
    expect((await rest.web.call(`${line}?end=true`)).status).toBe(200);
    expect((await rest.web.call(line)).status).toBe(200);
    expect(await rest.projects()).toEqual([]);
    expect((await rest.sidecar.control('GET', `/v1/sessions/${opened.session.id}`)).status).toBe(404);
    expect(existsSync(join(project.path, 'file.txt'))).toBe(true);
  });

  it('R9 a session that is being created meanwhile does not survive its project', async () => {
    const project = await rest.makeProject();
    const creating = Promise.all(
      Array.from({ length: 5 }, () => rest.web.call('POST /api/terminal/create', { body: rest.creation(project) })),
    );
    const removed = await rest.web.call(`DELETE /api/workspace/projects/${project.id}?end=true`);
    expect(removed.status).toBe(200);
    for (const { status } of await creating) expect([201, 404, 410]).toContain(status);
    const all = listTerminalsAnswerSchema.parse((await rest.web.call('GET /api/terminal/list')).json);
    expect(all.sessions).toEqual([]);
    expect((await rest.sidecar.control('GET', '/v1/sessions')).json).toMatchObject({ sessions: [] });
  });
});

describe('R10 restart', () => {
  it('R10 it keeps the id, raises the epoch and starts at position 0 in the last directory', async () => {
    const project = await rest.makeProject();
    mkdirSync(join(project.path, 'deep'));
    const opened = await rest.create(project, { tabName: 'mine' });
    await rest.run(opened, 'cd deep && pwd -P', realpathSync(join(project.path, 'deep')));
    const again = attachAnswerSchema.parse(
      (await rest.web.call(`POST /api/terminal/${opened.session.id}/attach`, { body: { mode: 'write' } })).json,
    );
    const ended = await rest.exit({ ...opened, ...again }, 3);
    expect(ended).toMatchObject({ status: 'ended', active: false, pid: null, exit: { code: 3, signal: 0 } });
    const line = `POST /api/terminal/${ended.id}/restart`;
    expect(await rest.refused(line, { body: { rev: ended.rev + 1 } })).toMatchObject({ code: 'conflict' });
    const answer = await rest.web.call(line, { body: { rev: ended.rev } });
    expect(answer.status).toBe(201);
    const restarted = createTerminalAnswerSchema.parse(answer.json);
    expect(restarted.session).toMatchObject({ id: ended.id, epoch: 2, tabName: 'mine', status: 'active' });
    expect(restarted.session).not.toHaveProperty('exit');
    const viewer = await rest.open(restarted);
    expect(viewer.events.find(({ event }) => event === 'attached')).toMatchObject({ epoch: 2 });
    await viewer.line('pwd -P');
    await viewer.waitForText(join(project.path, 'deep'));
    expect((await rest.web.call(`GET /api/terminal/${ended.id}/output`)).headers.get('x-position')).toBe('0');
    expect(await rest.refused(line, { body: { rev: restarted.session.rev } })).toMatchObject({ code: 'conflict' });
  });

  it('R10 it starts in the project when the last directory is gone', async () => {
    const project = await rest.makeProject();
    mkdirSync(join(project.path, 'gone'));
    const opened = await rest.create(project, { projectPath: join(project.path, 'gone') });
    const ended = await rest.exit(opened);
    rmSync(join(project.path, 'gone'), { recursive: true });
    const answer = await rest.web.call(`POST /api/terminal/${ended.id}/restart`, { body: { rev: ended.rev } });
    expect(answer.status).toBe(201);
    await expect.poll(async () => (await rest.read(ended.id)).currentPath).toBe(project.path);
  });
});
