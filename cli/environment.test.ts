import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { loadConfig } from '@/lib/config';
import { childEnvironment, sidecarEnvironment } from './environment';

const given = {
  PORT: '4333',
  WS_PORT: '4334',
  HOLDFAST_DATA_DIR: '/tmp/data',
  HOLDFAST_AGENT_COMMAND: 'claude --verbose',
  HOLDFAST_ROOTS: '/srv/a:/srv/b',
  HOLDFAST_EPHEMERAL: '1',
  HOLDFAST_PUBLIC_URL: 'https://dev.example.com/',
  HOLDFAST_MAX_SESSIONS_PROJECT: '3',
  SERVER_ID: 'node-7',
  NEXTAUTH_SECRET: 'x'.repeat(32),
};

test('L13 a process in another directory reads the same settings', () => {
  const config = loadConfig(given, tmpdir());
  expect(loadConfig(childEnvironment(config, {}), '/nowhere')).toEqual(config);
});

test('A7 the sidecar does not get the key of the login cookie', () => {
  const config = loadConfig(given, tmpdir());
  expect(childEnvironment(config, given)['NEXTAUTH_SECRET']).toBe(given.NEXTAUTH_SECRET);
  expect(sidecarEnvironment(config, given)).not.toHaveProperty('NEXTAUTH_SECRET');
});
