import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { loadConfig, settingsEnvironment } from '@/lib/config';
import { AppError } from '@/lib/protocol/errors';
import { errorAnswerSchema } from '@/lib/protocol/rest';
import { publicRoute, type RouteFunction, verbs } from './api';
import { closeContext } from './context';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-'));
  const env = { HOLDFAST_DATA_DIR: directory, HOLDFAST_LOG_LEVEL: 'error' };
  const settings = settingsEnvironment(loadConfig(env, directory));
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
});

afterAll(() => {
  closeContext();
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

const echo = publicRoute({ body: z.strictObject({ name: z.string() }) }, async ({ body }) => ({ json: { ...body } }));

async function send(
  run: RouteFunction,
  init: RequestInit & { headers?: Record<string, string>; duplex?: 'half' } = {},
) {
  const headers = { host: '127.0.0.1:4110', 'content-type': 'application/json', ...init.headers };
  const request = new Request('http://127.0.0.1:4110/api/test', { ...init, headers });
  const response = await run(request, { params: Promise.resolve(undefined) });
  const text = await response.text();
  return { status: response.status, headers: response.headers, json: text === '' ? null : JSON.parse(text) };
}

function post(body: BodyInit, headers: Record<string, string> = {}) {
  return send(echo, { method: 'POST', body, headers, duplex: 'half' });
}

describe('R2 the envelope', () => {
  it('R2 every answer is no-store and has a request id of its own', async () => {
    const [a, b] = [await post('{"name":"a"}'), await post('{"name":"a"}')];
    expect(a).toMatchObject({ status: 200, json: { name: 'a' } });
    expect(a.headers.get('cache-control')).toBe('no-store');
    expect(a.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(a.headers.get('x-request-id')).not.toBe(b.headers.get('x-request-id'));
  });

  it('R2 an error names its code, its time and the request', async () => {
    const { status, headers, json } = await post('[]');
    expect(status).toBe(400);
    const { error, requestId } = errorAnswerSchema.parse(json);
    expect(error.code).toBe('bad_request');
    expect(Date.parse(error.timestamp)).toBeGreaterThan(Date.now() - 60_000);
    expect(requestId).toBe(headers.get('x-request-id'));
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('E2 a failure that nobody foresaw is internal, without its text', async () => {
    const failing = publicRoute({}, () => Promise.reject(new Error('the password is swordfish')));
    const { status, json } = await send(failing);
    expect(status).toBe(500);
    expect(errorAnswerSchema.parse(json).error.code).toBe('internal');
    expect(JSON.stringify(json)).not.toContain('swordfish');
  });

  it('E2 a data directory that cannot be read is internal too', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    closeContext();
    vi.stubEnv('HOLDFAST_DATA_DIR', file);
    try {
      const { status, headers, json } = await post('{"name":"a"}');
      expect(status).toBe(500);
      const { error, requestId } = errorAnswerSchema.parse(json);
      expect(error.code).toBe('internal');
      expect(requestId).toBe(headers.get('x-request-id'));
      expect(JSON.stringify(json)).not.toContain(file);
    } finally {
      vi.stubEnv('HOLDFAST_DATA_DIR', directory);
    }
    expect((await post('{"name":"a"}')).status).toBe(200);
  });

  it.each(['no_capacity', 'rate_limited'] as const)('R2 %s says when to try again', async (code) => {
    const { headers } = await send(publicRoute({}, () => Promise.reject(new AppError(code, 'later'))));
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('R3 bodies', () => {
  const BAD: [string, BodyInit][] = [
    ['nothing', ''],
    ['no JSON', '{"name":'],
    ['data behind it', '{"name":"a"} x'],
    ['NaN', '{"name":NaN}'],
    ['a byte order mark', new Uint8Array([0xef, 0xbb, 0xbf, ...Buffer.from('{"name":"a"}')])],
    ['no UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])],
    ['deep nesting', '['.repeat(30_000)],
    ['an unknown field', '{"name":"a","userId":"b"}'],
    ['a wrong type', '{"name":1}'],
    ['a list', '["a"]'],
    ['null', 'null'],
    ['a prototype', '{"name":"a","__proto__":{"polluted":true}}'],
    ['a constructor', '{"name":"a","constructor":{"prototype":{"polluted":true}}}'],
  ];

  it.each(BAD)('R3 %s is 400', async (_, body) => {
    const { status, json } = await post(body);
    expect(status).toBe(400);
    expect(errorAnswerSchema.parse(json).error.code).toBe('bad_request');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('R3 says which field is wrong', async () => {
    const { json } = await post('{"name":1}');
    const { error } = errorAnswerSchema.parse(json);
    expect(error.details?.['issues']).toMatchObject([{ path: 'name' }]);
    expect(error.message).toContain('name');
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', '', 'application/jsonp'])(
    'R3 type %j is 415',
    async (type) => {
      expect((await post('{"name":"a"}', { 'content-type': type })).status).toBe(415);
    },
  );

  it('R3 a charset beside the type is taken, an encoding is not', async () => {
    expect((await post('{"name":"a"}', { 'content-type': 'Application/JSON; charset=utf-8' })).status).toBe(200);
    expect((await post('{"name":"a"}', { 'content-encoding': 'gzip' })).status).toBe(415);
  });

  it('R3 more than 64 KiB is 413, by the header alone and while it arrives', async () => {
    expect((await post('{"name":"a"}', { 'content-length': String(65 * 1024) })).status).toBe(413);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1024;
        controller.enqueue(new Uint8Array(1024).fill(0x20));
      },
    });
    expect((await post(endless)).status).toBe(413);
    expect(sent).toBeLessThan(80 * 1024);
    expect((await post(`{"name":"${'a'.repeat(65_000)}"}`)).status).toBe(200);
  });
});

it('R3 a body that does not come to its end within 10 s is 408', async () => {
  vi.useFakeTimers();
  try {
    const answer = post(new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{"name":')) }));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await answer).toMatchObject({ status: 408, json: { error: { code: 'timeout' } } });
  } finally {
    vi.useRealTimers();
  }
});

describe('A3 where a request comes from', () => {
  it.each(['evil.test', '127.0.0.1:5173', '127.0.0.1', 'localhost.evil.test:4110', ''])(
    'A3 Host %j is 403',
    async (host) => {
      expect((await send(echo, { method: 'POST', body: '{"name":"a"}', headers: { host } })).status).toBe(403);
    },
  );

  it.each(['localhost:4110', '[::1]:4110'])('A3 Host %j is served', async (host) => {
    expect((await send(echo, { method: 'POST', body: '{"name":"a"}', headers: { host } })).status).toBe(200);
  });

  it.each([
    'https://evil.test',
    'null',
    'http://127.0.0.1:5173',
    'https://127.0.0.1:4110',
    'http://127.0.0.1:4110.evil.test',
    'http://127.0.0.1:4110@evil.test',
    'http://127.0.0.1:4110/',
    '',
  ])('A3 Origin %j is 403', async (origin) => {
    expect((await post('{"name":"a"}', { origin })).status).toBe(403);
  });

  it.each(['cross-site', 'same-site'])('A3 Sec-Fetch-Site %s is 403', async (site) => {
    expect((await post('{"name":"a"}', { 'sec-fetch-site': site })).status).toBe(403);
  });
});

describe('R3 verbs', () => {
  const own = verbs({ GET: publicRoute({}, async () => ({ json: { here: true } })), POST: echo });

  it.each(['PUT', 'PATCH', 'DELETE'] as const)('R3 %s is 405 and names what is possible', async (verb) => {
    const { status, headers, json } = await send(own[verb], { method: verb });
    expect(status).toBe(405);
    expect(errorAnswerSchema.parse(json).error.code).toBe('method_not_allowed');
    expect(headers.get('allow')).toBe('GET, POST, HEAD, OPTIONS');
  });

  it('R3 HEAD is GET without a body, and a preflight gets no CORS headers', async () => {
    expect(await send(own.HEAD, { method: 'HEAD' })).toMatchObject({ status: 200, json: null });
    const { status, headers } = await send(own.OPTIONS, {
      method: 'OPTIONS',
      headers: { 'access-control-request-method': 'PUT', 'access-control-request-private-network': 'true' },
    });
    expect(status).toBe(204);
    expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  it('R3 a verb in a header changes nothing', async () => {
    const { json } = await send(own.GET, { method: 'GET', headers: { 'x-http-method-override': 'DELETE' } });
    expect(json).toEqual({ here: true });
  });
});
