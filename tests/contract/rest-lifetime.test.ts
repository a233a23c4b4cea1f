/** What happens to sessions and their records when limits are reached and when web or gateway go away. */
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '@/lib/protocol/ids';
import { attachAnswerSchema, type ServerEvent, serverEventSchema } from '@/lib/protocol/rest';
import { decodeViewerFrame } from '@/lib/protocol/wire';
import { getContext } from '@/lib/server/context';
import { signal, until } from '@/tests/harness/processes';
import { Rest } from '@/tests/harness/rest';
import { FrameReader } from '@/ws-server/link';

const WAIT = { timeout: 20_000, interval: 50 };

let rest: Rest;
beforeAll(async () => {
  rest = await Rest.start({ HOLDFAST_MAX_SESSIONS_USER: '12' });
}, 60_000);
afterEach(() => rest.clear());
afterAll(() => rest?.stop());

describe('R6 limits', () => {
  it('D31 a browser that asks for more than 120 terminals in a minute is told to wait, a script is not', async () => {
    await rest.web.signIn();
    const project = await rest.makeProject();
    const body = rest.creation(project, { projectId: newId('project') });
    const ask = (as: 'cookie' | 'token') => rest.web.call('POST /api/terminal/create', { as, body });
    const answers = await Promise.all(Array.from({ length: 125 }, () => ask('cookie')));
    expect(answers.filter(({ status }) => status === 404)).toHaveLength(120);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(5);
    for (const { headers, json } of refused) {
      expect(json).toMatchObject({ error: { code: 'rate_limited', details: { limit: 'create', max: 120 } } });
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(5);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(60);
    }
    expect((await ask('token')).status).toBe(404);
  });

  it('R6 of 50 creates at once exactly 10 succeed, and the others name the limit', async () => {
    const project = await rest.makeProject();
    const body = rest.creation(project);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => rest.web.call('POST /api/terminal/create', { body })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
    const others = answers.filter(({ status }) => status !== 201);
    for (const { json } of others) {
      expect(json).toMatchObject({ error: { code: 'session_limit_reached', details: { limit: 'project', max: 10 } } });
    }
    expect(await rest.tabs(project)).toHaveLength(10);
    expect((await rest.sidecar.control('GET', '/v1/info')).json).toMatchObject({ sessions: 10 });
  });

  it('R6 an ended session frees its slot, and a restart takes one', async () => {
    const project = await rest.makeProject();
    const first = await rest.create(project);
    for (let i = 0; i < 9; i++) await rest.create(project);
    expect(await rest.refused('POST /api/terminal/create', { body: rest.creation(project) })).toMatchObject({
      status: 409,
      code: 'session_limit_reached',
      message: expect.stringContaining('10'),
    });
    const ended = await rest.exit(first);
    const last = await rest.create(project);
    const line = `POST /api/terminal/${ended.id}/restart`;
    expect(await rest.refused(line, { body: { rev: ended.rev } })).toMatchObject({ code: 'session_limit_reached' });
    expect((await rest.read(ended.id)).status).toBe('ended');
    await rest.web.call(`DELETE /api/terminal/${last.session.id}`);
    expect((await rest.web.call(line, { body: { rev: ended.rev } })).status).toBe(201);
  });

  it('R6 the limit of the user counts all projects', async () => {
    const [one, two] = [await rest.makeProject(), await rest.makeProject()];
    for (let i = 0; i < 6; i++) await Promise.all([rest.create(one), rest.create(two)]);
    expect(await rest.refused('POST /api/terminal/create', { body: rest.creation(two) })).toMatchObject({
      code: 'session_limit_reached',
      details: { limit: 'user', max: 12 },
    });
  });
});

describe('R11 restarts', () => {
  it('R11 after a restart of web everything that runs is there again, by any route first', async () => {
    const project = await rest.makeProject('Keeps its näme');
    const a = (await rest.create(project, { tabName: 'a' })).session;
    const b = (await rest.create(project, { tabName: 'b' })).session;
    const moved = { tabName: 'first', position: b.position - a.position - 1, pinned: true, rev: b.rev };
    await rest.web.call(`PATCH /api/terminal/${b.id}`, { body: moved });
    await rest.web.call(`PATCH /api/workspace/projects/${project.id}`, { body: { pinned: true, rev: project.rev } });
    const [projects, tabs] = [await rest.projects(), await rest.tabs(project)];
    expect(tabs.map(({ tabName }) => tabName)).toEqual(['first', 'a']);

    const readers = [
      async () => expect(await rest.projects()).toEqual(projects),
      async () => expect((await rest.tabs(project)).map(({ id }) => id)).toEqual(tabs.map(({ id }) => id)),
      async () => expect(await rest.read(a.id)).toMatchObject({ tabName: 'a', pid: a.pid, createdAt: a.createdAt }),
      async () => expect((await rest.web.call(`GET /api/workspace/projects/${project.id}`)).status).toBe(200),
      async () => expect((await rest.create(project, { tabName: 'a', restore: true })).session.id).toBe(a.id),
    ];
    for (const reader of readers) {
      rest.web.restart();
      await reader();
      expect(await rest.projects()).toEqual(projects);
      const seen = await rest.tabs(project);
      const facts = (list: typeof tabs) =>
        list.map(({ lastActivity, foreground, title, currentPath, ...fixed }) => fixed);
      expect(facts(seen)).toEqual(facts(tabs));
    }
  });

  it('R11 limits and paths of adopted projects hold after a restart of web', async () => {
    const project = await rest.makeProject();
    for (let i = 0; i < 10; i++) await rest.create(project);
    rest.web.restart();
    expect(await rest.refused('POST /api/terminal/create', { body: rest.creation(project) })).toMatchObject({
      code: 'session_limit_reached',
    });
    rest.web.restart();
    const body = { name: 'Again', path: project.path };
    expect(await rest.refused('POST /api/workspace/projects', { body })).toMatchObject({ code: 'conflict' });
  });

  it('R12 without a gateway a session is unreachable, and after its return as before', async () => {
    const project = await rest.makeProject();
    const opened = await rest.create(project);
    const ended = await rest.exit(await rest.create(project));
    await rest.sidecar.killGateway();
    expect(await rest.read(opened.session.id)).toMatchObject({ status: 'unreachable', active: false });
    expect(await rest.read(ended.id)).toMatchObject({ status: 'ended', exit: { code: 0 } });
    const isAway = { status: 502, code: 'sidecar_unavailable' };
    const line = `/api/terminal/${opened.session.id}`;
    expect(await rest.refused(`POST ${line}/attach`, { body: { mode: 'write' } })).toMatchObject(isAway);
    expect(await rest.refused(`DELETE ${line}`)).toMatchObject(isAway);
    expect(await rest.refused(`GET ${line}/output`)).toMatchObject(isAway);
    expect(await rest.refused('POST /api/terminal/create', { body: rest.creation(project) })).toMatchObject(isAway);
    expect((await rest.web.call('GET /api/ready')).json).toMatchObject({ status: 'degraded', degraded: ['sidecar'] });
    const renamed = await rest.web.call(`PATCH ${line}`, { body: { tabName: 'renamed', rev: opened.session.rev } });
    expect(renamed.status).toBe(200);
    await rest.sidecar.startGateway();
    expect(await rest.read(opened.session.id)).toMatchObject({ status: 'active', pid: opened.session.pid });
    await rest.tabs(project);
    rest.web.restart();
    expect(await rest.read(opened.session.id)).toMatchObject({ tabName: 'renamed' });
  });

  it('R23 the last lines of an ended session are told also without gateway and journal', async () => {
    const opened = await rest.create(await rest.makeProject());
    await rest.run(opened, 'echo kept-$((2*3)); exit', 'kept-6');
    const { id } = opened.session;
    await expect.poll(() => getContext().sessions.tail(id), WAIT).toContain('kept-6');
    await rest.sidecar.killGateway();
    try {
      expect((await rest.read(id)).output).toContain('kept-6');
    } finally {
      await rest.sidecar.startGateway();
    }
  });

  it('R20 ready says that a journal cannot be written, and that it can again', async () => {
    const journals = join(rest.sidecar.dataDir, 'journal');
    const away = `${journals}.away`;
    const project = await rest.makeProject();
    const ready = async () => (await rest.web.call('GET /api/ready')).json;
    renameSync(journals, away);
    writeFileSync(journals, 'not a directory');
    try {
      const { session } = await rest.create(project);
      await expect.poll(ready, WAIT).toMatchObject({ status: 'degraded', degraded: ['journal'] });
      expect((await rest.read(session.id)).status).toBe('active');
    } finally {
      rmSync(journals);
      renameSync(away, journals);
    }
    await expect.poll(ready, WAIT).toMatchObject({ status: 'ready', degraded: [] });
  });

  it('R19 as long as web has not seen what hosts and journals know, an unknown id is to be asked for again', async () => {
    const project = await rest.makeProject();
    const { session } = await rest.create(project);
    const unknown = newId('session');
    expect(await rest.refused(`GET /api/terminal/${unknown}`)).toMatchObject({ code: 'not_found' });
    await rest.sidecar.killGateway();
    rest.web.restart();
    for (const id of [session.id, unknown]) {
      const line = `POST /api/terminal/${id}/attach`;
      expect(await rest.refused(line, { body: { mode: 'write' } })).toMatchObject({ code: 'sidecar_unavailable' });
    }
    await rest.sidecar.startGateway();
    expect((await rest.read(session.id)).pid).toBe(session.pid);
    expect(await rest.refused(`GET /api/terminal/${unknown}`)).toMatchObject({ code: 'not_found' });
  });

  it('R13 a session whose host died is lost with the reason, frees its slot, and is restarted where it was with one call', async () => {
    const project = await rest.makeProject();
    const opened = await rest.create(project, { tabName: 'mine' });
    const line = `/api/terminal/${opened.session.id}`;
    await rest.run(opened, 'mkdir deep; cd deep; echo last-$((40+2))', 'last-42');
    await expect.poll(async () => (await rest.web.call(`GET ${line}/history`)).text, WAIT).toContain('last-42');
    for (const pid of rest.sidecar.hostPids()) signal(pid, 'SIGKILL');
    await expect.poll(async () => (await rest.read(opened.session.id)).status, WAIT).toBe('lost');
    expect((await rest.web.call(`GET /api/workspace/projects/${project.id}`)).json).toMatchObject({
      project: { activeCount: 0 },
    });
    const lost = await rest.read(opened.session.id);
    expect(lost.exit).toMatchObject({ code: -1, reason: 'host-crash' });
    expect(lost.currentPath).toBe(`${project.path}/deep`);
    expect(lost.output.join('\n')).toContain('last-42');

    const answer = await rest.web.call(`POST ${line}/restart`, { body: { rev: lost.rev } });
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ session: { epoch: 2, status: 'active', tabName: 'mine' } });
    expect((await rest.read(opened.session.id)).output.join('\n')).toMatch(/last-42[\s\S]*── restarted/);
    await expect.poll(async () => (await rest.read(opened.session.id)).currentPath, WAIT).toBe(`${project.path}/deep`);
  }, 60_000);

  it('R16 a ticket for a session of which only the journal is left shows its last screen, and types nothing', async () => {
    const opened = await rest.create(await rest.makeProject());
    const line = `/api/terminal/${opened.session.id}`;
    await rest.run(opened, 'echo last-$((40+2))', 'last-42');
    await expect.poll(async () => (await rest.web.call(`GET ${line}/history`)).text, WAIT).toContain('last-42');
    for (const pid of rest.sidecar.hostPids()) signal(pid, 'SIGKILL');
    await expect.poll(async () => (await rest.read(opened.session.id)).status, WAIT).toBe('lost');
    const attached = await rest.web.call(`POST ${line}/attach`, { body: { mode: 'write' } });
    const viewer = await rest.open(attachAnswerSchema.parse(attached.json));
    viewer.type('echo typed');
    expect(await viewer.event('attached')).toMatchObject({ status: 'ended', mode: 'read' });
    expect(await viewer.closed).toMatchObject({ code: 4410 });
    expect(viewer.events.at(-1)).toMatchObject({ event: 'exit', reason: 'host-crash' });
    expect(viewer.receipted).toBe(0);
    expect(Buffer.from(viewer.snapshots[0]?.data ?? []).toString()).toContain('last-42');
  }, 60_000);

  it('R14 after the end of everything the tabs are there again with their last screen, but for deleted ones', async () => {
    const project = await rest.makeProject('Kept');
    const ended = await rest.create(project, { tabName: 'ended' });
    const lost = await rest.create(project, { tabName: 'lost' });
    const closed = await rest.create(project, { tabName: 'closed' });
    await rest.exit(ended, 7);
    await rest.run(lost, 'echo lost-$((1+1))', 'lost-2');
    const written = `GET /api/terminal/${lost.session.id}/history`;
    await expect.poll(async () => (await rest.web.call(written)).text, WAIT).toContain('lost-2');
    await rest.web.call(`DELETE /api/terminal/${closed.session.id}`);
    await rest.sidecar.killGateway();
    for (const pid of rest.sidecar.hostPids()) signal(pid, 'SIGKILL');
    await until('the hosts are gone', () => rest.sidecar.hostPids().length === 0);
    rest.web.restart();
    await rest.sidecar.startGateway();

    expect((await rest.projects()).map(({ id, name }) => [id, name])).toEqual([[project.id, 'Kept']]);
    const tabs = await rest.tabs(project);
    expect(tabs.map(({ tabName, status, exit }) => [tabName, status, exit?.code, exit?.reason])).toEqual([
      ['ended', 'ended', 7, tabs[0]?.exit?.reason],
      ['lost', 'lost', -1, 'host-crash'],
    ]);
    for (const [opened, text] of [
      [ended, 'exit 7'],
      [lost, 'lost-2'],
    ] as const) {
      const { id } = opened.session;
      expect((await rest.read(id)).output.join('\n')).toContain(text);
      const output = await rest.web.call(`GET /api/terminal/${id}/output`);
      expect([output.status, output.text.includes(text)]).toEqual([206, true]);
      const { rev } = await rest.read(id);
      expect((await rest.web.call(`POST /api/terminal/${id}/restart`, { body: { rev } })).status).toBe(201);
      expect((await rest.read(id)).output.join('\n')).toContain(text);
    }
    await rest.clear();
    expect(readdirSync(join(rest.sidecar.dataDir, 'journal'))).toEqual([]);
  }, 60_000);

  it('R15 pages of history through web, from the newest to the oldest, are the raw output', async () => {
    const project = await rest.makeProject();
    const opened = await rest.create(project);
    const line = `/api/terminal/${opened.session.id}`;
    await rest.run(opened, 'seq 1 400000; echo fin-$((1+1))', 'fin-2');
    let before = '';
    const bytes: Uint8Array[] = [];
    let pages = 0;
    for (let isOldest = false; !isOldest; pages++) {
      const { status, headers, bytes: frames } = await rest.web.call(`GET ${line}/history?limit=500000${before}`);
      expect([status, headers.get('x-epoch')]).toEqual([200, '1']);
      const position = headers.get('x-position');
      const output: Uint8Array[] = [];
      new FrameReader((frame) => {
        const decoded = decodeViewerFrame(frame);
        if (decoded?.type === 'output') output.push(decoded.data);
      }).push(Buffer.from(frames));
      bytes.unshift(...output);
      before = `&before=${position}`;
      isOldest = position === headers.get('x-start');
    }
    expect(pages).toBeGreaterThan(1);
    const printed = Buffer.concat(bytes).toString();
    const numbers = printed.slice(printed.indexOf('2\r\n3\r\n'), printed.indexOf('400000\r\n'));
    expect(numbers).toBe(Array.from({ length: 399_998 }, (_, n) => `${n + 2}\r\n`).join(''));
    expect(await rest.refused(`GET ${line}/history${before.replace('&', '?')}`)).toMatchObject({ status: 416 });
    expect(await rest.refused(`GET /api/terminal/${newId('session')}/history`)).toMatchObject({ status: 404 });
    expect(await rest.refused(`GET ${line}/history?before=x`)).toMatchObject({ status: 400 });
    expect(await rest.refused(`GET ${line}/history`, { as: 'none' })).toMatchObject({ status: 401 });
  }, 60_000);
});

describe('events', () => {
  /** Events of a stream, one by one; the stream is cancelled when the reading ends. */
  async function* events(): AsyncGenerator<ServerEvent> {
    const response = await rest.web.fetch('GET /api/events', { as: 'cookie', headers: { origin: null } });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk);
      const messages = text.split('\n\n');
      text = messages.pop() ?? '';
      for (const message of messages) {
        if (message.startsWith('data: ')) yield serverEventSchema.parse(JSON.parse(message.slice(6)));
      }
    }
  }

  async function next(
    stream: AsyncGenerator<ServerEvent>,
    isWanted: (event: ServerEvent) => boolean,
  ): Promise<ServerEvent> {
    for (;;) {
      const { value, done } = await stream.next();
      if (done) throw new Error('the stream ended');
      if (isWanted(value)) return value;
    }
  }

  it('R1 changes of sessions, projects and the gateway are told as they happen', async () => {
    await rest.web.signIn();
    const stream = events();
    expect(await next(stream, () => true)).toEqual({ type: 'hello', sidecar: true, degraded: [] });
    const project = await rest.makeProject();
    expect(await next(stream, ({ type }) => type === 'project')).toMatchObject({ project: { id: project.id } });
    const opened = await rest.create(project, { tabName: 'told' });
    const { id } = opened.session;
    const isMine = (status: string) => (event: ServerEvent) =>
      event.type === 'session' && event.session.id === id && event.session.status === status;
    expect(await next(stream, isMine('active'))).toMatchObject({ session: { tabName: 'told' } });
    await rest.exit(opened, 7);
    expect(await next(stream, isMine('ended'))).toMatchObject({ session: { exit: { code: 7 } } });
    await rest.web.call(`DELETE /api/terminal/${id}`);
    expect(await next(stream, ({ type }) => type === 'session-removed')).toMatchObject({ id, projectId: project.id });
    await rest.sidecar.killGateway();
    expect(await next(stream, ({ type }) => type === 'sidecar')).toEqual({ type: 'sidecar', reachable: false });
    await rest.sidecar.startGateway();
    expect(await next(stream, ({ type }) => type === 'sidecar')).toEqual({ type: 'sidecar', reachable: true });
    await rest.web.call(`DELETE /api/workspace/projects/${project.id}`);
    expect(await next(stream, ({ type }) => type === 'project-removed')).toMatchObject({ id: project.id });
    await stream.return(undefined);
  });

  it('A4 signing out ends the streams and the sockets of that login, and no others', async () => {
    await rest.web.signIn();
    const opened = await rest.create(await rest.makeProject());
    const attach = `POST /api/terminal/${opened.session.id}/attach`;
    const own = await rest.web.call(attach, { as: 'cookie', body: { mode: 'write' } });
    const viewer = await rest.open(own.json as typeof opened, rest.web.config.publicUrl);
    const other = await rest.open(opened);
    const stream = events();
    await next(stream, ({ type }) => type === 'hello');
    expect((await rest.web.call('DELETE /api/auth/local', { as: 'cookie' })).status).toBe(200);
    expect(await viewer.closed).toMatchObject({ code: 4401 });
    await expect(next(stream, () => false)).rejects.toThrow('the stream ended');
    await other.line('echo $((20+1))');
    await other.waitForText('21');
  });
});
