/** What is left of sessions: after their end, after kill -9 of their host, after a restart. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { type ArchivedSession, archivedSessionSchema, archiveReplySchema } from '@/lib/protocol/control';
import { decodeViewerFrame, type ViewerFrame } from '@/lib/protocol/wire';
import { isRunning, signal, until } from '@/tests/harness/processes';
import type { Sidecar } from '@/tests/harness/sidecar';
import { sidecarPerTest } from '@/tests/harness/sidecar-per-test';
import type { Viewer } from '@/tests/harness/viewer';
import { FrameReader } from '@/ws-server/link';

const SLOW = 30_000;
const start = sidecarPerTest();

/** Types a line and waits for what it prints. */
async function run(viewer: Viewer, line: string, printed: string): Promise<void> {
  await viewer.line(line);
  await viewer.waitForText(printed, 0, SLOW);
}

async function archived(sidecar: Sidecar, id: string): Promise<ArchivedSession | null> {
  const { status, json } = await sidecar.control('GET', `/v1/archive/${id}`);
  return status === 200 ? archivedSessionSchema.parse(json) : null;
}

/** Ends every host as the kernel would; the pool starts others. */
async function killHosts(sidecar: Sidecar): Promise<void> {
  const pids = sidecar.hostPids();
  for (const pid of pids) signal(pid, 'SIGKILL');
  await until('the hosts are gone', () => !pids.some(isRunning), SLOW);
}

/** The position that the journal of a session has reached, as long as it lives. */
async function journalEnd(sidecar: Sidecar, id: string): Promise<number> {
  const { headers } = await sidecar.control('GET', `/v1/sessions/${id}/history`);
  return Number(headers['x-end']);
}

/** The text of a viewer's first snapshot. */
async function firstScreen(viewer: Viewer): Promise<string> {
  await viewer.waitFor('a snapshot', () => viewer.snapshots.length > 0, SLOW);
  return Buffer.from(viewer.snapshots[0]?.data ?? []).toString();
}

it('J10 after kill -9 of its host a session is readable in any other, with the reason, and closes with 4410', async () => {
  const sidecar = await start();
  const session = await sidecar.openSession({ label: { mine: 'kept' } });
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  await run(viewer, 'cd /tmp; printf "\\033[1;31mred %s\\033[m\\n" alert-$((40+2))', 'alert-42');
  await until('the journal has it', async () => (await journalEnd(sidecar, session.id)) >= viewer.position, SLOW);
  await killHosts(sidecar);
  expect(await viewer.closed).toEqual({ code: 4410, reason: 'session_ended' });
  expect(viewer.events.at(-1)).toMatchObject({ event: 'exit', code: -1, reason: 'host-crash' });

  const left = await archived(sidecar, session.id);
  expect(left).toMatchObject({ id: session.id, epoch: 1, cwd: '/tmp', label: { mine: 'kept' } });
  expect(left?.exit).toMatchObject({ code: -1, reason: 'host-crash' });
  const listed = archiveReplySchema.parse((await sidecar.control('GET', '/v1/archive')).json).sessions;
  expect(listed.map(({ id }) => id)).toEqual([session.id]);

  const late = await sidecar.connect(session);
  expect(await late.attach()).toMatchObject({ status: 'ended', mode: 'read', epoch: 1, driver: null });
  expect(await late.closed).toEqual({ code: 4410, reason: 'session_ended' });
  expect(late.events.at(-1)).toMatchObject({ event: 'exit', code: -1, reason: 'host-crash' });
  expect(await firstScreen(late)).toContain('\x1b[0;1;31mred alert-42');
  const lines = await sidecar.control('GET', `/v1/sessions/${session.id}/lines`);
  expect(lines.body).toContain('red alert-42');
  const raw = await sidecar.control('GET', `/v1/sessions/${session.id}/output`);
  expect(raw.body.endsWith(viewer.text)).toBe(true);

  const again = await sidecar.connect(session);
  expect(await again.attach({ cursor: { epoch: 1, position: 1 } })).toMatchObject({ position: viewer.position });
  expect(await again.event('gap')).toEqual({ event: 'gap', from: 1, to: viewer.position });
  const foreign = await sidecar.connect({ id: sidecar.openRequest().id, epoch: 1 });
  foreign.control({ op: 'ping', t: 1 });
  expect((await foreign.closed).code).toBe(4404);
}, 60_000);

it('J9 a restart shows the old output above a marker, after an end and after a loss', async () => {
  const sidecar = await start();
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  await run(viewer, 'echo first-$((1+1))', 'first-2');
  await viewer.line('exit 3');
  await viewer.closed;
  await sidecar.openSession({ id: session.id, epoch: 2 });
  const second = await sidecar.connect({ id: session.id, epoch: 2 });
  await second.attach();
  const preface = await firstScreen(second);
  expect(preface).toMatch(/first-2[\s\S]*── restarted \d{4}-\d\d-\d\d \d\d:\d\d ──/);
  await run(second, 'echo second-$((1+2))', 'second-3');
  expect(second.text).not.toContain('first-2');
  await until('the journal has it', async () => (await journalEnd(sidecar, session.id)) >= second.position, SLOW);
  await killHosts(sidecar);
  await second.closed;
  await sidecar.openSession({ id: session.id, epoch: 3 });
  const third = await sidecar.connect({ id: session.id, epoch: 3 });
  await third.attach();
  expect(await firstScreen(third)).toMatch(/first-2[\s\S]*── restarted[\s\S]*second-3[\s\S]*── restarted/);
  const { headers } = await sidecar.control('GET', `/v1/sessions/${session.id}/history`);
  expect(headers['x-start']).toBe('0');
  const old = await sidecar.connect({ id: session.id, epoch: 2 });
  expect((await old.closed).code).toBe(4412);
}, 60_000);

it.each(['memory', 'off'])(
  'J9 with HOLDFAST_HISTORY=%s a restart in the same host shows what memory has, and nothing is on disk',
  async (history) => {
    const sidecar = await start({ env: { HOLDFAST_HISTORY: history } });
    const session = await sidecar.openSession();
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await run(viewer, 'echo first-$((1+1))', 'first-2');
    const { status } = await sidecar.control('GET', `/v1/sessions/${session.id}/history`);
    expect(status).toBe(history === 'memory' ? 200 : 404);
    await viewer.line('exit');
    await viewer.closed;
    if (history === 'off') {
      const isGone = async () => (await sidecar.control('GET', `/v1/sessions/${session.id}`)).status === 404;
      await until('the ended session is forgotten', isGone, SLOW);
    }
    await sidecar.openSession({ id: session.id, epoch: 2 });
    const second = await sidecar.connect({ id: session.id, epoch: 2 });
    await second.attach();
    const preface = await firstScreen(second);
    expect([preface.includes('── restarted'), preface.includes('first-2')]).toEqual(
      Array(2).fill(history === 'memory'),
    );
    expect(existsSync(join(sidecar.dataDir, 'journal'))).toBe(false);
  },
  60_000,
);

it.each([{ HOLDFAST_EPHEMERAL: '1' }, { HOLDFAST_HISTORY: 'memory' }, { HOLDFAST_HISTORY: 'off' }])(
  'J11 with %o nothing that a program printed is on disk, and only `off` forgets the screen',
  async (env) => {
    const sidecar = await start({ env });
    const session = await sidecar.openSession();
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await run(viewer, 'echo some-$((1+1))', 'some-2');
    await viewer.line('exit');
    await viewer.closed;
    const isKept = env.HOLDFAST_HISTORY === 'memory';
    for (const what of ['output', 'lines', 'history']) {
      const { status } = await sidecar.control('GET', `/v1/sessions/${session.id}/${what}`);
      expect(status, what).toBe(isKept ? 200 : 404);
    }
    const look = async () => (await sidecar.control('GET', `/v1/sessions/${session.id}`)).status;
    await until('the session is kept or forgotten', async () => (await look()) === (isKept ? 200 : 404), SLOW);
    const names = readdirSync(sidecar.dataDir, { recursive: true, encoding: 'utf8' });
    const files = names.map((name) => join(sidecar.dataDir, name)).filter((path) => statSync(path).isFile());
    expect(files.length, 'logs and secrets are there').toBeGreaterThan(0);
    expect(files.filter((path) => readFileSync(path, 'utf8').includes('some-2'))).toEqual([]);
    expect(existsSync(join(sidecar.dataDir, 'journal'))).toBe(false);
  },
);

it('J4 history of a living session, page by page, is its raw output, far beyond the ring', async () => {
  const sidecar = await start();
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  const { position: from } = await viewer.attach();
  await viewer.line('seq 1 1000000; echo fin-$((1+1))');
  await viewer.waitForText('fin-2', 0, SLOW);
  expect(viewer.holes).toEqual([]);
  const raw = Buffer.from(viewer.output);
  const pages: Buffer[] = [];
  let before = viewer.position;
  for (let start = -1; before > start; ) {
    const { data, headers } = await historyOf(sidecar, session.id, `?before=${before}&limit=1000000`);
    expect(Number(headers['x-end'])).toBe(before);
    start = Number(headers['x-start']);
    const [first, ...rest] = framesOf(data);
    expect(first).toMatchObject({ type: 'snapshot', position: Number(headers['x-position']) });
    pages.unshift(Buffer.concat(rest.flatMap((frame) => (frame.type === 'output' ? [frame.data] : []))));
    before = Number(headers['x-position']);
  }
  expect(before).toBe(0);
  expect(Buffer.concat(pages).subarray(from).equals(raw)).toBe(true);
  const { body } = await sidecar.control('GET', `/v1/sessions/${session.id}/output?from=${from + 1_000}&limit=500`);
  expect(body).toBe(raw.toString('latin1', 1_000, 1_500));
}, 60_000);

it('J12 the journals of a session are removed on demand, and not while it lives', async () => {
  const sidecar = await start();
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  await run(viewer, 'echo some-$((1+1))', 'some-2');
  await journalEnd(sidecar, session.id);
  const journals = join(sidecar.dataDir, 'journal');
  expect(readdirSync(journals)).toEqual([session.id]);
  expect((await sidecar.control('DELETE', `/v1/archive/${session.id}`)).status).toBe(409);
  expect((await sidecar.control('DELETE', `/v1/sessions/${session.id}`)).status).toBe(200);
  expect((await archived(sidecar, session.id))?.exit).toMatchObject({ code: expect.any(Number) });
  expect((await sidecar.control('DELETE', `/v1/archive/${session.id}`)).status).toBe(200);
  expect(readdirSync(journals)).toEqual([]);
  expect(await archived(sidecar, session.id)).toBeNull();
});

it('J13 a disk that takes no more stops no terminal, and the journal goes on by itself when there is room again', async () => {
  const sidecar = await start();
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  const { position: from } = await viewer.attach();
  await journalEnd(sidecar, session.id);
  const limitFiles = (bytes: string) => {
    for (const pid of sidecar.hostPids()) execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
  };
  const hostLog = () => readFileSync(join(sidecar.dataDir, 'logs', 'host.log'), 'utf8');
  limitFiles('40000');
  await run(viewer, 'seq 1 60000; echo fin-$((1+1))', 'fin-2');
  await until('the fault is told', () => hostLog().includes('a journal cannot be written'), SLOW);
  await run(viewer, 'echo on-$((1+1))', 'on-2');
  limitFiles('unlimited');
  await until('the journal has it', async () => (await journalEnd(sidecar, session.id)) >= viewer.position, SLOW);
  const { data } = await historyOf(sidecar, session.id, '');
  const output = framesOf(data).flatMap((frame) => (frame.type === 'output' ? [frame.data] : []));
  expect(Buffer.concat(output).subarray(from).equals(viewer.output)).toBe(true);
  expect(hostLog().split('a journal cannot be written')).toHaveLength(2);
}, 60_000);

it('J17 an end for which the disk has no room is told after its host is gone, and is no loss', async () => {
  const sidecar = await start();
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  await journalEnd(sidecar, session.id);
  for (const pid of sidecar.hostPids()) execFileSync('prlimit', ['--pid', String(pid), '--fsize=40000:']);
  await run(viewer, 'seq 1 60000; echo fin-$((1+1))', 'fin-2');
  const hostLog = () => readFileSync(join(sidecar.dataDir, 'logs', 'host.log'), 'utf8');
  await until('the fault is told', () => hostLog().includes('a journal cannot be written'), SLOW);
  await viewer.line('exit 3');
  await viewer.closed;
  const directory = join(sidecar.dataDir, 'journal', session.id);
  await until('it is written down', () => readdirSync(directory).some((name) => name.includes('exited')), SLOW);
  await killHosts(sidecar);
  await until('the host is missed', async () => (await archived(sidecar, session.id)) !== null, SLOW);
  const left = await archived(sidecar, session.id);
  expect(left?.exit).toMatchObject({ code: 3, reason: 'exited', at: expect.any(Number) });
}, 60_000);

function historyOf(sidecar: Sidecar, id: string, query: string) {
  return new Promise<{ data: Buffer; headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
    const path = `/v1/sessions/${id}/history${query}`;
    const call = request({ socketPath: sidecar.controlSocket, path, agent: false }, (response) => {
      buffer(response).then((data) => resolve({ data, headers: response.headers }), reject);
    });
    call.on('error', reject);
    call.end();
  });
}

function framesOf(bytes: Buffer): ViewerFrame[] {
  const frames: ViewerFrame[] = [];
  new FrameReader((frame) => {
    const decoded = decodeViewerFrame(frame);
    if (decoded) frames.push(decoded);
  }).push(bytes);
  return frames;
}
