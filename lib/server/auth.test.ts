import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'next-auth/jwt';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadConfig } from '@/lib/config';
import { AppError } from '@/lib/protocol/errors';
import { createLoginToken, loadSecret } from '@/lib/secrets';
import { Web } from '@/tests/harness/web';
import { identify } from './auth';
import { getContext } from './context';

let directory: string;
let web: Web;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hf-'));
  web = await Web.start(loadConfig({ HOLDFAST_DATA_DIR: directory, HOLDFAST_LOG_LEVEL: 'error' }, directory));
});
afterEach(() => {
  web.stop();
  rmSync(directory, { recursive: true });
});

const login = (token: unknown) => web.call('POST /api/auth/local', { as: 'none', body: { token } });

async function who(headers: Record<string, string>): Promise<string> {
  try {
    return (await identify(getContext(), new Headers(headers))).via;
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

it('A4 the cookie is HttpOnly and SameSite=Strict, is named by the port, and lasts 30 days', async () => {
  const response = await login(createLoginToken(directory));
  expect(response).toMatchObject({ status: 200, json: { success: true } });
  const [pair = '', ...attributes] = (response.headers.get('set-cookie') ?? '').split('; ');
  expect(pair).toMatch(/^holdfast-4110=.{100,}/);
  expect(attributes.sort()).toEqual(['HttpOnly', 'Max-Age=2592000', 'Path=/', 'SameSite=Strict']);
  expect(await who({ cookie: `other=1; ${pair}` })).toBe('cookie');
});

it('A4 the cookie is Secure when the page came by https', async () => {
  const config = loadConfig({ HOLDFAST_DATA_DIR: directory, HOLDFAST_PUBLIC_URL: 'https://hold.test' }, directory);
  web.stop();
  web = await Web.start(config);
  const response = await web.call('POST /api/auth/local', {
    as: 'none',
    body: { token: createLoginToken(directory) },
    headers: { origin: 'https://hold.test' },
  });
  expect(response.headers.get('set-cookie')).toContain('; Secure');
});

it('A2 a login token opens one browser once, within 10 minutes', async () => {
  const token = createLoginToken(directory);
  expect((await login(token)).status).toBe(200);
  expect(await login(token)).toMatchObject({ status: 401, json: { error: { code: 'unauthorized' } } });
  const old = createLoginToken(directory);
  const [name = ''] = readdirSync(join(directory, 'login'));
  const past = Date.now() / 1000 - 601;
  utimesSync(join(directory, 'login', name), past, past);
  expect((await login(old)).status).toBe(401);
});

it('A2 anything else signs nobody in', async () => {
  createLoginToken(directory);
  for (const token of ['', 'x', '../token', 1, null, ['a'], 'a'.repeat(200), 'a'.repeat(10_000)]) {
    const { status, headers } = await login(token);
    expect([400, 401], String(token).slice(0, 40)).toContain(status);
    expect(headers.get('set-cookie')).toBeNull();
  }
});

it('A4 a cookie from elsewhere opens nothing', async () => {
  const secret = getContext().secrets.cookie;
  const claims = { sub: 'local', sid: 'login-1' };
  const cookie = (value: string) => ({ cookie: `holdfast-4110=${value}` });
  expect(await who(cookie(await encode({ token: claims, secret })))).toBe('cookie');
  const plain = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const bad = [
    await encode({ token: claims, secret: 'another secret' }),
    await encode({ token: claims, secret, maxAge: -60 }),
    await encode({ token: { sub: 'local' }, secret }),
    await encode({ token: { sub: 'root', sid: 'login-1' }, secret }),
    `${plain({ alg: 'none' })}.${plain(claims)}.`,
    '',
    'a'.repeat(8_192),
    '%E0%A4%A',
    '....',
  ];
  for (const value of bad) expect(await who(cookie(value)), value.slice(0, 40)).toBe('unauthorized');
  expect(await who({ cookie: `holdfast-4111=${await encode({ token: claims, secret })}` })).toBe('unauthorized');
});

it('A4 a cookie that was signed out is refused, also after a restart of web', async () => {
  await web.signIn();
  expect((await web.call('GET /api/health', { as: 'cookie' })).status).toBe(200);
  const out = await web.call('DELETE /api/auth/local', { as: 'cookie' });
  expect(out.status).toBe(200);
  expect(out.headers.get('set-cookie')).toContain('Max-Age=0');
  expect((await web.call('DELETE /api/auth/local', { as: 'cookie' })).status).toBe(401);
  web.restart();
  expect((await web.call('DELETE /api/auth/local', { as: 'cookie' })).status).toBe(401);
});

it('A5 the machine token is taken without an Origin only', async () => {
  const authorization = `Bearer ${loadSecret(directory, 'token')}`;
  expect(await who({ authorization })).toBe('token');
  expect(await who({ authorization, origin: 'http://127.0.0.1:4110' })).toBe('forbidden');
  expect(await who({ authorization: 'Bearer wrong', origin: 'http://127.0.0.1:4110' })).toBe('forbidden');
});

it('A5 a strange Authorization header is 401, whatever cookie is beside it', async () => {
  const token = loadSecret(directory, 'token');
  const cookie = (await login(createLoginToken(directory))).headers.get('set-cookie')?.split(';')[0] ?? '';
  expect(await who({ cookie })).toBe('cookie');
  const strange = [
    '',
    'Bearer',
    'Bearer ',
    'Bearer %E0%A4%A',
    `Bearer ${'a'.repeat(65_536)}`,
    `bearer ${token}`,
    `Bearer  ${token}`,
    `Bearer ${token} ${token}`,
    `Bearer ${token}, Bearer ${token}`,
    `Basic ${Buffer.from(`local:${token}`).toString('base64')}`,
    token,
    `Bearer ${token.slice(0, -1)}`,
  ];
  for (const authorization of strange) expect(await who({ authorization, cookie })).toBe('unauthorized');
});

it('A3 a cookie changes nothing without an Origin or a word of the browser that the page is ours', async () => {
  await web.signIn();
  const out = (headers: Record<string, string | null>) => web.call('DELETE /api/auth/local', { as: 'cookie', headers });
  expect((await out({ origin: null })).status).toBe(403);
  expect((await out({ origin: null, 'sec-fetch-site': 'none' })).status).toBe(403);
  expect((await out({ origin: null, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  expect((await out({ origin: 'http://127.0.0.1:9999' })).status).toBe(403);
  expect((await out({ origin: null, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
});

it('A2 only a hash of the login token is kept', async () => {
  const token = createLoginToken(directory);
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const all = files.map(({ parentPath, name }) => name + readFileSync(join(parentPath, name), 'utf8')).join('\n');
  expect(all).not.toContain(token);
});
