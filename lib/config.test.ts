import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError, type Environment, loadConfig } from './config';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-config-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function problems(env: Environment, toml = ''): string[] {
  writeFileSync(join(directory, 'holdfast.toml'), toml);
  try {
    loadConfig(env, directory);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test('L5 the environment wins over holdfast.toml, and that over the default', () => {
  writeFileSync(join(directory, 'holdfast.toml'), 'PORT = 4200\nWS_PORT = 4201\nHOLDFAST_AGENT_COMMAND = "agent -v"\n');
  const config = loadConfig({ PORT: '4300', WS_PORT: '' }, directory);
  expect(config).toMatchObject({ webPort: 4300, wsPort: 4201, agentCommand: ['agent', '-v'], maxHosts: 20 });
});

test('L5 every mistake is told at once, in one line that begins with its setting', () => {
  const env = {
    HOST: '0.0.0.0',
    PORT: '70000',
    AUTH_MODE: 'users',
    HOLDFAST_AGENT_COMMAND: '  ',
    HOLDFAST_ROOTS: ':',
    HOLDFAST_RUN_DIR: `/tmp/${'x'.repeat(100)}`,
    HOLDFAST_ROTOS: '/srv',
  };
  const lines = problems(env, 'HOLDFAST_SHEL = "/bin/zsh"\n');
  expect(lines.map((line) => line.split(':')[0]).sort()).toEqual([...Object.keys(env), 'HOLDFAST_SHEL'].sort());
  expect(lines.filter((line) => line.includes('\n'))).toEqual([]);
});

test('L5 AUTH_MODE in holdfast.toml is an unknown setting, and any but local in the environment is refused', () => {
  expect(problems({}, 'AUTH_MODE = "local"\n')).toEqual([
    `AUTH_MODE: unknown setting in ${join(directory, 'holdfast.toml')}`,
  ]);
  expect(problems({ AUTH_MODE: 'users' })).toEqual([expect.stringMatching('^AUTH_MODE: ')]);
});

test('L5 what this version does anyway may be asked for, and what Holdfast itself sets is no mistake', () => {
  const env = { HOLDFAST_STORE: 'memory', HOLDFAST_HISTORY: 'off', AUTH_MODE: 'local' };
  const own = { HOLDFAST_SESSION: 'session_1700000000000_abcdefgh', HOLDFAST_SOURCE_MAPS: '0', HOLDFAST_SHELL: '' };
  expect(problems({ ...env, ...own, HOLDFAST_NOTHING: '' })).toEqual([]);
});

test('paths are absolute, and the data directory follows XDG_DATA_HOME', () => {
  expect(loadConfig({}, directory).dataDir).toBe(join(homedir(), '.local', 'share', 'holdfast'));
  expect(loadConfig({ XDG_DATA_HOME: '/srv/share' }, directory)).toMatchObject({
    dataDir: '/srv/share/holdfast',
    runDir: '/srv/share/holdfast/run',
  });
  expect(loadConfig({ HOLDFAST_ROOTS: '~:~/code:/srv' }, directory).roots).toEqual([
    homedir(),
    join(homedir(), 'code'),
    '/srv',
  ]);
});

test('L5 the pool’s floor is not above its size, and a flag says what it may be', () => {
  expect(problems({ BACKEND_POOL_SIZE: '2', BACKEND_POOL_FLOOR: '5' })).toEqual([
    'BACKEND_POOL_FLOOR: must not be above BACKEND_POOL_SIZE, which is 2',
  ]);
  expect(problems({ HOLDFAST_EPHEMERAL: 'yes' })).toEqual(['HOLDFAST_EPHEMERAL: must be 0 or 1']);
  expect(loadConfig({ HOLDFAST_EPHEMERAL: 'true' }, directory).ephemeral).toBe(true);
});
