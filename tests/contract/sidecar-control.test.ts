/** The control API of a real gateway with real hosts. */
import { once } from 'node:events';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ControlEvent,
  controlErrorSchema,
  controlEventSchema,
  infoReplySchema,
  sessionReplySchema,
  sessionsReplySchema,
} from '@/lib/protocol/control';
import { newId } from '@/lib/protocol/ids';
import { isRunning, until } from '@/tests/harness/processes';
import { type Sidecar, startSidecar } from '@/tests/harness/sidecar';

let sidecar: Sidecar;

beforeAll(async () => {
  sidecar = await startSidecar();
});

afterAll(() => sidecar?.stop());

/** The code of an error answer, after a look at its status. */
async function errorOf(method: string, path: string, body?: unknown): Promise<{ status: number; code: string }> {
  const { status, json } = await sidecar.control(method, path, body);
  return { status, code: controlErrorSchema.parse(json).error.code };
}

describe('the control API', () => {
  it('G6 is a unix socket of mode 0600 in a directory of mode 0700', () => {
    expect(statSync(sidecar.controlSocket).isSocket()).toBe(true);
    expect(statSync(sidecar.controlSocket).mode & 0o777).toBe(0o600);
    expect(statSync(sidecar.runDir).mode & 0o777).toBe(0o700);
  });

  it('tells what it is and what it holds', async () => {
    const info = infoReplySchema.parse((await sidecar.control('GET', '/v1/info')).json);
    expect(info).toMatchObject({
      instanceId: sidecar.instanceId,
      nodeId: sidecar.config.nodeId,
      pid: sidecar.gatewayPid,
    });
    expect(info.memory.rss).toBeGreaterThan(1024 * 1024);
  });

  it('opens, lists, looks, labels and ends a session', async () => {
    const label = { owner: 'local', project: { name: 'Ünïcode' } };
    const opened = await sidecar.openSession({ label, cols: 100, rows: 30 });
    expect(opened).toMatchObject({ epoch: 1, type: 'system', cols: 100, rows: 30, exit: null, label });
    expect(isRunning(opened.pid)).toBe(true);

    const listed = sessionsReplySchema.parse((await sidecar.control('GET', '/v1/sessions')).json);
    expect(listed.instanceId).toBe(sidecar.instanceId);
    expect(listed.sessions.map(({ id }) => id)).toContain(opened.id);

    const path = `/v1/sessions/${opened.id}`;
    const labelled = await sidecar.control('PATCH', path, { label: { owner: 'other' } });
    expect(sessionReplySchema.parse(labelled.json).session.label).toEqual({ owner: 'other' });
    const looked = sessionReplySchema.parse((await sidecar.control('GET', path)).json).session;
    expect(looked).toMatchObject({ id: opened.id, pid: opened.pid, label: { owner: 'other' } });

    const ended = sessionReplySchema.parse((await sidecar.control('DELETE', path)).json).session;
    expect(ended.exit).not.toBeNull();
    expect(isRunning(opened.pid)).toBe(false);
    expect(await errorOf('GET', path)).toEqual({ status: 404, code: 'not_found' });
    expect(await errorOf('DELETE', path)).toEqual({ status: 404, code: 'not_found' });
  });

  it('looks at the directory and the foreground program as they are now', async () => {
    const session = await sidecar.openSession();
    mkdirSync(join(sidecar.homeDir, 'deeper'), { recursive: true });
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await viewer.line('cd deeper; sleep 1000');
    await until('the new facts', async () => {
      const { json } = await sidecar.control('GET', `/v1/sessions/${session.id}`);
      const { cwd, foreground } = sessionReplySchema.parse(json).session;
      return cwd === join(sidecar.homeDir, 'deeper') && foreground?.includes('sleep') === true;
    });
    await sidecar.control('DELETE', `/v1/sessions/${session.id}`);
    expect((await viewer.closed).code).toBe(4410);
  });

  it('gives raw output with its position', async () => {
    const session = await sidecar.openSession();
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await viewer.line('printf "%s" needle-$((1+1)); echo');
    await viewer.waitForText('needle-2');
    const path = `/v1/sessions/${session.id}/output`;
    const all = await sidecar.control('GET', path);
    expect(all.status).toBe(200);
    expect(all.headers).toMatchObject({ 'content-type': 'application/octet-stream', 'x-position': '0' });
    const at = all.body.indexOf('needle-2');
    const part = await sidecar.control('GET', `${path}?from=${at}&limit=8`);
    expect(part.body).toBe('needle-2');
    expect(part.headers['x-position']).toBe(String(at));
    for (const query of ['from=-1', 'limit=0', 'limit=1e9', 'from=x', 'from=1.5', 'unknown=1']) {
      expect(await errorOf('GET', `${path}?${query}`)).toEqual({ status: 400, code: 'bad_request' });
    }
    await sidecar.control('DELETE', `/v1/sessions/${session.id}`);
  });

  it('R5 checks directories with all links resolved', async () => {
    const home = sidecar.homeDir;
    mkdirSync(join(home, 'project'), { recursive: true });
    writeFileSync(join(home, 'file'), '');
    symlinkSync('project', join(home, 'inside'));
    symlinkSync('/etc', join(home, 'outside'));
    const ask = (body: unknown) => sidecar.control('POST', '/v1/files/directory', body);
    expect((await ask({ path: join(home, 'project') })).json).toEqual({ path: join(home, 'project') });
    expect((await ask({ path: join(home, 'inside') })).json).toEqual({ path: join(home, 'project') });
    const codes = await Promise.all(
      [join(home, 'none'), join(home, 'file'), '/etc', join(home, 'outside'), `${home}-evil`].map((path) =>
        errorOf('POST', '/v1/files/directory', { path }),
      ),
    );
    expect(codes.slice(0, 2).map(({ status }) => status)).toEqual([400, 400]);
    expect(codes.slice(2, 4).map(({ status }) => status)).toEqual([403, 403]);
    expect([400, 403]).toContain(codes[4]?.status);
  });

  it('H4 opens no session outside the roots, and leaves none behind', async () => {
    const request = sidecar.openRequest({ cwd: '/etc' });
    expect(await errorOf('POST', '/v1/sessions', request)).toEqual({ status: 403, code: 'forbidden' });
    expect(await errorOf('GET', `/v1/sessions/${request.id}`)).toEqual({ status: 404, code: 'not_found' });
  });

  it('refuses a session that is there, and a lower epoch', async () => {
    const session = await sidecar.openSession({ epoch: 5 });
    const again = sidecar.openRequest({ id: session.id, epoch: 5 });
    expect(await errorOf('POST', '/v1/sessions', again)).toEqual({ status: 409, code: 'conflict' });
    const older = { ...again, epoch: 4 };
    expect(await errorOf('POST', '/v1/sessions', older)).toEqual({ status: 412, code: 'epoch_superseded' });
    await sidecar.control('DELETE', `/v1/sessions/${session.id}`);
  });

  it('R10 a higher epoch starts at position 0 in place of the ended one', async () => {
    const first = await sidecar.openSession();
    const viewer = await sidecar.connect(first);
    await viewer.attach();
    await viewer.line('exit 3');
    expect(await viewer.event('exit')).toMatchObject({ code: 3 });
    expect(await viewer.closed).toEqual({ code: 4410, reason: 'session_ended' });
    const second = await sidecar.openSession({ id: first.id, epoch: 2 });
    expect(second).toMatchObject({ epoch: 2, exit: null });
    expect(second.pid).not.toBe(first.pid);
    const next = await sidecar.connect(second);
    expect(await next.attach()).toMatchObject({ epoch: 2, status: 'active' });
    await sidecar.control('DELETE', `/v1/sessions/${first.id}`);
  });

  it('R3 malformed requests are refused and change nothing', async () => {
    const before = sessionsReplySchema.parse((await sidecar.control('GET', '/v1/sessions')).json).sessions.length;
    const open = sidecar.openRequest();
    const cases: [string, string, unknown, number, string][] = [
      ['GET', '/nope', undefined, 404, 'not_found'],
      ['GET', '/v1/info/x', undefined, 404, 'not_found'],
      ['PUT', '/v1/sessions', open, 405, 'method_not_allowed'],
      ['POST', '/v1/info', undefined, 405, 'method_not_allowed'],
      ['GET', '/v1/sessions/nope', undefined, 400, 'bad_request'],
      ['GET', `/v1/sessions/${newId('session')}`, undefined, 404, 'not_found'],
      ['PATCH', `/v1/sessions/${newId('session')}`, { label: {} }, 404, 'not_found'],
      ['POST', '/v1/sessions', '{', 400, 'bad_request'],
      ['POST', '/v1/sessions', '', 400, 'bad_request'],
      ['POST', '/v1/sessions', '[]', 400, 'bad_request'],
      ['POST', '/v1/sessions', { ...open, shell: '/bin/evil' }, 400, 'bad_request'],
      ['POST', '/v1/sessions', { ...open, type: 'bash -c id' }, 400, 'bad_request'],
      ['POST', '/v1/sessions', { ...open, cols: 0 }, 400, 'bad_request'],
      ['POST', '/v1/sessions', { ...open, cols: '80' }, 400, 'bad_request'],
      ['POST', '/v1/sessions', { ...open, rows: 1e9 }, 400, 'bad_request'],
      ['POST', '/v1/sessions', { ...open, epoch: 0 }, 400, 'bad_request'],
      ['POST', '/v1/sessions', { ...open, id: '../../etc' }, 400, 'bad_request'],
      ['POST', '/v1/sessions', { ...open, label: { big: 'x'.repeat(9_000) } }, 413, 'payload_too_large'],
      ['POST', '/v1/sessions', 'x'.repeat(64 * 1024 + 1), 413, 'payload_too_large'],
      ['POST', '/v1/revoke', { user: 'x' }, 400, 'bad_request'],
      ['POST', '/v1/files/directory', { path: 7 }, 400, 'bad_request'],
    ];
    for (const [method, path, body, status, code] of cases) {
      expect({ path, body, ...(await errorOf(method, path, body)) }).toEqual({ path, body, status, code });
    }
    const after = sessionsReplySchema.parse((await sidecar.control('GET', '/v1/sessions')).json).sessions.length;
    expect(after).toBe(before);
  });
});

describe('the event stream', () => {
  async function listen() {
    const call = request({ socketPath: sidecar.controlSocket, path: '/v1/events', agent: false });
    call.end();
    const [response]: IncomingMessage[] = await once(call, 'response');
    if (!response) throw new Error('no response');
    const events: ControlEvent[] = [];
    let emptyLines = 0;
    const lines = createInterface({ input: response });
    lines.on('line', (line) => {
      if (line === '') emptyLines++;
      else events.push(controlEventSchema.parse(JSON.parse(line)));
    });
    lines.on('error', () => lines.close()); // `close` cuts the stream
    return { events, response, emptyLines: () => emptyLines, close: () => call.destroy() };
  }

  it('begins with everything that lives, and tells every change', async () => {
    const there = await sidecar.openSession();
    const stream = await listen();
    expect(stream.response.headers['content-type']).toBe('application/x-ndjson');
    await until('the first event', () => stream.events.length > 0);
    const [first] = stream.events;
    if (first?.event !== 'sessions') throw new Error(`first is ${first?.event}`);
    expect(first.instanceId).toBe(sidecar.instanceId);
    expect(first.sessions.map(({ id }) => id)).toContain(there.id);

    const about = (id: string) => stream.events.filter((event) => event.event === 'session' && event.session.id === id);
    const added = await sidecar.openSession();
    await until('the new session', () => about(added.id).length > 0);
    await sidecar.control('PATCH', `/v1/sessions/${added.id}`, { label: { tabName: 'renamed' } });
    await until('its label', () =>
      about(added.id).some((event) => event.event === 'session' && event.session.label['tabName'] === 'renamed'),
    );
    const viewer = await sidecar.connect(added);
    await viewer.attach();
    await until('its viewer', () =>
      about(added.id).some((event) => event.event === 'session' && event.session.viewers === 1),
    );
    await sidecar.control('DELETE', `/v1/sessions/${added.id}`);
    await until('its end', () => stream.events.some((event) => event.event === 'gone' && event.id === added.id));
    expect(stream.events.filter((event) => event.event === 'gone')).toHaveLength(1);
    await sidecar.control('DELETE', `/v1/sessions/${there.id}`);
    stream.close();
  });

  it('beats with an empty line every 10 s', async () => {
    const stream = await listen();
    await until('a heartbeat', () => stream.emptyLines() > 0, 12_000);
    stream.close();
  });

  it('tells that sessions are gone when their host is killed', async () => {
    const session = await sidecar.openSession();
    const stream = await listen();
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    for (const pid of sidecar.hostPids()) process.kill(pid, 'SIGKILL');
    await until('gone', () => stream.events.some((event) => event.event === 'gone' && event.id === session.id));
    expect(await viewer.closed).toEqual({ code: 4404, reason: 'not_found' });
    await until('the shell is gone', () => !isRunning(session.pid));
    const next = await sidecar.openSession();
    expect(isRunning(next.pid)).toBe(true);
    await sidecar.control('DELETE', `/v1/sessions/${next.id}`);
    stream.close();
  });
});
