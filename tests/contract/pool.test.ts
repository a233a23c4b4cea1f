/** Real host processes: kept warm, crashing, silent, and of other versions. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '@/lib/log';
import { type LiveSession, poolReplySchema } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { VERSION } from '@/lib/protocol/version';
import { signTicket } from '@/lib/ticket';
import { HostPools } from '@/tests/harness/host-pool';
import { freePort, isRunning, until } from '@/tests/harness/processes';
import { hello, ScriptedHost } from '@/tests/harness/scripted-host';
import { type Sidecar, startSidecar } from '@/tests/harness/sidecar';
import { openViewer, type Viewer } from '@/tests/harness/viewer';
import { Gateway } from '@/ws-server/gateway';
import { LINK_REVISION } from '@/ws-server/link';
import { GatewayMetrics } from '@/ws-server/metrics';
import type { Pool } from '@/ws-server/pool';
import { Tickets } from '@/ws-server/tickets';

/** Quick enough for a test, and slow enough for a machine that has much to do. */
const TIMES = { beatMs: 250, slowMs: 750, unresponsiveMs: 1_500 };
const AGES_MS = 3_600_000;
const THIS_VERSION = `VERSION = "${VERSION}"`;
const THIS_REVISION = `LINK_REVISION = ${LINK_REVISION}`;

let hosts: HostPools;

beforeEach(async () => {
  hosts = await HostPools.create();
});

afterEach(async () => {
  await hosts.stop();
});

function backendOf(pool: Pool, { hostId }: LiveSession) {
  return pool.hosts.describe().backends.find((backend) => backend.hostId === hostId);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
}

describe('hosts that stand by', () => {
  it('B1 one is ready before the first session, another before the first is full, never more than the ceiling', async () => {
    const pool = await hosts.pool({ maxSessionsPerHost: 2, maxHosts: 3 });
    expect(pool.hosts.activeBackends).toBe(0);
    pool.hosts.keepWarm();
    await until('a host is ready', () => pool.hosts.all().some(({ isReady }) => isReady));
    expect(pool.hosts.activeBackends).toBe(1);
    const [warm] = pool.hosts.all();

    const first = await hosts.open(pool);
    expect(first.hostId).toBe(warm?.hostId);
    await until('the next is ready', () => pool.hosts.all().filter(({ isReady }) => isReady).length === 2);
    const second = await hosts.open(pool);
    expect(second.hostId).toBe(first.hostId);
    for (let n = 0; n < 4; n++) await hosts.open(pool);
    expect(pool.hosts.activeBackends).toBe(3);
    expect(pool.hosts).toMatchObject({ capacity: 6, availableSlots: 0 });
    expect(await codeOf(hosts.open(pool))).toBe('no_capacity');
    expect(hosts.hostPids()).toHaveLength(3);
  });

  it('B1 a pool of one host opens, and is full at its slots', async () => {
    const pool = await hosts.pool({ maxSessionsPerHost: 1, maxHosts: 1 });
    pool.hosts.keepWarm();
    const first = await hosts.open(pool);
    expect(await codeOf(hosts.open(pool))).toBe('no_capacity');
    await pool.end(first.id);
    await hosts.open(pool);
    expect(hosts.hostPids()).toHaveLength(1);
  });

  it('B4 an empty host stays while its gateway wants it; a surplus one, and one without a gateway, end', async () => {
    await hosts.startHost({ hostId: 'aaaaaaaa', idleExitMs: 2_000 });
    await hosts.startHost({ hostId: 'bbbbbbbb', idleExitMs: 2_000 });
    const pool = await hosts.pool({ times: TIMES, maxHosts: 2 });
    pool.hosts.keepWarm();
    await until('one ends', () => hosts.hostPids().length === 1);
    const [kept] = pool.hosts.all().filter(({ isReady }) => isReady);
    const [pid] = hosts.hostPids();
    // Longer than an empty host would stay by itself.
    const from = performance.now();
    await until('time passes', () => performance.now() - from > 4_000);
    expect(hosts.hostPids()).toEqual([pid]);
    const session = await hosts.open(pool);
    expect(session.hostId).toBe(kept?.hostId);
    await pool.end(session.id);
    pool.close();
    await until('the other ends', () => hosts.hostPids().length === 0);
    expect(readdirSync(hosts.hostsDir)).toEqual([]);
  });

  it('B3 `scale` keeps to floor and ceiling, and starts what is missing', async () => {
    const pool = await hosts.pool({ maxHosts: 3, minHosts: 2 });
    pool.hosts.scale(100);
    expect(pool.hosts.activeBackends).toBe(3);
    pool.hosts.scale(0);
    pool.hosts.scale(3);
    expect(pool.hosts.activeBackends).toBe(3);
    await until('all are up', () => pool.hosts.all().every(({ isReady }) => isReady));
  });
});

describe('a host that dies', () => {
  it('B8 kill -9 ends its own sessions at once, leaves the others alone, and is replaced', async () => {
    const pool = await hosts.pool({ maxSessionsPerHost: 2, maxHosts: 4 });
    pool.hosts.keepWarm();
    const sessions: LiveSession[] = [];
    for (let n = 0; n < 4; n++) sessions.push(await hosts.open(pool));
    const [first] = sessions;
    if (!first) throw new Error('no session');
    await until('a host stands by', () => pool.hosts.all().some(({ isReady, isEmpty }) => isReady && isEmpty));
    const gone: string[] = [];
    pool.subscribe((event) => event.event === 'gone' && gone.push(event.id));
    process.kill(hosts.pidOf(first.hostId) ?? 0, 'SIGKILL');
    const killedAt = performance.now();
    const next = await hosts.open(pool);
    expect(performance.now() - killedAt).toBeLessThan(2_000);
    expect(next.hostId).not.toBe(first.hostId);

    const lost = sessions.filter(({ hostId }) => hostId === first.hostId).map(({ id }) => id);
    expect(lost).toHaveLength(2);
    await until('its sessions are gone', () => gone.length === 2);
    expect(gone.sort()).toEqual(lost.sort());
    for (const { id, pid, hostId } of sessions) {
      if (hostId === first.hostId) expect(pool.find(id)).toBeNull();
      else expect(isRunning(pid)).toBe(true);
    }
    expect(existsSync(join(hosts.hostsDir, `${first.hostId}.sock`))).toBe(false);
    await until('a host stands by again', () => pool.hosts.all().some(({ isReady, isEmpty }) => isReady && isEmpty));
  });

  it('B9 a program that cannot start is tried five times more, whoever asks for it, and then told of', async () => {
    const entry = hosts.alteredEntry({ [THIS_VERSION]: `${THIS_VERSION}; process.exit(7)` });
    const pool = await hosts.pool({ entry });
    pool.hosts.keepWarm();
    await until('the pool gives up', async () => {
      expect(await codeOf(hosts.open(pool))).toBe('sidecar_unavailable');
      return pool.hosts.describe().restarts.isExhausted;
    });
    const { restarts, recommendations, backends } = pool.hosts.describe();
    expect(restarts).toEqual({ count: 5, max: 5, isExhausted: true });
    expect(recommendations).toEqual([expect.stringContaining('crashing')]);
    expect(backends).toEqual([]);
    const starts = () => hosts.logs.filter((line) => line.includes('host started')).length;
    expect(starts()).toBe(6);
    expect(hosts.logs.filter((line) => line.includes('keep crashing'))).toHaveLength(1);
  });

  it('B9 a host that is heard of again and again takes no blame from one that crashes', async () => {
    const path = join(hosts.hostsDir, 'aaaaaaaa.sock');
    const other = await ScriptedHost.listen(path, (message, connection) => {
      if (message.link !== 'control') return;
      connection.say(hello({ hostId: 'aaaaaaaa' }));
      setTimeout(() => connection.socket.destroy(), 10);
    });
    const entry = hosts.alteredEntry({ [THIS_VERSION]: `${THIS_VERSION}; process.exit(7)` });
    const pool = await hosts.pool({ entry, minHosts: 2 });
    pool.hosts.keepWarm();
    await until('two restarts', () => pool.hosts.restarts.count >= 2);
    await until('it goes on to be heard', () => other.connections.length > 20);
    const starts = () => hosts.logs.filter((line) => line.includes('host started')).length;
    expect(starts()).toBe(pool.hosts.restarts.count + 1);
    await other.close();
  });

  it('B9 one that ends by itself, or is told to, is no crash', async () => {
    const pool = await hosts.pool();
    pool.hosts.keepWarm();
    const session = await hosts.open(pool);
    process.kill(hosts.pidOf(session.hostId) ?? 0, 'SIGTERM');
    await until('it is gone', () => pool.find(session.id) === null);
    await until('another is up', () => pool.hosts.all().some(({ isReady }) => isReady));
    expect(pool.hosts.describe().restarts).toMatchObject({ count: 0, isExhausted: false });
  });
});

describe('a host that falls silent', () => {
  it('B6 is told as slow, unresponsive and ok again; it is not ended, and new sessions go elsewhere', async () => {
    const pool = await hosts.pool({ times: TIMES });
    pool.hosts.keepWarm();
    const session = await hosts.open(pool);
    const states: string[] = [];
    pool.hosts.watch((hostId, state) => hostId === session.hostId && states.push(state));
    const pid = hosts.pidOf(session.hostId) ?? 0;
    process.kill(pid, 'SIGSTOP');
    await until('it is unresponsive', () => states.includes('unresponsive'));
    expect(states.slice(-2)).toEqual(['slow', 'unresponsive']);
    expect(backendOf(pool, session)?.state).toBe('unresponsive');
    expect(pool.find(session.id)?.session.id).toBe(session.id);
    const elsewhere = await hosts.open(pool);
    expect(elsewhere.hostId).not.toBe(session.hostId);

    process.kill(pid, 'SIGCONT');
    await until('it answers again', () => states.at(-1) === 'ok');
    expect(backendOf(pool, session)).toMatchObject({ state: 'ready', pid });
    expect((await pool.look(session.id)).pid).toBe(session.pid);
    expect(isRunning(session.pid)).toBe(true);
    expect(pool.hosts.describe().restarts.count).toBe(0);
  });

  it('B6 an open that meets a host which has just stopped goes to another at once', async () => {
    const pool = await hosts.pool({
      times: { ...TIMES, beatMs: AGES_MS, slowMs: AGES_MS, unresponsiveMs: 2 * AGES_MS },
    });
    pool.hosts.keepWarm();
    const session = await hosts.open(pool);
    process.kill(hosts.pidOf(session.hostId) ?? 0, 'SIGSTOP');
    const stoppedAt = performance.now();
    // No beat tells of it, but what the host said last grows old.
    await until('it has been silent for a while', () => performance.now() - stoppedAt > 1_100);
    const from = performance.now();
    const elsewhere = await hosts.open(pool);
    expect(performance.now() - from).toBeLessThan(5_000);
    expect(elsewhere.hostId).not.toBe(session.hostId);
  });
});

describe('viewers of a host that falls silent', () => {
  it('B6 are told of it, and get every byte once when it goes on', async () => {
    const pool = await hosts.pool({ times: TIMES });
    const session = await hosts.open(pool);
    const wsPort = await freePort();
    const address = `127.0.0.1:${wsPort}`;
    const [key, instanceId] = ['key', 'instance'];
    const gateway = new Gateway({
      config: {
        host: '127.0.0.1',
        wsPort,
        wsHosts: [address],
        origins: [],
        publicWsUrl: 'ws://127.0.0.1',
        metricsToken: undefined,
        maxSockets: 100,
      },
      instanceId,
      pool,
      metrics: new GatewayMetrics(pool),
      tickets: new Tickets({ key, instanceId }),
      log: createLog('gateway', 'error'),
    });
    await gateway.listen();
    const connect = () => {
      const at = { session: session.id, epoch: session.epoch };
      const claims = { sub: 'local', sid: 'login', mode: 'write' as const, origin: null, aud: instanceId, ...at };
      const url = `ws://${address}/v1/sessions/${session.id}`;
      return openViewer({ url, ticket: signTicket(claims, key), origin: null });
    };
    const states = (viewer: Viewer) => viewer.events.flatMap((event) => (event.event === 'host' ? [event.state] : []));
    try {
      const viewer = await connect();
      await viewer.attach();
      await viewer.line(
        'stty -echo; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo n$i; sleep 0.001; done; echo fi"n"',
      );
      await viewer.waitForText('n10\r');
      const pid = hosts.pidOf(session.hostId) ?? 0;
      process.kill(pid, 'SIGSTOP');
      await viewer.waitFor('unresponsive', () => states(viewer).includes('unresponsive'));
      expect(states(viewer).slice(-2)).toEqual(['slow', 'unresponsive']);
      const late = await connect();
      expect((await late.event('host')).state).toBe('unresponsive');
      process.kill(pid, 'SIGCONT');
      await viewer.waitFor('ok', () => states(viewer).at(-1) === 'ok');
      await viewer.waitForText('fin\r', 0, 20_000);
      const numbers = [...viewer.text.matchAll(/^n(\d+)\r$/gm)].map(([, digits]) => Number(digits));
      expect(numbers).toEqual(Array.from({ length: 3000 }, (_, index) => index + 1));
      expect(viewer.holes).toEqual([]);
      expect(isRunning(session.pid)).toBe(true);
    } finally {
      await gateway.close();
    }
  });
});

describe('hosts of other versions', () => {
  it('B10 one that an older gateway left serves its sessions, takes no new ones, and ends when it is empty', async () => {
    const entry = hosts.alteredEntry({ [THIS_VERSION]: 'VERSION = "0.0.1"', [THIS_REVISION]: 'LINK_REVISION = 1' });
    await hosts.startHost({ hostId: 'oldhost1', entry, idleExitMs: 500 });
    // As the older gateway: a host that it started is its own, whatever its version.
    await hosts.startHost({ hostId: 'oldhost2', entry, idleExitMs: AGES_MS });
    const before = await hosts.pool({ entry, maxHosts: 1 });
    const session = await hosts.open(before);
    before.close();

    const pool = await hosts.pool({ maxHosts: 1, times: TIMES });
    expect(backendOf(pool, session)).toMatchObject({ state: 'draining', version: '0.0.1', sessions: 1 });
    const renamed = await pool.label(session.id, { name: 'kept' });
    expect(renamed).toMatchObject({ pid: session.pid, label: { name: 'kept' } });
    const fresh = await hosts.open(pool);
    expect(backendOf(pool, fresh)).toMatchObject({ state: 'ready', version: VERSION });
    await until('the empty one ends', () => hosts.pidOf('oldhost1') === null);
    // It is asked without calls that it does not know, and answers.
    const heard: string[] = [];
    pool.hosts.watch((hostId, state) => hostId === session.hostId && heard.push(state));
    const from = performance.now();
    await until('some beats pass', () => performance.now() - from > 2_500);
    expect(heard.filter((state) => state === 'unresponsive')).toEqual([]);
    expect(await codeOf(pool.find(session.id)?.host.call('archive', {}) ?? Promise.resolve())).toBe('upgrade_required');
    expect(isRunning(session.pid)).toBe(true);
  });

  it('B11 one of a newer link is left alone: its sessions go on, and the list says that it is not complete', async () => {
    const entry = hosts.alteredEntry({
      [THIS_VERSION]: 'VERSION = "9.0.0"',
      [THIS_REVISION]: `LINK_REVISION = ${LINK_REVISION + 1}`,
      'Math.min(revision, LINK_REVISION)': 'LINK_REVISION',
    });
    const same = hosts.alteredEntry({ [THIS_VERSION]: 'VERSION = "9.0.0"' });
    await hosts.startHost({ hostId: 'newhost1', entry, idleExitMs: AGES_MS });
    const pool = await hosts.pool({ entry: same });
    expect(pool.isComplete).toBe(false);
    expect(pool.hosts.activeBackends).toBe(0);
    expect(hosts.logs.filter((line) => line.includes('newer host left alone'))).toHaveLength(1);
    // A newer program with the same link works, though it was put there after this gateway started.
    pool.hosts.keepWarm();
    const session = await hosts.open(pool);
    expect(backendOf(pool, session)).toMatchObject({ state: 'ready', version: '9.0.0' });
    expect(pool.hosts.activeBackends).toBeLessThanOrEqual(2);
    pool.close();
    expect(hosts.pidOf('newhost1')).not.toBeNull();
  });

  it('B9 a newer program that this gateway cannot speak with is not started again and again', async () => {
    const entry = hosts.alteredEntry({
      [THIS_REVISION]: `LINK_REVISION = ${LINK_REVISION + 1}`,
      'Math.min(revision, LINK_REVISION)': 'LINK_REVISION',
    });
    const pool = await hosts.pool({ entry, maxHosts: 1 });
    expect(await codeOf(hosts.open(pool))).toBe('sidecar_unavailable');
    await until('no host is left', () => hosts.hostPids().length === 0);
  });
});

describe('through a gateway', () => {
  let sidecar: Sidecar;

  afterEach(async () => {
    await sidecar.stop();
  });

  async function reply() {
    const { status, json } = await sidecar.control('GET', '/v1/pool');
    expect(status).toBe(200);
    return poolReplySchema.parse(json);
  }

  it('B5 the pool, its figures and the autoscaler’s decision can be read', async () => {
    sidecar = await startSidecar({ env: { BACKEND_POOL_SIZE: '3', MAX_SESSIONS_PER_BACKEND: '5' } });
    await until('a host stands by', async () => (await reply()).backends.some(({ state }) => state === 'ready'));
    const session = await sidecar.openSession();
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    await viewer.line('head -c 300000 /dev/zero | tr "\\0" x; echo; echo fin-$((40+2))');
    await viewer.waitForText('fin-42');
    await until('a beat has come', async () => (await reply()).metrics.memoryUsage > 20_000_000);
    const { instanceId, ...pool } = await reply();
    expect(instanceId).toBe(sidecar.instanceId);
    expect(pool).toMatchObject({
      capacity: 15,
      activeBackends: 1,
      availableSlots: 14,
      metrics: { totalSessions: 1, averageLoad: 0.2, errorRate: 0 },
      decision: { action: 'maintain', targetCapacity: 1 },
      backends: [{ hostId: session.hostId, version: VERSION, state: 'ready', sessions: 1, capacity: 5 }],
      restarts: { count: 0, max: 5, isExhausted: false },
      recommendations: [],
    });
    expect(sidecar.hostPids()).toEqual([pool.backends[0]?.pid]);
    expect(pool.metrics.cpuUsage).toBeLessThanOrEqual(1);
  });

  it('B8 after kill -9 of a host a session opens within 2 s, and the sessions of others go on', async () => {
    sidecar = await startSidecar({ env: { MAX_SESSIONS_PER_BACKEND: '2' } });
    const sessions: LiveSession[] = [];
    for (let n = 0; n < 4; n++) sessions.push(await sidecar.openSession());
    const [first] = sessions;
    const last = sessions.at(-1);
    if (!first || !last) throw new Error('no sessions');
    expect(last.hostId).not.toBe(first.hostId);
    const other = await sidecar.connect(last);
    await other.attach();
    const { backends } = await reply();
    process.kill(backends.find(({ hostId }) => hostId === first.hostId)?.pid ?? 0, 'SIGKILL');
    const from = performance.now();
    await sidecar.openSession();
    expect(performance.now() - from).toBeLessThan(2_000);
    await other.line('echo still-$((40+2))');
    await other.waitForText('still-42');
    expect(isRunning(last.pid)).toBe(true);
  });

  it('H5 a gateway that is told to end takes its empty hosts with it', async () => {
    sidecar = await startSidecar();
    await until('a host stands by', () => sidecar.hostPids().length === 1);
    await sidecar.killGateway('SIGTERM');
    await until('no host is left', () => sidecar.hostPids().length === 0);
  });
});
