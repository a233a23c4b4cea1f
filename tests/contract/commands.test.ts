import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { findHosts, processFacts } from '@/cli/processes';
import {
  createTerminalAnswerSchema,
  listProjectsAnswerSchema,
  listTerminalsAnswerSchema,
  projectAnswerSchema,
} from '@/lib/protocol/rest';
import { removeEmbedded } from '../harness/embedded';
import { freePort, listeningAddresses, signal } from '../harness/processes';

/** The commands as a user runs them, on ports and a data directory of their own, with the real web and sidecar. */
const BUILD_DEADLINE_MS = 300_000;
const START_DEADLINE_MS = 60_000;
const TEST_DEADLINE_MS = 120_000;

let directory: string;
let projectPath: string;
let dataDir: string;
let env: NodeJS.ProcessEnv;
let base: string;
let started: Command[];

/** A command that runs, and what it has printed so far. */
class Command {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  output = '';

  constructor(program: string, args: string[]) {
    this.child = spawn(program, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    this.exit = new Promise((resolve) => this.child.once('close', resolve));
    started.push(this);
  }

  /** What a terminal does for a key like Ctrl-C: every process in front of it gets the signal. */
  signalAll(name: NodeJS.Signals): void {
    if (this.child.pid !== undefined) signal(-this.child.pid, name);
  }

  async says(text: string | RegExp, timeout = START_DEADLINE_MS): Promise<void> {
    await expect.poll(() => this.output, { timeout, interval: 20 }).toMatch(text);
  }
}

beforeAll(() => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['cli/bin.mjs', 'build'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`there is no build:\n${stdout}${stderr}`);
}, BUILD_DEADLINE_MS);

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hf-cmd-'));
  projectPath = join(directory, 'api');
  mkdirSync(projectPath);
  dataDir = join(directory, 'data');
  const [port, wsPort] = [await freePort(), await freePort()];
  base = `http://127.0.0.1:${port}`;
  env = {
    NODE_ENV: 'production',
    PATH: process.env['PATH'] ?? '',
    HOME: directory,
    SHELL: '/bin/bash',
    PORT: String(port),
    WS_PORT: String(wsPort),
    HOLDFAST_DATA_DIR: dataDir,
  };
  started = [];
});

afterEach(async () => {
  await new Command(process.execPath, ['cli/bin.mjs', 'stop', '--all']).exit;
  for (const { child } of started) child.kill('SIGKILL');
  removeEmbedded(dataDir);
  rmSync(directory, { recursive: true });
}, 30_000);

async function start(): Promise<Command> {
  const command = new Command('npm', ['--silent', 'start']);
  await command.says('Holdfast is ready: ');
  return command;
}

function holdfast(...args: string[]): Command {
  return new Command(process.execPath, ['cli/bin.mjs', ...args]);
}

function machineToken(): string {
  return readFileSync(join(dataDir, 'token'), 'utf8').trim();
}

async function api(path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${base}/api${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${machineToken()}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return response.json();
}

/** A project `api` with a tab `shell`; gives the shell's pid. */
async function openShell(): Promise<number> {
  const { project } = projectAnswerSchema.parse(await api('/workspace/projects', { name: 'api', path: projectPath }));
  const answer = createTerminalAnswerSchema.parse(
    await api('/terminal/create', { projectId: project.id, type: 'system', tabName: 'shell', projectPath }),
  );
  return answer.session.pid ?? 0;
}

/** What every open page holds: a stream of events. */
async function openEvents(): Promise<ReadableStreamDefaultReader> {
  const response = await fetch(`${base}/api/events`, { headers: { authorization: `Bearer ${machineToken()}` } });
  const reader = response.body?.getReader();
  if (!reader) throw new Error('no stream');
  await reader.read();
  return reader;
}

async function listedPids(): Promise<(number | null)[]> {
  const { sessions } = listTerminalsAnswerSchema.parse(await api('/terminal/list'));
  return sessions.map(({ pid }) => pid);
}

function isAlive(pid: number): boolean {
  return processFacts(pid) !== null;
}

/** The process that the launcher runs under this name now. */
function childPid(name: 'web' | 'sidecar' | 'database'): number {
  return JSON.parse(readFileSync(join(dataDir, 'run', 'children', `${name}.json`), 'utf8')).pid;
}

async function signIn(link: string): Promise<number> {
  const [origin = '', token = ''] = link.split('/#t=');
  const response = await fetch(`${origin}/api/auth/local`, {
    method: 'POST',
    headers: { origin, 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  return response.status;
}

test(
  'L1 npm start prints one line whose token signs in once, and open prints a fresh one',
  async () => {
    const launcher = await start();
    const line = launcher.output.trimEnd().split('\n').at(-1) ?? '';
    const link = line.replace('Holdfast is ready: ', '');
    expect(link).toMatch(new RegExp(`^${base}/#t=[\\w-]{43}$`));
    expect(await signIn(link)).toBe(200);
    expect(await signIn(link)).toBe(401);
    const fresh = holdfast('open');
    expect(await fresh.exit).toBe(0);
    expect(await signIn(fresh.output.trim())).toBe(200);
  },
  TEST_DEADLINE_MS,
);

test(
  'A1 A7 web and gateway listen on the loopback only, and their logs hold no token',
  async () => {
    const launcher = await start();
    const { PORT: port, WS_PORT: wsPort } = env;
    expect(listeningAddresses(childPid('web'))).toEqual([`127.0.0.1:${port}`]);
    expect(listeningAddresses(childPid('sidecar'))).toEqual([`127.0.0.1:${wsPort}`]);
    const link = /http:\S+/.exec(launcher.output)?.[0] ?? '';
    expect(await signIn(link)).toBe(200);
    const token = link.split('/#t=')[1] ?? link;
    const logs = join(dataDir, 'logs');
    for (const name of readdirSync(logs)) {
      const text = readFileSync(join(logs, name), 'utf8');
      for (const secret of [token, machineToken()]) expect(text, name).not.toContain(secret);
    }
  },
  TEST_DEADLINE_MS,
);

test(
  'L2 Ctrl-C names the session that keeps running, the next start finds it, and stop --all ends it',
  async () => {
    const launcher = await start();
    const shell = await openShell();
    const events = await openEvents();
    const startedAt = performance.now();
    launcher.signalAll('SIGINT');
    await launcher.exit;
    expect(performance.now() - startedAt, 'an open page does not delay the stop').toBeLessThan(3_000);
    await events.cancel();
    expect(launcher.output.trimEnd().split('\n').at(-1)).toBe(
      '1 session keeps running: api / shell. `npm start` finds it again, `npm run stop -- --all` ends it.',
    );
    await expect(fetch(base)).rejects.toThrow();
    expect(isAlive(shell)).toBe(true);

    await start();
    expect(await listedPids()).toEqual([shell]);
    const { projects } = listProjectsAnswerSchema.parse(await api('/workspace/projects'));
    expect(projects).toMatchObject([{ name: 'api', path: projectPath, activeCount: 1 }]);

    const stop = holdfast('stop', '--all');
    expect(await stop.exit).toBe(0);
    expect(stop.output).toContain('Ended 1 session: api / shell.');
    expect(isAlive(shell)).toBe(false);
    expect(findHosts(join(dataDir, 'run'))).toEqual([]);
  },
  TEST_DEADLINE_MS,
);

test(
  'L2 a second Ctrl-C does not wait for a process that hangs',
  async () => {
    const launcher = await start();
    const [web, sidecar] = [childPid('web'), childPid('sidecar')];
    process.kill(sidecar, 'SIGSTOP');
    const startedAt = performance.now();
    let isOver = false;
    void launcher.exit.then(() => {
      isOver = true;
    });
    await expect
      .poll(
        () => {
          launcher.signalAll('SIGINT');
          return isOver;
        },
        { timeout: 10_000, interval: 200 },
      )
      .toBe(true);
    expect(performance.now() - startedAt).toBeLessThan(2_500);
    await expect.poll(() => [web, sidecar].some(isAlive)).toBe(false);
  },
  TEST_DEADLINE_MS,
);

test(
  'L4 stop --all ends sessions and hosts also when nothing else runs',
  async () => {
    const launcher = await start();
    const shell = await openShell();
    const stop = holdfast('stop');
    expect(await stop.exit).toBe(0);
    expect(stop.output).toContain('1 session keeps running: api / shell.');
    expect(await launcher.exit).toBe(0);
    expect(isAlive(shell)).toBe(true);

    const stopAll = holdfast('stop', '--all');
    expect(await stopAll.exit).toBe(0);
    expect(stopAll.output).toContain('Ended 1 host process.');
    expect(isAlive(shell)).toBe(false);

    const again = holdfast('stop', '--all');
    expect(await again.exit).toBe(0);
    expect(again.output).toBe('Nothing is running.\n');
  },
  TEST_DEADLINE_MS,
);

test(
  'L6 L36 a gateway, a web process and a database that are killed come back, with the session as it was',
  async () => {
    const launcher = await start();
    const shell = await openShell();
    for (const name of ['sidecar', 'web', 'database'] as const) {
      process.kill(childPid(name), 'SIGKILL');
      await launcher.says(`The ${name} process was ended by SIGKILL; it is started again.`);
      await expect.poll(() => listedPids().catch(() => null), { timeout: 10_000 }).toEqual([shell]);
    }
  },
  TEST_DEADLINE_MS,
);

test(
  'L3 a second start says that one runs, and changes nothing',
  async () => {
    const launcher = await start();
    const second = holdfast('start');
    expect(await second.exit).toBe(1);
    expect(second.output).toMatch(
      /^Holdfast already runs on this data directory \(pid \d+\): open it with `npm run open`\.\n$/,
    );
    expect((await fetch(`${base}/api/health`)).status).toBe(200);
    expect(launcher.child.exitCode).toBeNull();
  },
  TEST_DEADLINE_MS,
);

test(
  'L11 what a killed launcher leaves behind does not stop the next start',
  async () => {
    const launcher = await start();
    const shell = await openShell();
    const orphans = [childPid('web'), childPid('sidecar'), childPid('database')];
    launcher.signalAll('SIGKILL');
    await launcher.exit;
    expect(orphans.map(isAlive)).toEqual([true, true, true]);
    await start();
    expect(orphans.map(isAlive)).toEqual([false, false, false]);
    expect(await listedPids()).toEqual([shell]);
  },
  TEST_DEADLINE_MS,
);

test(
  'L5 A1 L7 a bad setting and a taken port stop the start with one line each',
  async () => {
    Object.assign(env, { PORT: 'many', HOST: '0.0.0.0' });
    const bad = holdfast('start');
    expect(await bad.exit).toBe(1);
    expect(bad.output).toMatch(/^ {2}PORT: /m);
    expect(bad.output).toMatch(/^ {2}HOST: must be a loopback address/m);

    const taken = createServer();
    try {
      const port = await new Promise<string>((resolve) => {
        taken.listen(0, '127.0.0.1', () => {
          const address = taken.address();
          resolve(String(typeof address === 'object' && address ? address.port : 0));
        });
      });
      Object.assign(env, { PORT: port, HOST: '127.0.0.1' });
      const blocked = holdfast('start');
      expect(await blocked.exit).toBe(1);
      expect(blocked.output).toBe(
        `PORT: port ${port} of 127.0.0.1 is taken by another program. Set PORT to a free port.\n`,
      );
    } finally {
      taken.close();
    }
  },
  TEST_DEADLINE_MS,
);
