import { expect, test } from 'vitest';
import { isNearUrl, mayReadMetrics } from './metrics-access';

const TOKEN = 'a-token-of-some-length';

function may(peer: string | null, headers: Record<string, string> = {}, token: string | undefined = TOKEN): boolean {
  const all: Record<string, string> = { host: '127.0.0.1:4001', ...headers };
  return mayReadMetrics({ header: (name) => all[name], peer, isPublic: false, tokens: [token] });
}

test.each([
  '127.0.0.1',
  '127.9.9.9',
  '::1',
  '::ffff:127.0.0.1',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '::ffff:10.0.0.1',
  'fd12::1',
  'fe80::1',
])('A8 %s reads without a token', (peer) => {
  expect(may(peer)).toBe(true);
});

test.each(['8.8.8.8', '172.32.0.1', '11.0.0.1', '192.169.0.1', '2001:db8::1', '::ffff:8.8.8.8', '', 'localhost', null])(
  'A8 %s reads with a token only',
  (peer) => {
    expect(may(peer)).toBe(false);
    expect(may(peer, { authorization: `Bearer ${TOKEN}` })).toBe(true);
  },
);

test.each(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'cf-connecting-ip', 'via'])(
  'A8 behind a proxy that adds %s, loopback is nobody',
  (name) => {
    expect(may('127.0.0.1', { [name]: '127.0.0.1' })).toBe(false);
    expect(may('127.0.0.1', { [name]: '127.0.0.1', authorization: `Bearer ${TOKEN}` })).toBe(true);
  },
);

test('A8 a server with a public address asks everybody for the token: a proxy may be the peer and name itself as Host', () => {
  const request = { peer: '127.0.0.1', isPublic: true, tokens: [TOKEN] };
  const headers: Record<string, string> = { host: '127.0.0.1:4001' };
  expect(mayReadMetrics({ ...request, header: (name) => headers[name] })).toBe(false);
  headers['authorization'] = `Bearer ${TOKEN}`;
  expect(mayReadMetrics({ ...request, header: (name) => headers[name] })).toBe(true);
  expect(isNearUrl('ws://127.0.0.1:4001')).toBe(true);
  expect(isNearUrl('wss://shells.example.org')).toBe(false);
});

test('A8 a tunnel that adds nothing is known by the Host that was asked for', () => {
  expect(may('127.0.0.1', { host: 'shells.example.org' })).toBe(false);
  expect(may('127.0.0.1', { host: '' })).toBe(false);
  expect(may('::1', { host: '[::1]:4001' })).toBe(true);
  expect(may('127.0.0.1', { host: 'localhost:4001' })).toBe(true);
});

test.each([
  '',
  'Bearer',
  'Bearer ',
  `Bearer ${TOKEN}x`,
  `Bearer ${TOKEN.slice(1)}`,
  `Basic ${TOKEN}`,
  TOKEN,
  'Bearer undefined',
])('A8 the header "%s" opens nothing', (authorization) => {
  expect(may('8.8.8.8', { authorization })).toBe(false);
  expect(may('8.8.8.8', { authorization }, undefined)).toBe(false);
  if (authorization !== '') expect(may('127.0.0.1', { authorization })).toBe(false);
});
