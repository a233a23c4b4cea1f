/** Shells through a real gateway: what they get, where they run, and how their sockets end. */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { controlErrorSchema, type LiveSession, sessionsReplySchema } from '@/lib/protocol/control';
import { isRunning, until } from '@/tests/harness/processes';
import type { Sidecar } from '@/tests/harness/sidecar';
import { sidecarPerTest } from '@/tests/harness/sidecar-per-test';

const start = sidecarPerTest();

async function sessionsOf(sidecar: Sidecar): Promise<LiveSession[]> {
  return sessionsReplySchema.parse((await sidecar.control('GET', '/v1/sessions')).json).sessions;
}

/** Opens a session and gives the code of the refusal, or `opened`. */
async function tryOpen(sidecar: Sidecar): Promise<string> {
  const { status, json } = await sidecar.control('POST', '/v1/sessions', sidecar.openRequest());
  return status === 200 ? 'opened' : controlErrorSchema.parse(json).error.code;
}

const SECRETS = {
  NEXTAUTH_SECRET: 'planted-secret-of-at-least-32-characters',
  DATABASE_URL: 'postgres://planted:secret@db/holdfast',
  REDIS_URL: 'redis://:planted@redis',
  GITHUB_TOKEN: 'planted-github',
  ANTHROPIC_API_KEY: 'planted-key',
  AWS_SECRET_ACCESS_KEY: 'planted-aws',
  NODE_OPTIONS: '--title=planted-options',
  BASH_ENV: '/planted/bash-env',
  PROMPT_COMMAND: 'echo planted-prompt',
  npm_config__authToken: 'planted-npm',
};

describe('what a shell gets', () => {
  it('H3 an environment without any of the gateway’s secrets, in shell and host alike', async () => {
    const sidecar = await start({ env: { ...SECRETS, LC_TIME: 'C.UTF-8', TZ: 'UTC' } });
    const session = await sidecar.openSession();
    const [hostPid] = sidecar.hostPids();
    for (const pid of [session.pid, hostPid]) {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      expect(environment).not.toContain('planted');
      expect(environment).not.toContain(sidecar.dataDir);
      expect(environment).toContain('LC_TIME=C.UTF-8');
      expect(environment).toContain(`HOME=${sidecar.homeDir}`);
    }
    const variables = readFileSync(`/proc/${session.pid}/environ`, 'utf8').split('\0');
    expect(variables).toEqual(
      expect.arrayContaining([
        'TERM=xterm-256color',
        'COLORTERM=truecolor',
        'TERM_PROGRAM=Holdfast',
        `HOLDFAST_SESSION=${session.id}`,
        'SHELL=/bin/bash',
      ]),
    );
  });

  it('H3 no file handle beyond its terminal, with other sessions and viewers open', async () => {
    const sidecar = await start();
    for (let i = 0; i < 3; i++) await (await sidecar.connect(await sidecar.openSession())).attach();
    const session = await sidecar.openSession();
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await viewer.line('sleep 1000 &');
    await viewer.line('echo "child=$!;"');
    await viewer.waitForText('child=');
    const child = await until('the child', () => /child=(\d+);/.test(viewer.text)).then(() =>
      Number(/child=(\d+);/.exec(viewer.text)?.[1]),
    );
    await until('the fork to become sleep', () => readFileSync(`/proc/${child}/comm`, 'utf8') === 'sleep\n');
    const handles = (pid: number) =>
      readdirSync(`/proc/${pid}/fd`).map((fd) => `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d+$/, 'N')}`);
    expect(handles(child).sort()).toEqual(['0 /dev/pts/N', '1 /dev/pts/N', '2 /dev/pts/N']);
    // bash keeps its own handle 255 on the terminal.
    expect(handles(session.pid).filter((line) => !line.endsWith('/dev/pts/N'))).toEqual([]);
  });

  it('H3 the file mode mask of the user, not that of the server', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const mask = (pid: number) => /^Umask:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    expect(mask(session.pid)).toBe(mask(process.pid));
  });

  it('a shell of the session leader kind, in the directory that was asked for', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession({ cols: 132, rows: 43 });
    const viewer = await sidecar.connect(session);
    await viewer.attach({ cols: 132, rows: 43 });
    await viewer.line('echo "$$ $(pwd) $(stty size) $(shopt -q login_shell && echo login)."');
    await viewer.waitForText(`${session.pid} ${sidecar.homeDir} 43 132 login.`);
  });

  it('H8 an agent that is not installed says how to install it, and ends with 127', async () => {
    const sidecar = await start({ env: { PATH: '/usr/bin:/bin' } });
    const session = await sidecar.openSession({ type: 'claude' });
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    expect(await viewer.event('exit')).toMatchObject({ code: 127 });
    expect(await viewer.closed).toEqual({ code: 4410, reason: 'session_ended' });
    const seen = viewer.text + viewer.snapshots.map(({ data }) => Buffer.from(data)).join('');
    expect(seen).toContain('claude is not installed.');
    expect(seen).toContain('npm install -g @anthropic-ai/claude-code');
    expect(await tryOpen(sidecar)).toBe('opened');
  });

  it('H8 an agent that is installed runs with its arguments', async () => {
    const sidecar = await start({ env: { HOLDFAST_AGENT_COMMAND: 'printf agent-[%s] one two' } });
    const session = await sidecar.openSession({ type: 'claude' });
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    expect(await viewer.event('exit')).toMatchObject({ code: 0 });
    const seen = viewer.text + viewer.snapshots.map(({ data }) => Buffer.from(data)).join('');
    expect(seen).toContain('agent-[one]agent-[two]');
  });
});

describe('the pool', () => {
  it('G9 twenty opens at once take two hosts of ten, and the next is refused', async () => {
    const sidecar = await start({ env: { MAX_SESSIONS_PER_BACKEND: '10', BACKEND_POOL_SIZE: '2' } });
    const opened = await Promise.all(Array.from({ length: 20 }, () => sidecar.openSession()));
    expect(new Set(opened.map(({ pid }) => pid)).size).toBe(20);
    expect(sidecar.hostPids()).toHaveLength(2);
    const perHost = countBy((await sessionsOf(sidecar)).map(({ hostId }) => hostId));
    expect(perHost).toEqual([10, 10]);
    expect(await tryOpen(sidecar)).toBe('no_capacity');

    const [first] = opened;
    await sidecar.control('DELETE', `/v1/sessions/${first?.id}`);
    expect(await tryOpen(sidecar)).toBe('opened');
    expect(await tryOpen(sidecar)).toBe('no_capacity');
    expect(sidecar.hostPids()).toHaveLength(2);
  });

  it('G9 thirty opens at once on two hosts of three leave exactly six', async () => {
    const sidecar = await start({ env: { MAX_SESSIONS_PER_BACKEND: '3', BACKEND_POOL_SIZE: '2' } });
    const answers = await Promise.all(Array.from({ length: 30 }, () => tryOpen(sidecar)));
    expect(answers.filter((answer) => answer === 'opened')).toHaveLength(6);
    expect(answers.filter((answer) => answer === 'no_capacity')).toHaveLength(24);
    expect(await sessionsOf(sidecar)).toHaveLength(6);
  });

  it('H5 a session that ended by itself frees its slot', async () => {
    const sidecar = await start({ env: { MAX_SESSIONS_PER_BACKEND: '1', BACKEND_POOL_SIZE: '1' } });
    const session = await sidecar.openSession();
    expect(await tryOpen(sidecar)).toBe('no_capacity');
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await viewer.line('exit');
    await viewer.closed;
    await until('a free slot', async () => (await tryOpen(sidecar)) === 'opened');
  });
});

describe('revocation', () => {
  it('closes the sockets that match, with 4401, and no other', async () => {
    const sidecar = await start();
    const [one, two] = [await sidecar.openSession(), await sidecar.openSession()];
    const alice = await sidecar.connect(one, { claims: { sub: 'alice', sid: 'a1' } });
    const aliceToo = await sidecar.connect(two, { claims: { sub: 'alice', sid: 'a2' } });
    const bob = await sidecar.connect(one, { claims: { sub: 'bob', sid: 'b1' } });
    for (const viewer of [alice, aliceToo, bob]) await viewer.attach();
    const revoke = async (match: unknown) => (await sidecar.control('POST', '/v1/revoke', match)).json;

    expect(await revoke({ sub: 'alice', sid: 'b1' })).toEqual({ closed: 0 });
    expect(await revoke({ sub: 'alice', session: two.id })).toEqual({ closed: 1 });
    expect(await aliceToo.closed).toEqual({ code: 4401, reason: 'unauthorized' });
    expect(await revoke({ sid: 'a1' })).toEqual({ closed: 1 });
    expect(await alice.closed).toEqual({ code: 4401, reason: 'unauthorized' });
    await bob.line('echo bob-$((20+2))');
    await bob.waitForText('bob-22');
    expect(await revoke({ session: one.id })).toEqual({ closed: 1 });
    expect((await bob.closed).code).toBe(4401);
    expect(isRunning(one.pid) && isRunning(two.pid)).toBe(true);
  });

  it('I4 a ticket to read opens a socket that types nothing', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const reader = await sidecar.connect(session, { claims: { mode: 'read' } });
    expect((await reader.attach()).mode).toBe('read');
    reader.type('touch typed\r');
    await reader.event('error');
    const writer = await sidecar.connect(session);
    await writer.attach();
    await writer.line('ls -A; echo end-$((1+1))');
    await writer.waitForText('end-2');
    expect(readdirSync(sidecar.homeDir)).not.toContain('typed');
    expect(reader.ending).toBeNull();
  });
});

describe('health of a connection', () => {
  it('gives the shares of gateway and host in a pong', async () => {
    const sidecar = await start();
    const viewer = await sidecar.connect(await sidecar.openSession());
    await viewer.attach();
    viewer.control({ op: 'ping', t: 17 });
    const pong = await viewer.event('pong');
    expect(pong.t).toBe(17);
    expect(pong.gateway).toBeGreaterThan(0);
    expect(pong.gateway).toBeLessThan(1_000);
    expect(pong.host).toBeGreaterThanOrEqual(0);
  });

  it('V9 the same client again takes over, and the older socket closes with 4409', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const client = 'c'.repeat(22);
    const first = await sidecar.connect(session, { client });
    await first.attach();
    const second = await sidecar.connect(session, { client });
    await second.attach();
    expect(await first.closed).toEqual({ code: 4409, reason: 'conflict' });
    expect(second.ending).toBeNull();
  });

  it('V7 a viewer that never ACKs gets one window, and the others everything', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const lazy = await sidecar.connect(session, { autoAck: false });
    const { window } = await lazy.attach();
    lazy.ack();
    const eager = await sidecar.connect(session);
    await eager.attach();
    await eager.line('seq 1 400000; echo fin-$((1+1))');
    await eager.waitForText('fin-2', 0, 20_000);
    expect(eager.output.length).toBeGreaterThan(2_000_000);
    expect(eager.holes).toEqual([]);
    expect(lazy.output.length).toBeLessThanOrEqual(window);
    expect(lazy.output.length).toBeGreaterThan(0);
  });

  it('a host that ends leaves nothing in the run directory', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const ended = sidecar.hostPids();
    for (const pid of ended) process.kill(pid, 'SIGTERM');
    await until('the host is gone', () => !ended.some(isRunning));
    expect(isRunning(session.pid)).toBe(false);
    await until('no session', async () => (await sessionsOf(sidecar)).length === 0);
    expect(readdirSync(join(sidecar.runDir, 'hosts')).filter((name) => name.startsWith(session.hostId))).toEqual([]);
  });

  it('a socket file that vanished does not take the gateway down', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    for (const name of readdirSync(join(sidecar.runDir, 'hosts'))) rmSync(join(sidecar.runDir, 'hosts', name));
    const viewer = await sidecar.connect(session);
    expect((await viewer.closed).code).toBe(1012);
    expect((await sidecar.control('GET', '/v1/info')).status).toBe(200);
  });
});

function countBy(names: string[]): number[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts.values()];
}
