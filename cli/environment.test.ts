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

test('L13 L35 web gets the store that was decided, whatever else was named, and the sidecar nothing of it', () => {
  const own = {
    DATABASE_URL: 'postgres://app:geheim@db/holdfast',
    DATABASE_ENABLED: '0',
    SESSION_BACKEND: 'redis',
    REDIS_HOST: 'cache',
    REDIS_PASSWORD: 'geheim',
    PGPASSWORD: 'geheim',
  };
  const decided = loadConfig(own, tmpdir());
  expect(decided.store).toBe('redis');
  expect(loadConfig(childEnvironment(decided, own), '/nowhere')).toEqual(decided);
  const embedded = { ...loadConfig({}, tmpdir()), store: 'embedded' as const, databaseUrl: 'postgres://h@localhost/h' };
  expect(loadConfig(childEnvironment(embedded, own), '/nowhere')).toEqual(embedded);
  for (const config of [decided, embedded]) {
    const environment = sidecarEnvironment(config, own);
    expect(JSON.stringify(environment)).not.toMatch(/geheim|postgres:|redis:/);
    expect(loadConfig(environment, '/nowhere')).toMatchObject({ store: 'memory', databaseUrl: undefined });
  }
});
