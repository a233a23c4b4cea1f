import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type Config,
  ConfigError,
  type Environment,
  effectiveSettings,
  loadConfig,
  settingsEnvironment,
} from './config';
import { terminalConfig } from './terminal-config';

const DATABASE_URL = 'postgres://app:geheim@db:5432/holdfast';
const REDIS_URL = 'redis://:geheim@cache:6379/0';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-store-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function load(env: Environment, toml = ''): Config {
  writeFileSync(join(directory, 'holdfast.toml'), toml);
  return loadConfig(env, directory);
}

function problems(env: Environment, toml = ''): string[] {
  try {
    load(env, toml);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test.each<[string, Environment, Partial<Config>]>([
  ['nothing is named', {}, { store: 'memory', wantsEmbedded: true }],
  [
    'a launcher provides it',
    { HOLDFAST_EMBEDDED_URL: 'postgres:///h' },
    { store: 'embedded', databaseUrl: 'postgres:///h' },
  ],
  ['a database is named', { DATABASE_URL }, { store: 'postgres', databaseUrl: DATABASE_URL, wantsEmbedded: false }],
  ['a Redis is named', { REDIS_URL }, { store: 'redis', redisUrl: REDIS_URL, databaseUrl: undefined }],
  [
    'both are named',
    { DATABASE_URL, REDIS_URL },
    { store: 'redis+postgres', databaseUrl: DATABASE_URL, redisUrl: REDIS_URL },
  ],
  ['Redis is off', { DATABASE_URL, REDIS_URL, REDIS_ENABLED: 'false' }, { store: 'postgres', redisUrl: undefined }],
  [
    'the database is off',
    { DATABASE_URL, REDIS_URL, DATABASE_ENABLED: 'false' },
    { store: 'redis', databaseUrl: undefined },
  ],
  ['databases are off', { DATABASE_ENABLED: '0' }, { store: 'memory', wantsEmbedded: false }],
  [
    'memory is asked for',
    { HOLDFAST_STORE: 'memory', DATABASE_URL, REDIS_URL },
    { store: 'memory', databaseUrl: undefined, redisUrl: undefined },
  ],
  ['nothing may be on disk', { HOLDFAST_EPHEMERAL: '1', DATABASE_URL }, { store: 'memory', wantsEmbedded: false }],
  ['SESSION_BACKEND=redis', { SESSION_BACKEND: 'redis', REDIS_URL }, { store: 'redis' }],
  [
    'SESSION_BACKEND=redis and a database',
    { SESSION_BACKEND: 'redis', REDIS_URL, DATABASE_URL },
    { store: 'redis+postgres' },
  ],
  ['SESSION_BACKEND=sqlite', { SESSION_BACKEND: 'sqlite' }, { wantsEmbedded: true }],
  ['SESSION_BACKEND=memory', { SESSION_BACKEND: 'memory', DATABASE_URL }, { store: 'memory', wantsEmbedded: false }],
])('L30 where records are kept when %s', (_, env, expected) => {
  const config = load(env);
  expect(config).toMatchObject(expected);
  expect(loadConfig(settingsEnvironment(config), '/nowhere')).toEqual(config);
});

test('L30 REDIS_URL beats host, port and number; the password completes it when it has none', () => {
  const parts = { REDIS_HOST: 'cache', REDIS_PORT: '7000', REDIS_PASSWORD: 'p@ss', REDIS_DB: '2' };
  expect(load(parts).redisUrl).toBe('redis://:p%40ss@cache:7000/2');
  expect(load({ REDIS_HOST: '::1' }).redisUrl).toBe('redis://[::1]:6379/0');
  expect(load({ ...parts, REDIS_URL: 'redis://other:6379/0' }).redisUrl).toBe('redis://:p%40ss@other:6379/0');
  expect(load({ ...parts, REDIS_URL: 'redis://:own@other:6379/0' }).redisUrl).toBe('redis://:own@other:6379/0');
  // Orchestrators set such a variable for a service of the name redis.
  expect(load({ REDIS_PORT: 'tcp://10.0.0.1:6379', REDIS_URL }).redisUrl).toBe(REDIS_URL);
  expect(load({ REDIS_PORT: 'tcp://10.0.0.1:6379' }).redisUrl).toBeUndefined();
});

test.each<[string, Environment]>([
  ['HOLDFAST_STORE', { HOLDFAST_STORE: 'embedded', DATABASE_URL }],
  ['HOLDFAST_STORE', { HOLDFAST_STORE: 'embedded', REDIS_URL }],
  ['HOLDFAST_STORE', { HOLDFAST_STORE: 'embedded', DATABASE_ENABLED: '0' }],
  ['HOLDFAST_STORE', { HOLDFAST_STORE: 'embedded', HOLDFAST_EPHEMERAL: '1' }],
  ['SESSION_BACKEND', { SESSION_BACKEND: 'sqlite', DATABASE_URL }],
  ['SESSION_BACKEND', { SESSION_BACKEND: 'redis' }],
  ['SESSION_BACKEND', { SESSION_BACKEND: 'sqlite', HOLDFAST_STORE: 'memory' }],
  ['DATABASE_URL', { DATABASE_URL: 'mysql://app:geheim@db/holdfast' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://app:geh eim@:x/holdfast' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://app:geheim%su@db/holdfast' }],
  ['REDIS_URL', { REDIS_URL: 'cache:geheim' }],
  ['REDIS_URL', { REDIS_URL: 'redis://:geheim%su@cache:6379/0' }],
  ['REDIS_URL', { REDIS_URL: 'redis://:geheim@cache:6379/first' }],
  ['REDIS_HOST', { REDIS_HOST: 'geheim@cache' }],
  ['DATABASE_TIMEOUT', { DATABASE_TIMEOUT: '5000' }],
])('L31 %s is refused in one line when it cannot be followed: %j', (name, env) => {
  const lines = problems(env);
  expect(lines).toEqual([expect.stringMatching(`^${name}: [^\n]*$`)]);
  expect(lines.join()).not.toMatch(/geh ?eim/);
});

test('L30 the environment decides between HOLDFAST_STORE and SESSION_BACKEND, too', () => {
  expect(load({ SESSION_BACKEND: 'memory' }, 'HOLDFAST_STORE = "embedded"').wantsEmbedded).toBe(false);
  expect(load({ HOLDFAST_STORE: 'embedded' }, 'SESSION_BACKEND = "memory"').wantsEmbedded).toBe(true);
  expect(load({ HOLDFAST_STORE: 'auto' }, 'SESSION_BACKEND = "memory"').wantsEmbedded).toBe(true);
});

const TABLES = `
mode = "development"
[database]
enabled = false
timeout = 2000
[memory]
maxSessions = 10
maxMemory = 400
cleanupInterval = 15000
[websocket]
port = 4777
`;

test('L32 tables of holdfast.toml are the same settings, and the nested configuration shows them', () => {
  expect(terminalConfig(load({}, TABLES))).toEqual({
    mode: 'development',
    database: { enabled: false, timeout: 2000, retries: 0 },
    memory: { maxSessions: 10, maxMemory: 400, cleanupInterval: 15_000 },
    websocket: { port: 4777, maxConnections: 100 },
  });
  expect(load({ WS_PORT: '4888' }, TABLES).wsPort).toBe(4888);
  expect(terminalConfig(load({}))).toMatchObject({ mode: 'production', websocket: { maxConnections: 1_000 } });
});

test('L32 a mistake in a table is named by its table', () => {
  const file = join(directory, 'holdfast.toml');
  expect(problems({}, '[database]\nretires = 3\ntimeout = 9000\n')).toEqual([
    `database.retires: unknown setting in ${file}`,
    'database.timeout: must be a number of milliseconds from 100 to 4100',
  ]);
  expect(problems({}, 'WS_PORT = 4001\n[websocket]\nport = 4002\n')).toEqual([
    `websocket.port: WS_PORT in ${file} is the same setting`,
  ]);
});

test('L33 D56 every setting in effect is told with its origin and without a secret', () => {
  writeFileSync(join(directory, 'holdfast.toml'), 'PORT = 4300\nREDIS_PASSWORD = "geheim"\n');
  const env = {
    DATABASE_URL: `${DATABASE_URL}?sslpassword=geheim`,
    HOLDFAST_EMBEDDED_URL: 'postgres://holdfast:geheim@localhost/postgres',
    REDIS_HOST: 'cache',
    NEXTAUTH_SECRET: 'geheim'.repeat(9),
  };
  const rows = effectiveSettings(env, directory);
  const row = (name: string) => rows.find((one) => one.name === name);
  expect(row('PORT')).toEqual({ name: 'PORT', value: '4300', origin: 'holdfast.toml' });
  expect(row('WS_PORT')).toEqual({ name: 'WS_PORT', value: '4001', origin: 'default' });
  expect(row('DATABASE_URL')).toEqual({
    name: 'DATABASE_URL',
    value: 'postgres://app@db:5432/holdfast',
    origin: 'environment',
  });
  expect(row('NEXTAUTH_SECRET')).toMatchObject({ value: 'set' });
  expect(row('HOLDFAST_METRICS_TOKEN')).toMatchObject({ value: 'not set', origin: 'default' });
  expect(row('REDIS_PASSWORD')).toMatchObject({ value: 'set', origin: 'holdfast.toml' });
  expect(JSON.stringify(rows)).not.toContain('geheim');
});
