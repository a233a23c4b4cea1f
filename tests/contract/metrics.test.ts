/** What Prometheus reads: from a real gateway with real sessions, and from web. */
import { type IncomingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadSecret } from '@/lib/secrets';
import { until } from '@/tests/harness/processes';
import { Rest } from '@/tests/harness/rest';

const TOKEN = 'metrics-token-0123456789';

let rest: Rest;
beforeAll(async () => {
  rest = await Rest.start({ HOLDFAST_METRICS_TOKEN: TOKEN });
}, 60_000);
afterAll(() => rest?.stop());

type Answer = { status: number; headers: IncomingHttpHeaders; body: string };

/** One request to the gateway, with the headers as they are given. */
function ask(given: Record<string, string> = {}, path = '/metrics', method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const to = { host: '127.0.0.1', port: rest.sidecar.port, path, method, headers: given, agent: false };
    const call = request(to, (response) => {
      const { statusCode: status = 0, headers } = response;
      text(response).then((body) => resolve({ status, headers, body }), reject);
    });
    call.setTimeout(20_000, () => call.destroy(new Error('no answer')));
    call.on('error', reject);
    call.end();
  });
}

/** The value of a series, such as `holdfast_sessions{status="active"}`; NaN when it is not told. */
function sampleOf(series: string, body: string): number {
  const line = body.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
}

async function read(): Promise<(series: string) => number> {
  const { status, body } = await ask();
  expect(status).toBe(200);
  return (series) => sampleOf(series, body);
}

test('A8 the gateway tells loopback, and whoever has the token; not a proxy, another Host, or a wrong token', async () => {
  const bearer = { authorization: `Bearer ${TOKEN}` };
  expect((await ask()).status).toBe(200);
  expect((await ask({}, '/metrics?x=1')).status).toBe(200);
  expect((await ask(bearer)).status).toBe(200);
  expect((await ask({ authorization: `Bearer ${TOKEN}x` })).status).toBe(401);
  expect((await ask({ 'x-forwarded-for': '127.0.0.1' })).status).toBe(401);
  expect((await ask({ forwarded: 'for=127.0.0.1' })).status).toBe(401);
  expect((await ask({ 'x-forwarded-for': '9.9.9.9', ...bearer })).status).toBe(200);
  expect((await ask({ host: 'evil.test', ...bearer })).status).toBe(403);
});

test('A8 the machine token is web’s alone: the gateway refuses it', async () => {
  const headers = { authorization: `Bearer ${loadSecret(rest.web.config.dataDir, 'token')}` };
  expect((await rest.web.call('GET /metrics', { as: 'none', headers })).status).toBe(200);
  expect((await ask(headers)).status).toBe(401);
});

test.each(['/metrics', '/health'])('G10 %s is read by GET and HEAD, and by nothing else', async (path) => {
  const got = await ask({}, path);
  const head = await ask({}, path, 'HEAD');
  expect([got.status, head.status, head.body]).toEqual([200, 200, '']);
  expect(head.headers['content-type']).toBe(got.headers['content-type']);
  expect(Number(head.headers['content-length'])).toBeGreaterThan(0);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers, body } = await ask({}, path, method);
    expect([status, headers.allow, JSON.parse(body).error.code]).toEqual([405, 'GET, HEAD', 'method_not_allowed']);
  }
  expect((await ask({}, '/nothing', 'POST')).status).toBe(404);
});

test('A8 web tells whoever has the metrics token or the machine token, and nobody else', async () => {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  expect((await rest.web.call('GET /metrics')).status).toBe(200);
  expect((await rest.web.call('GET /metrics', { as: 'none', headers: bearer(TOKEN) })).status).toBe(200);
  expect((await rest.web.call('GET /metrics', { as: 'none', headers: bearer(`${TOKEN}x`) })).status).toBe(401);
  for (const address of ['127.0.0.1', '::1']) {
    // Next writes the peer's address there, but only when the client has written none.
    const headers = { 'x-forwarded-for': address };
    expect((await rest.web.call('GET /metrics', { as: 'none', headers })).status).toBe(401);
  }
  expect((await rest.web.call('GET /metrics', { headers: { host: 'evil.test' } })).status).toBe(403);
  expect((await rest.web.call('POST /metrics', { body: {} })).status).toBe(405);
});

test('M2 the gateway counts a session from its start over its sockets, bytes and echoes to its end', async () => {
  const { sidecar } = rest;
  const before = await read();
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  await viewer.line('echo m$((40+2))');
  await viewer.waitForText('m42');
  viewer.control({ op: 'ping', t: 1 });
  await viewer.event('pong');

  const active = 'holdfast_sessions{status="active"}';
  await until('the viewer is known', async () => (await read())(active) === before(active) + 1);
  const during = await read();
  const grown = (series: string) => during(series) - before(series);
  const host = `{host="${session.hostId}"}`;
  expect(grown('holdfast_sessions_created_total')).toBe(1);
  expect(grown('holdfast_sockets')).toBe(1);
  expect(grown('holdfast_sockets_opened_total')).toBe(1);
  expect(grown('holdfast_received_bytes_total')).toBeGreaterThan('echo m$((40+2))\r'.length);
  expect(grown('holdfast_sent_bytes_total')).toBeGreaterThan('m42'.length);
  expect(grown('holdfast_echo_seconds_count')).toBeGreaterThanOrEqual(1);
  expect(during('holdfast_hop_seconds_count{hop="gateway"}')).toBeGreaterThanOrEqual(1);
  expect(during('holdfast_hop_seconds_count{hop="host"}')).toBeGreaterThanOrEqual(1);
  expect(during('holdfast_hosts{state="ready"}')).toBeGreaterThanOrEqual(1);
  expect(during(`holdfast_host_sessions${host}`)).toBeGreaterThanOrEqual(1);
  expect(during(`holdfast_host_memory_bytes${host}`)).toBeGreaterThan(10_000_000);
  expect(during(`holdfast_host_cpu_seconds_total${host}`)).toBeGreaterThan(0);
  expect(during(`holdfast_host_journal_fault${host}`)).toBe(0);
  expect(during('holdfast_memory_bytes{process="hosts"}')).toBeGreaterThan(10_000_000);
  expect(during('holdfast_memory_bytes{process="gateway"}')).toBeGreaterThan(10_000_000);
  const memory = `holdfast_session_memory_bytes{session="${session.id}"}`;
  expect(during(memory)).toBeGreaterThan(4_000);

  await sidecar.control('DELETE', `/v1/sessions/${session.id}`);
  await viewer.closed;
  await until('the end is counted', async () => {
    const after = await read();
    return after('holdfast_session_lifetime_seconds_count') === during('holdfast_session_lifetime_seconds_count') + 1;
  });
  const { body } = await ask();
  const ended = [...body.matchAll(/^holdfast_sessions_ended_total\{reason="\w+"\} (\d+)$/gm)];
  expect(ended.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(
    sampleOf('holdfast_session_lifetime_seconds_count', body),
  );
  await until('the socket is counted', async () => (await read())('holdfast_sockets') === before('holdfast_sockets'));
  expect(body).not.toContain(memory);
});

test('M2 a session that is being ended is told as such until it has ended', async () => {
  const { sidecar } = rest;
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  await viewer.line('trap "" HUP; echo deaf-$((40+2))');
  await viewer.waitForText('deaf-42');
  const terminating = 'holdfast_sessions{status="terminating"}';
  expect((await read())(terminating)).toBe(0);
  const ended = sidecar.control('DELETE', `/v1/sessions/${session.id}`);
  await until('its end has begun', async () => (await read())(terminating) === 1);
  await ended;
  await until('it has ended', async () => (await read())(terminating) === 0);
});

test('M2 refused tickets and requests are counted by their code, and made-up close codes are one', async () => {
  const { sidecar } = rest;
  const before = await read();
  const session = await sidecar.openSession();
  const refused = await sidecar.connect(session, { claims: { epoch: 1, aud: 'another' } });
  expect((await refused.closed).code).toBe(4401);
  expect((await ask({}, '/nothing')).status).toBe(404);
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  viewer.socket.close(4999);
  await viewer.closed;
  await until('the close is counted', async () => (await read())('holdfast_sockets_closed_total{code="other"}') >= 1);
  const after = await read();
  expect(after('holdfast_tickets_refused_total') - before('holdfast_tickets_refused_total')).toBe(1);
  for (const code of ['unauthorized', 'not_found']) {
    const series = `holdfast_errors_total{code="${code}"}`;
    expect(after(series) - (before(series) || 0)).toBe(1);
  }
  expect(after('holdfast_sockets_closed_total{code="4999"}')).toBeNaN();
  await sidecar.control('DELETE', `/v1/sessions/${session.id}`);
});

test('M3 web counts its requests by route, and tells its sessions, its store and what it has to do without', async () => {
  const project = await rest.makeProject();
  const { session } = await rest.create(project);
  expect((await rest.web.call(`GET /api/terminal/${session.id}`)).status).toBe(200);
  expect((await rest.web.call('GET /api/terminal/session_1700000000000_aaaaaaaa')).status).toBe(404);
  expect((await rest.web.call('GET /api/no/such/thing')).status).toBe(404);
  const { text: body, headers } = await rest.web.call('GET /metrics');
  expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const value = (series: string) => sampleOf(series, body);
  const one = 'route="/api/terminal/[sessionId]",method="GET"';
  expect(value(`holdfast_http_requests_total{${one},status="200"}`)).toBe(1);
  expect(value(`holdfast_http_requests_total{${one},status="404"}`)).toBe(1);
  expect(value(`holdfast_http_request_seconds_count{${one}}`)).toBe(2);
  expect(value('holdfast_http_requests_total{route="[...]",method="GET",status="404"}')).toBe(1);
  expect(value('holdfast_errors_total{code="not_found"}')).toBe(2);
  expect(value('holdfast_session_records{status="active"}')).toBe(1);
  expect(value('holdfast_session_records{status="lost"}')).toBe(0);
  expect(value('holdfast_store{kind="memory"}')).toBe(1);
  expect(value('holdfast_store{kind="postgres"}')).toBe(0);
  expect(value('holdfast_store_breaker_open{part="db"}')).toBe(0);
  expect(value('holdfast_degraded{part="sidecar"}')).toBe(0);
  expect(value('holdfast_memory_bytes{process="web"}')).toBeGreaterThan(10_000_000);
  expect(body).not.toContain(session.id);
});

test('M3 without a sidecar web still tells its metrics, and that it is degraded', async () => {
  await rest.sidecar.killGateway();
  const { status, text: body } = await rest.web.call('GET /metrics');
  expect(status).toBe(200);
  expect(sampleOf('holdfast_degraded{part="sidecar"}', body)).toBe(1);
  await rest.sidecar.startGateway();
});
