/** Who gets a socket: upgrades and tickets, against a real gateway and a real shell. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LiveSession } from '@/lib/protocol/control';
import { newId } from '@/lib/protocol/ids';
import { errorAnswerSchema } from '@/lib/protocol/rest';
import { loadSecret } from '@/lib/secrets';
import { signTicket } from '@/lib/ticket';
import { freePort, listeningAddresses, until } from '@/tests/harness/processes';
import { type Sidecar, startSidecar } from '@/tests/harness/sidecar';
import type { Viewer } from '@/tests/harness/viewer';

let sidecar: Sidecar;
let session: LiveSession;

beforeAll(async () => {
  sidecar = await startSidecar();
  session = await sidecar.openSession();
});

afterAll(() => sidecar?.stop());

const port = () => sidecar.port;

type RawAnswer = { status: number; head: string; body: string; ms: number };

/** Sends bytes as they are and reads until the gateway closes, or until the answer is a 101. */
function exchange(bytes: string, options: { waitMs?: number } = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const socket = connect(sidecar.port, '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    const settle = () => {
      clearTimeout(timer);
      socket.destroy();
      const [head = '', ...body] = answer.split('\r\n\r\n');
      const status = Number(head.split(' ')[1] ?? 0);
      resolve({ status, head, body: body.join('\r\n\r\n'), ms: performance.now() - start });
    };
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end within the deadline; so far: ${answer}`));
    }, options.waitMs ?? 10_000);
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.startsWith('HTTP/1.1 101')) settle();
    });
    socket.on('close', settle);
    socket.on('error', reject);
  });
}

type UpgradeChanges = {
  path?: string;
  method?: string;
  /** undefined: as it should be; null: without it. */
  headers?: Record<string, string | null>;
  extra?: string[];
};

function upgradeRequest(ticket: string, changes: UpgradeChanges = {}): string {
  const headers: Record<string, string | null> = {
    Host: `127.0.0.1:${sidecar.port}`,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    Origin: sidecar.origin,
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': `holdfast.v1, ticket.${ticket}`,
    ...changes.headers,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  const first = `${changes.method ?? 'GET'} ${changes.path ?? `/v1/sessions/${session.id}`} HTTP/1.1`;
  return `${[first, ...lines, ...(changes.extra ?? [])].join('\r\n')}\r\n\r\n`;
}

/** The refusal of an upgrade, after which the same ticket still opens a socket. */
async function expectRefusal(changes: UpgradeChanges, status: number): Promise<void> {
  const ticket = sidecar.ticket(session);
  const answer = await exchange(upgradeRequest(ticket, changes));
  expect(answer.status).toBe(status);
  expect(answer.head).toMatch(/^cache-control: no-store$/im);
  expect(answer.head).toMatch(/^x-request-id: \S+$/im);
  const body = errorAnswerSchema.parse(JSON.parse(answer.body));
  expect(body.success).toBe(false);
  expect(answer.body + answer.head).not.toContain(ticket);
  const after = await exchange(upgradeRequest(ticket));
  expect(after.status).toBe(101);
}

/** The close that a socket gets for its ticket. */
async function closeOf(viewer: Promise<Viewer>) {
  return (await viewer).closed;
}

describe('upgrades', () => {
  it('G1 a good one is answered with our subprotocol and no extension', async () => {
    const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
    const { status, head } = await exchange(upgradeRequest(sidecar.ticket(session), { headers: offer }));
    expect(status).toBe(101);
    const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
    const accept = createHash('sha1').update(`dGhlIHNhbXBsZSBub25jZQ==${guid}`).digest('base64');
    expect(head).toContain(`Sec-WebSocket-Accept: ${accept}`);
    expect(head).toMatch(/^Sec-WebSocket-Protocol: holdfast\.v1$/m);
    expect(head).not.toMatch(/extensions|ticket/i);
  });

  it.each<[string, () => string | null]>([
    ['another name', () => `evil.test:${port()}`],
    ['another port', () => `127.0.0.1:${port() + 1}`],
    ['no port', () => '127.0.0.1'],
    ['a name that begins like ours', () => `127.0.0.1:${port()}.evil.test`],
    ['an empty one', () => ''],
  ])('G1 a Host with %s is refused with 403', async (_what, host) => {
    await expectRefusal({ headers: { Host: host() } }, 403);
  });

  it('G1 two Hosts are refused', async () => {
    const { status } = await exchange(upgradeRequest(sidecar.ticket(session), { extra: ['Host: evil.test'] }));
    expect([400, 403]).toContain(status);
  });

  it('G1 every name of the loopback is answered', async () => {
    for (const name of ['127.0.0.1', 'localhost', '[::1]']) {
      const headers = { Host: `${name}:${sidecar.port}` };
      expect((await exchange(upgradeRequest(sidecar.ticket(session), { headers }))).status).toBe(101);
    }
  });

  it.each<[string, (ours: URL) => string]>([
    ['a stranger', () => 'https://evil.test'],
    ['null', () => 'null'],
    ['another port of this machine', () => `http://127.0.0.1:5173`],
    ['the gateway itself', () => `http://127.0.0.1:${port()}`],
    ['ours with https', (ours) => `https://${ours.host}`],
    ['ours as a prefix', (ours) => `${ours.origin}.evil.test`],
    ['ours as user name', (ours) => `${ours.origin}@evil.test`],
    ['ours with a dot', (ours) => `http://127.0.0.1.:${ours.port}`],
    ['ours with a path', (ours) => `${ours.origin}/`],
    ['ours in capitals', (ours) => `HTTP://LOCALHOST:${ours.port}`],
    ['two of ours', (ours) => `${ours.origin}, ${ours.origin}`],
    ['an empty one', () => ''],
  ])('G1 %s as Origin is refused with 403', async (_what, origin) => {
    await expectRefusal({ headers: { Origin: origin(new URL(sidecar.origin)) } }, 403);
  });

  it('G1 a second Origin header is refused', async () => {
    const twice = { extra: ['Origin: https://evil.test'] };
    await expectRefusal(twice, 403);
  });

  it.each([
    '/',
    '/v1/sessions',
    '/v1/sessions/',
    '/v1/sessions/nope',
    '/v1/sessions/session_1e3_abcdefgh',
    '/v1/sessions/%00',
    '/v1/sessions/..%2flist',
    '/v1/sessions/*',
    `/v1/sessions/session_${'9'.repeat(4_000)}_abcdefgh`,
    '/v1/sessions/session_1700000000000_ABCDEFGH',
    '//v1/sessions/session_1700000000000_abcdefgh',
    'http://127.0.0.1/v1/sessions/session_1700000000000_abcdefgh',
    '/health',
  ])('G1 the path %s is refused with 404', async (path) => {
    await expectRefusal({ path }, 404);
  });

  it('G1 a ticket in the query is refused with 404', async () => {
    await expectRefusal({ path: `/v1/sessions/${session.id}?ticket=x` }, 404);
    await expectRefusal({ path: `/v1/sessions/${session.id}?` }, 404);
  });

  it.each<[string, string | null]>([
    ['none', null],
    ['no ticket', 'holdfast.v1'],
    ['only a ticket', 'ticket.x'],
    ['another version', 'holdfast.v2, ticket.x'],
    ['two tickets', 'holdfast.v1, ticket.x, ticket.y'],
    ['one twice', 'holdfast.v1, holdfast.v1, ticket.x'],
    ['what is no token', 'holdfast.v1, ticket.{"}'],
    ['a list with a hole', 'holdfast.v1,, ticket.x'],
  ])('G1 with subprotocols: %s, an upgrade is refused with 400', async (_what, protocols) => {
    await expectRefusal({ headers: { 'Sec-WebSocket-Protocol': protocols } }, 400);
  });

  it.each<[string, Record<string, string | null>]>([
    ['version 8, whose origin is elsewhere', { 'Sec-WebSocket-Version': '8' }],
    ['version 14', { 'Sec-WebSocket-Version': '14' }],
    ['no version', { 'Sec-WebSocket-Version': null }],
    ['no key', { 'Sec-WebSocket-Key': null }],
    ['a bad key', { 'Sec-WebSocket-Key': 'short' }],
    ['another protocol', { Upgrade: 'h2c' }],
  ])('G1 a handshake with %s is refused with 400', async (_what, headers) => {
    await expectRefusal({ headers }, 400);
  });

  it('G1 a POST is no upgrade', async () => {
    await expectRefusal({ method: 'POST' }, 400);
  });
});

describe('tickets', () => {
  const unauthorized = { code: 4401, reason: 'unauthorized' };

  it('G3 a ticket opens one socket, once', async () => {
    const ticket = sidecar.ticket(session);
    const first = await sidecar.connect(session, { ticket });
    await first.attach();
    expect(await closeOf(sidecar.connect(session, { ticket }))).toEqual(unauthorized);
    await first.line('echo still-$((40+2))');
    await first.waitForText('still-42');
    await first.close();
  });

  it('G3 of twenty sockets with one ticket at once, one opens', async () => {
    const ticket = sidecar.ticket(session);
    const viewers = await Promise.all(Array.from({ length: 20 }, () => sidecar.connect(session, { ticket })));
    await until('the others are closed', () => viewers.filter(({ ending }) => ending).length === 19);
    const closes = viewers.flatMap(({ ending }) => ending ?? []);
    expect(new Set(closes.map(({ code }) => code))).toEqual(new Set([4401]));
    await viewers.find(({ ending }) => !ending)?.close();
  });

  it.each<[string, () => Promise<Viewer>]>([
    ['of another session', () => sidecar.connect(session, { claims: { session: newId('session') } })],
    ['of another origin', () => sidecar.connect(session, { claims: { origin: `http://localhost:${port()}` } })],
    ['without an origin, on a socket with one', () => sidecar.connect(session, { claims: { origin: null } })],
    ['with an origin, on a socket without', () => sidecar.connect(session, { origin: null })],
    ['of another gateway', () => sidecar.connect(session, { claims: { aud: 'another' } })],
    ['that expired', () => sidecar.connect(session, { ticket: oldTicket(-31_000) })],
    ['from the future', () => sidecar.connect(session, { ticket: oldTicket(3_600_000) })],
    ['signed with another key', () => sidecar.connect(session, { ticket: forged('x'.repeat(43)) })],
    ['signed with an empty key', () => sidecar.connect(session, { ticket: forged('') })],
    ['without a signature', () => sidecar.connect(session, { ticket: sidecar.ticket(session).split('.')[0] ?? '' })],
    ['that is garbage', () => sidecar.connect(session, { ticket: 'AAAA.BBBB' })],
    ['that is empty', () => sidecar.connect(session, { ticket: '' })],
    ['whose claims were changed', () => sidecar.connect(session, { ticket: changed(sidecar.ticket(session)) })],
  ])('G2 a ticket %s is answered with 101 and 4401', async (_what, open) => {
    expect(await closeOf(open())).toEqual(unauthorized);
  });

  it('G2 a machine client without an Origin gets a socket with a ticket that has none', async () => {
    const viewer = await sidecar.connect(session, { origin: null, claims: { origin: null } });
    expect((await viewer.attach()).mode).toBe('write');
    await viewer.close();
  });

  it('G5 a session that no host has closes with 4404', async () => {
    const unknown = { id: newId('session'), epoch: 1 };
    expect(await closeOf(sidecar.connect(unknown))).toEqual({ code: 4404, reason: 'not_found' });
  });

  it('G2 a ticket of an older incarnation closes with 4412', async () => {
    const restarted = await sidecar.openSession({ epoch: 3 });
    const closed = await closeOf(sidecar.connect(restarted, { claims: { epoch: 2 } }));
    expect(closed).toEqual({ code: 4412, reason: 'epoch_superseded' });
    await sidecar.control('DELETE', `/v1/sessions/${restarted.id}`);
  });

  it('A7 no ticket and no keystroke is in the log', async () => {
    const ticket = sidecar.ticket(session);
    const viewer = await sidecar.connect(session, { ticket });
    await viewer.attach();
    await viewer.line('echo sesame-opens');
    await viewer.waitForText('sesame-opens\r\n');
    await viewer.close();
    await sidecar.connect(session, { ticket });
    await until('the refusal is logged', () => sidecar.logs.some((line) => line.includes('socket refused')));
    const directory = join(sidecar.dataDir, 'logs');
    const files = readdirSync(directory);
    expect(files).toContain('host.log');
    const text = [...sidecar.logs, ...files.map((name) => readFileSync(join(directory, name), 'utf8'))].join('\n');
    expect(text).not.toContain(ticket.split('.')[1]);
    expect(text).not.toContain('sesame');
    expect(text).not.toContain(loadSecret(sidecar.dataDir, 'ticket.key'));
  });

  const base = () => ({ sub: 'local', sid: 's', session: session.id, epoch: session.epoch, mode: 'write' as const });
  const oldTicket = (offsetMs: number) =>
    signTicket(
      { ...base(), origin: sidecar.origin, aud: sidecar.instanceId },
      loadSecret(sidecar.dataDir, 'ticket.key'),
      Date.now() + offsetMs,
    );
  const forged = (key: string) => signTicket({ ...base(), origin: sidecar.origin, aud: sidecar.instanceId }, key);
  const changed = (ticket: string) => {
    const [payload = '', signature] = ticket.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    return `${Buffer.from(JSON.stringify({ ...claims, sub: 'dave' })).toString('base64url')}.${signature}`;
  };
});

describe('HTTP on the port of the sockets', () => {
  const get = (path: string, changes: { host?: string; method?: string; extra?: string } = {}) =>
    exchange(
      `${changes.method ?? 'GET'} ${path} HTTP/1.1\r\nHost: ${changes.host ?? `127.0.0.1:${sidecar.port}`}\r\nConnection: close\r\n${changes.extra ?? ''}\r\n`,
    );

  it('answers health', async () => {
    const { status, body, head } = await get('/health');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({ status: 'ok', instanceId: sidecar.instanceId });
    expect(head).toMatch(/^cache-control: no-store$/im);
  });

  it.each([
    ['GET', '/'],
    ['GET', '/v1/info'],
    ['GET', '/v1/sessions'],
    ['DELETE', '/v1/sessions/session_1700000000000_abcdefgh'],
  ])('R3 %s %s is 404', async (method, path) => {
    const { status, body } = await get(path, { method });
    expect(status).toBe(404);
    expect(errorAnswerSchema.parse(JSON.parse(body)).error.code).toBe('not_found');
  });

  it('A3 another Host is 403', async () => {
    expect((await get('/health', { host: 'evil.test' })).status).toBe(403);
  });

  it('headers beyond 16 KiB are 431, garbage is 400', async () => {
    expect((await get('/health', { extra: `X: ${'x'.repeat(17_000)}\r\n` })).status).toBe(431);
    expect((await exchange('\u0000\u0001garbage\r\n\r\n')).status).toBe(400);
  });

  it.each([
    ['nothing', ''],
    ['half a request', 'GET /health HTTP/1.1\r\nHost: '],
  ])('a connection that sends %s is cut off within 10 s', async (_what, bytes) => {
    const { ms } = await exchange(bytes, { waitMs: 15_000 });
    expect(ms).toBeLessThan(10_000);
  });

  it('A1 listens on the loopback only, and refuses to start elsewhere', async () => {
    expect(listeningAddresses(sidecar.gatewayPid)).toEqual([`127.0.0.1:${sidecar.port}`]);
    const directories = {
      HOLDFAST_RUN_DIR: join(sidecar.homeDir, 'run'),
      HOLDFAST_DATA_DIR: join(sidecar.homeDir, 'data'),
    };
    const env = { ...directories, HOST: '0.0.0.0', WS_PORT: String(await freePort()) };
    const { code, output } = await sidecar.runSecondGateway(env);
    expect(output).toMatch(/HOST: must be a loopback address/);
    expect(code).toBe(1);
  });
});
