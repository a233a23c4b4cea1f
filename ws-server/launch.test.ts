import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '@/lib/protocol/ids';
import { agentArguments, cleanEnvironment, launchOf, quote } from './launch';

const SHELLS = ['/bin/sh', '/bin/bash'];
const AWKWARD = [
  '',
  'plain',
  'two words',
  "it's",
  "''",
  "'; echo pwned; '",
  '"$HOME" `id` $(id) !! \\',
  '\\\\',
  "\\'",
  'tab\there',
  'line\nbreak',
  'ümläut 漢字 🙂',
  '*',
  '~',
  '--flag=a b',
];

/** Runs a program in a session of its own: an interactive shell must not take the terminal of the test run. */
async function run(file: string, args: string[], env: Record<string, string> = {}) {
  const child = spawn(file, args, { env, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, status] = await Promise.all([text(child.stdout), ended]);
  return { stdout, status };
}

let directory: string;
let env: Record<string, string>;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-launch-'));
  mkdirSync(join(directory, 'bin'));
  writeFileSync(join(directory, 'bin', 'fake-agent'), '#!/bin/sh\nfor a in "$@"; do printf "%s\\0" "$a"; done\n');
  chmodSync(join(directory, 'bin', 'fake-agent'), 0o755);
  // A login shell's profile sets the PATH: this is how a user's own agent is found.
  writeFileSync(join(directory, '.profile'), `PATH=${join(directory, 'bin')}:/usr/bin:/bin\n`);
  env = { HOME: directory, PATH: '/usr/bin:/bin' };
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.each(SHELLS)('the agent in %s', (shell) => {
  it('H8 gets its arguments as they were configured, from the PATH of the profile', async () => {
    const { stdout, status } = await run(shell, agentArguments(['fake-agent', ...AWKWARD]), env);
    expect(stdout.split('\0').slice(0, -1)).toEqual(AWKWARD);
    expect(status).toBe(0);
  });

  it('H8 that is not installed leaves a message that says how to install it, and 127', async () => {
    const claude = await run(shell, agentArguments(['claude', '--verbose']), env);
    expect(claude.status).toBe(127);
    expect(claude.stdout).toContain('claude is not installed.');
    expect(claude.stdout).toContain('npm install -g @anthropic-ai/claude-code');

    const other = await run(shell, agentArguments(["no such'agent"]), env);
    expect(other.status).toBe(127);
    expect(other.stdout).toContain("no such'agent is not installed.");
    expect(other.stdout).toContain('HOLDFAST_AGENT_COMMAND');
  });

  it('H8 passes on the exit code of the agent', async () => {
    expect((await run(shell, agentArguments(['sh', '-c', 'exit 7']), env)).status).toBe(7);
  });

  it.each(AWKWARD)('quote(%j) is read back as it was', async (word) => {
    expect((await run(shell, ['-c', `printf %s ${quote(word)}`])).stdout).toBe(word);
  });
});

describe('the environment of a shell', () => {
  const secrets = {
    NEXTAUTH_SECRET: 'secret-1',
    DATABASE_URL: 'secret-2',
    REDIS_URL: 'secret-3',
    GITHUB_TOKEN: 'secret-4',
    LD_PRELOAD: 'secret-5',
    NODE_OPTIONS: 'secret-6',
    LC_: 'secret-7',
    HOLDFAST_DATA_DIR: 'secret-8',
    npm_config_token: 'secret-9',
  };
  const config = { shell: '/bin/bash', agentCommand: ['claude'] };

  it('H3 holds what is on the list and nothing else', () => {
    const id = newId('session');
    const own = {
      PATH: '/a:/b',
      HOME: '/home/x',
      USER: 'x',
      LANG: 'de_DE.UTF-8',
      LC_TIME: 'C',
      TZ: 'UTC',
      DISPLAY: ':0',
    };
    const launch = launchOf({ id, type: 'system' }, config, { ...own, ...secrets, SHELL: '/bin/zsh' });
    expect(launch.file).toBe('/bin/bash');
    expect(launch.args).toEqual(['-l']);
    expect(launch.env).toEqual({
      ...own,
      LOGNAME: 'x',
      SHELL: '/bin/bash',
      TERM: 'xterm-256color',
      COLORTERM: 'truecolor',
      TERM_PROGRAM: 'Holdfast',
      HOLDFAST_SESSION: id,
    });
  });

  it('H3 has a PATH, a HOME, a user and a UTF-8 locale when the gateway has none', () => {
    const clean = cleanEnvironment('/bin/sh', {});
    expect(clean['PATH']).toContain('/usr/bin');
    expect(clean['HOME']).toMatch(/^\//);
    expect(clean['USER']).toBe(clean['LOGNAME']);
    expect(clean['LANG']).toBe('C.UTF-8');
  });

  it('H3 does not hold the directories that npm adds to the PATH of its scripts', () => {
    const added = '/opt/holdfast/node_modules/.bin:/opt/node_modules/.bin:/usr/lib/npm/node-gyp-bin';
    const path = '/home/x/node_modules/.bin:/usr/bin';
    const withNpm = { PATH: `${added}:/usr/local/bin:${path}`, npm_lifecycle_event: 'start' };
    expect(cleanEnvironment('/bin/sh', withNpm)['PATH']).toBe(`/usr/local/bin:${path}`);
    expect(cleanEnvironment('/bin/sh', { PATH: path })['PATH']).toBe(path);
  });
});
