/** Gateways come and go; shells, hosts and cursors stay. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sessionReplySchema, sessionsReplySchema } from '@/lib/protocol/control';
import { isRunning, until } from '@/tests/harness/processes';
import { sidecarPerTest } from '@/tests/harness/sidecar-per-test';
import type { Viewer } from '@/tests/harness/viewer';

const start = sidecarPerTest();

/** Every number of the counting shell, in the order of arrival. */
function numbers(...viewers: Viewer[]): number[] {
  const text = Buffer.concat(viewers.map(({ output }) => output)).toString();
  return [...text.matchAll(/^n(\d+)\r$/gm)].map(([, digits]) => Number(digits));
}

describe('a gateway that is killed', () => {
  it('G4 ends no shell: three viewers go on from their cursors with every line once', async () => {
    const sidecar = await start();
    const firstInstance = sidecar.instanceId;
    const clients = await Promise.all(
      [0, 1, 2].map(async (index) => {
        const session = await sidecar.openSession();
        const client = `client-${index}`.padEnd(22, 'x');
        const viewer = await sidecar.connect(session, { client });
        const { epoch } = await viewer.attach();
        await viewer.line(
          'stty -echo; i=0; while [ $i -lt 1500 ]; do i=$((i+1)); echo n$i; sleep 0.001; done; echo fi"n"',
        );
        return { session, client, viewer, epoch };
      }),
    );
    await Promise.all(clients.map(({ viewer }) => viewer.waitForText('\nn100\r')));
    const hosts = sidecar.hostPids();

    await sidecar.killGateway('SIGKILL');
    for (const { viewer, session } of clients) {
      expect((await viewer.closed).code).toBe(1006);
      expect(isRunning(session.pid)).toBe(true);
    }
    const startedAt = performance.now();
    await sidecar.startGateway();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(sidecar.instanceId).not.toBe(firstInstance);
    expect(sidecar.hostPids()).toEqual(hosts);

    await Promise.all(
      clients.map(async ({ session, client, viewer, epoch }) => {
        const { json } = await sidecar.control('GET', `/v1/sessions/${session.id}`);
        expect(sessionReplySchema.parse(json).session.pid).toBe(session.pid);
        const next = await sidecar.connect(session, { client });
        const attached = await next.attach({ cursor: { epoch, position: viewer.position } });
        expect(attached.position).toBe(viewer.position);
        await next.waitForText('fin', 0, 20_000);
        expect(next.snapshots).toEqual([]);
        expect(next.holes).toEqual([]);
        expect(numbers(viewer, next)).toEqual(Array.from({ length: 1500 }, (_, index) => index + 1));
        await next.line('stty echo; echo typing-$((40+2))');
        await next.waitForText('typing-42');
      }),
    );
  });

  it('G3 takes its tickets with it', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const ticket = sidecar.ticket(session);
    await sidecar.restartGateway('SIGKILL');
    expect((await (await sidecar.connect(session, { ticket })).closed).code).toBe(4401);
  });

  it('I1 what was typed before is not typed again when it is sent again', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const client = 'k'.repeat(22);
    const before = await sidecar.connect(session, { client });
    await before.attach();
    await before.line(`echo once >> log`);
    await sidecar.restartGateway('SIGKILL');
    const after = await sidecar.connect(session, { client });
    const attached = await after.attach();
    expect(attached.inputSeq).toBe(before.inputSeq);
    after.inputSeq = before.inputSeq - 1;
    after.type('echo once >> log\r');
    await after.line('echo do"ne"');
    await after.waitForText('done');
    expect(readFileSync(join(sidecar.homeDir, 'log'), 'utf8')).toBe('once\n');
  });

  it('starts over the socket files that it left, and finds sessions without a viewer', async () => {
    const sidecar = await start();
    const opened = await Promise.all(Array.from({ length: 4 }, () => sidecar.openSession({ label: { name: 'kept' } })));
    await sidecar.killGateway('SIGKILL');
    expect(existsSync(sidecar.controlSocket)).toBe(true);
    writeFileSync(join(sidecar.runDir, 'hosts', 'stranger.txt'), '');
    await sidecar.startGateway();
    const { sessions } = sessionsReplySchema.parse((await sidecar.control('GET', '/v1/sessions')).json);
    expect(sessions.map(({ id }) => id).sort()).toEqual(opened.map(({ id }) => id).sort());
    expect(sessions.every(({ label }) => label['name'] === 'kept')).toBe(true);
    expect(statSync(sidecar.controlSocket).mode & 0o777).toBe(0o600);
  });

  it('H5 hosts ignore SIGHUP, and the gateway does too', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    for (const pid of [...sidecar.hostPids(), sidecar.gatewayPid]) process.kill(pid, 'SIGHUP');
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await viewer.line('echo alive-$((40+2))');
    await viewer.waitForText('alive-42');
  });
});

describe('a gateway that is told to end', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'G8 %s closes sockets with 1012 within 2 s and leaves the hosts',
    async (name) => {
      const sidecar = await start();
      const session = await sidecar.openSession();
      const viewer = await sidecar.connect(session);
      await viewer.attach();
      const deaf = await sidecar.connect(session);
      await deaf.attach();
      deaf.socket.pause();
      const startedAt = performance.now();
      expect(await sidecar.killGateway(name)).toEqual({ code: 0, signal: null });
      expect(performance.now() - startedAt).toBeLessThan(2_000);
      expect(await viewer.closed).toEqual({ code: 1012, reason: 'restart' });
      expect(existsSync(sidecar.controlSocket)).toBe(false);
      expect(isRunning(session.pid)).toBe(true);
      expect(sidecar.hostPids()).toHaveLength(1);
      await sidecar.startGateway();
      const next = await sidecar.connect(session);
      await next.attach();
      await next.line('echo again-$((40+2))');
      await next.waitForText('again-42');
    },
  );

  it('H6 an ephemeral one takes its hosts and shells with it', async () => {
    const sidecar = await start({ env: { HOLDFAST_EPHEMERAL: '1' } });
    const session = await sidecar.openSession();
    await sidecar.killGateway('SIGTERM');
    await until('hosts end', () => sidecar.hostPids().length === 0, 4_000);
    expect(isRunning(session.pid)).toBe(false);
  });

  it('H6 hosts of an ephemeral one end when it was killed and no other came', async () => {
    const sidecar = await start({ env: { HOLDFAST_EPHEMERAL: '1' } });
    const session = await sidecar.openSession();
    await sidecar.killGateway('SIGKILL');
    await until('hosts end', () => sidecar.hostPids().length === 0, 12_000);
    expect(isRunning(session.pid)).toBe(false);
  });

  it('ends when the process that started it is gone', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const pid = sidecar.gatewayPid;
    sidecar.disconnect();
    await until('the gateway ends', () => !isRunning(pid), 4_000);
    expect(isRunning(session.pid)).toBe(true);
  });
});

describe('a second gateway', () => {
  it('L3 on the same run directory says so and ends; the first goes on', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const second = await sidecar.runSecondGateway();
    expect(second.code).toBe(1);
    expect(second.output).toContain('another gateway runs');
    for (const line of second.output.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await viewer.line('echo first-$((40+2))');
    await viewer.waitForText('first-42');
  });

  it('on a taken port ends with 1 and says which', async () => {
    const sidecar = await start();
    const { port } = sidecar;
    await sidecar.killGateway();
    const squatter = createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    try {
      const { code, output } = await sidecar.runSecondGateway();
      expect(code).toBe(1);
      expect(output).toContain('EADDRINUSE');
      expect(output).toContain(String(port));
    } finally {
      await new Promise((resolve) => squatter.close(resolve));
    }
    await sidecar.startGateway();
  });

  it('a foreign pid in a host’s record is never signalled', async () => {
    const sidecar = await start({ env: { HOLDFAST_EPHEMERAL: '1' } });
    await sidecar.openSession();
    const bystander = spawn('sleep', ['1000']);
    try {
      const hosts = join(sidecar.runDir, 'hosts');
      const [file] = readdirSync(hosts).filter((name) => name.endsWith('.json'));
      if (!file || !bystander.pid) throw new Error('no record');
      const name = join(hosts, file);
      const record = JSON.parse(readFileSync(name, 'utf8'));
      writeFileSync(name, JSON.stringify({ ...record, pid: bystander.pid }));
      await sidecar.killGateway('SIGTERM');
      expect(isRunning(bystander.pid)).toBe(true);
    } finally {
      bystander.kill('SIGKILL');
    }
  });

  it('L5 with a bad setting ends with 1 and names it in a JSON line', async () => {
    const sidecar = await start();
    const { code, output } = await sidecar.runSecondGateway({ WS_PORT: '99999' });
    expect(code).toBe(1);
    expect(output).toContain('WS_PORT');
    expect(() => JSON.parse(output.trim())).not.toThrow();
  });
});
