import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '@/lib/log';
import type { OpenRequest } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { newId } from '@/lib/protocol/ids';
import { hello, liveSession, type ScriptedConnection, ScriptedHost } from '@/tests/harness/scripted-host';
import type { PoolEvent } from './backend';
import type { HeartbeatTimes } from './heartbeat';
import { CALLS, LINK_REVISION, type ToHost } from './link';
import { Pool } from './pool';

const log = createLog('test', 'error');
log.level = 'silent';
const launch = { file: '/bin/sh', args: [], env: {} };

let directory: string;
let hostsDir: string;
const pools: Pool[] = [];
const hosts: ScriptedHost[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-pool-'));
  hostsDir = join(directory, 'hosts');
  mkdirSync(hostsDir);
});

afterEach(async () => {
  for (const pool of pools.splice(0)) pool.close();
  for (const host of hosts.splice(0)) await host.close();
  rmSync(directory, { recursive: true, force: true });
});

function makePool(
  changes: { maxHosts?: number; maxSessionsNode?: number; entry?: string; times?: HeartbeatTimes } = {},
) {
  const pool = new Pool({
    config: {
      runDir: directory,
      dataDir: directory,
      maxHosts: changes.maxHosts ?? 2,
      minHosts: 1,
      maxSessionsPerHost: 2,
      ephemeral: false,
      logLevel: 'error',
      history: 'off' as const,
      journalBytesMax: 10_000_000,
      journalKeptMs: 0,
      idleTimeoutMs: 0,
      maxSessionsNode: changes.maxSessionsNode ?? 1_000,
      maxSessionsCluster: 1_000,
      roots: ['/'],
    },
    recipe: { entry: changes.entry ?? join(directory, 'no-such-host.js'), execArgv: [], env: {} },
    log,
    ...(changes.times && { times: changes.times }),
  });
  pools.push(pool);
  const events: PoolEvent[] = [];
  pool.subscribe((event) => events.push(event));
  return { pool, events };
}

type Call = Extract<ToHost, { link: 'call' }>;

async function listen(
  hostId: string,
  script: {
    greeting?: Parameters<typeof hello>[0];
    onCall?: (call: Call, connection: ScriptedConnection) => void;
  } = {},
): Promise<ScriptedHost> {
  const host = await ScriptedHost.listen(join(hostsDir, `${hostId}.sock`), (message, connection) => {
    if (message.link === 'control') connection.say(hello({ hostId, ...script.greeting }));
    if (message.link === 'call') script.onCall?.(message, connection);
  });
  hosts.push(host);
  return host;
}

/** What an idle host says of itself. */
const BEAT = {
  rss: 0,
  cpuSeconds: 0,
  loopLagMs: 0,
  sessions: 0,
  hibernated: 0,
  sessionBytes: 0,
  bytesIn: 0,
  bytesOut: 0,
  errors: 0,
  journalFault: null,
};

/** Answers `beat`, `open`, `end` and `list` as a host does, and keeps the calls but for the beats. */
function obliging(calls: Call[]) {
  return (call: Call, connection: ScriptedConnection) => {
    if (call.call === 'beat') connection.say({ link: 'reply', n: call.n, result: BEAT });
    else calls.push(call);
    if (call.call === 'list') connection.say({ link: 'reply', n: call.n, result: [] });
    if (call.call === 'open') {
      const { id, epoch } = CALLS.open.args.parse(call.args);
      connection.say({ link: 'reply', n: call.n, result: liveSession({ id, epoch }) });
    }
    if (call.call === 'end') {
      const { id, epoch } = CALLS.end.args.parse(call.args);
      connection.say({ link: 'gone', id, epoch });
      connection.say({ link: 'reply', n: call.n, result: liveSession({ id, epoch }) });
    }
  };
}

function request(changes: Partial<OpenRequest> = {}): OpenRequest {
  return { id: newId('session'), epoch: 1, type: 'system', cwd: '/', cols: 80, rows: 24, label: {}, ...changes };
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof AppError ? error.code : `${error}`),
  );
}

describe('Pool: which hosts there are', () => {
  it('G4 finds the hosts of an earlier gateway with their sessions', async () => {
    const sessions = [liveSession({ id: newId('session') }), liveSession({ id: newId('session'), epoch: 4 })];
    const host = await listen('aaaaaaaa', { greeting: { sessions } });
    await listen('bbbbbbbb');
    const { pool } = makePool();
    await pool.discover();
    expect(pool.hosts.activeBackends).toBe(2);
    expect(pool.sessions()).toEqual(sessions);
    expect(pool.find(sessions[1]?.id ?? '')?.host.socketPath).toBe(join(hostsDir, 'aaaaaaaa.sock'));
    expect(host.connections[0]?.messages[0]).toEqual({ link: 'control', revision: LINK_REVISION });
    expect(pool.find(newId('session'))).toBeNull();
  });

  it('removes the socket that a dead host has left, and leaves other files alone', async () => {
    const stale = createServer();
    await new Promise<void>((resolve) => stale.listen(join(hostsDir, 'deadhost.sock'), resolve));
    // A second name keeps the file when the server removes its own on close, as after kill -9.
    const { linkSync } = await import('node:fs');
    linkSync(join(hostsDir, 'deadhost.sock'), join(hostsDir, 'deadhos2.sock'));
    await new Promise((resolve) => stale.close(resolve));
    writeFileSync(join(hostsDir, 'deadhos2.json'), JSON.stringify({ pid: 2, startTime: 'never' }));
    writeFileSync(join(hostsDir, 'notes.txt'), '');
    const { pool } = makePool();
    await pool.discover();
    expect(pool.hosts.activeBackends).toBe(0);
    // The record is for the host that ends what the dead one left running.
    expect(readdirSync(hostsDir)).toEqual(['deadhos2.json', 'notes.txt']);
  });

  it('leaves a host of a newer link alone', async () => {
    await listen('aaaaaaaa', { greeting: { revision: LINK_REVISION + 1 } });
    const { pool } = makePool();
    await pool.discover();
    expect(pool.hosts.activeBackends).toBe(0);
    expect(existsSync(join(hostsDir, 'aaaaaaaa.sock'))).toBe(true);
  });

  it('does not wait for a silent host for longer than 3 s, and takes it in when it speaks', async () => {
    let isSilent = true;
    const session = liveSession({ id: newId('session') });
    hosts.push(
      await ScriptedHost.listen(join(hostsDir, 'aaaaaaaa.sock'), (_message, connection) => {
        if (!isSilent) connection.say(hello({ sessions: [session] }));
      }),
    );
    const { pool } = makePool();
    const start = performance.now();
    await pool.discover();
    expect(performance.now() - start).toBeLessThan(4_000);
    expect(pool.sessions()).toEqual([]);
    isSilent = false;
    await vi.waitFor(() => expect(pool.sessions()).toEqual([session]), 8_000);
  });

  it('follows what its hosts say', async () => {
    const first = liveSession({ id: newId('session') });
    const host = await listen('aaaaaaaa', { greeting: { sessions: [first] } });
    const { pool, events } = makePool();
    await pool.discover();
    events.length = 0;
    const renamed = { ...first, title: 'vim' };
    host.connections[0]?.say({ link: 'session', session: renamed });
    host.connections[0]?.say({ link: 'gone', id: first.id, epoch: 99 });
    host.connections[0]?.say({ link: 'gone', id: first.id, epoch: 1 });
    await vi.waitFor(() => expect(events).toHaveLength(2));
    expect(events).toEqual([
      { event: 'session', session: renamed },
      { event: 'gone', id: first.id, epoch: 1 },
    ]);
    expect(pool.sessions()).toEqual([]);
  });

  it('R12 the sessions of a host that died are gone, and so is its socket', async () => {
    const session = liveSession({ id: newId('session') });
    const host = await listen('aaaaaaaa', { greeting: { sessions: [session] } });
    const { pool, events } = makePool();
    await pool.discover();
    const lives = pool.lives(session.id);
    await host.close();
    await vi.waitFor(() => expect(events).toContainEqual({ event: 'gone', id: session.id, epoch: 1 }));
    expect(await lives).toBe(false);
    expect(pool.hosts.activeBackends).toBe(0);
    expect(await codeOf(pool.look(session.id))).toBe('not_found');
  });

  it.each([
    ['lost', (connection: ScriptedConnection) => connection.socket.destroy()],
    ['garbled', (connection: ScriptedConnection) => connection.send(Buffer.from('\xf0{"link":"nonsense"}', 'latin1'))],
    ['greeted twice', (connection: ScriptedConnection) => connection.say(hello())],
  ])('a %s connection is made anew, and the sessions stay', async (_what, harm) => {
    const session = liveSession({ id: newId('session') });
    const host = await listen('aaaaaaaa', { greeting: { sessions: [session] }, onCall: obliging([]) });
    const { pool, events } = makePool();
    await pool.discover();
    const [connection] = host.connections;
    if (!connection) throw new Error('no connection');
    harm(connection);
    await vi.waitFor(() => expect(host.connections).toHaveLength(2));
    await vi.waitFor(async () => expect(await pool.lives(session.id)).toBe(true));
    expect(events.filter(({ event }) => event === 'gone')).toEqual([]);
  });

  it('of two incarnations of a session the newer one counts', async () => {
    const id = newId('session');
    await listen('aaaaaaaa', { greeting: { sessions: [liveSession({ id, epoch: 2, hostId: 'new' })] } });
    await listen('bbbbbbbb', { greeting: { sessions: [liveSession({ id, epoch: 1, hostId: 'old' })] } });
    const { pool } = makePool();
    await pool.discover();
    expect(pool.sessions()).toHaveLength(1);
    expect(pool.find(id)?.session.hostId).toBe('new');
  });
});

describe('Pool: calls', () => {
  it('a host that does not answer misses its deadline, and what it says later changes nothing', async () => {
    const session = liveSession({ id: newId('session') });
    let late: () => void = () => undefined;
    const host = await listen('aaaaaaaa', {
      greeting: { sessions: [session] },
      onCall: (call, connection) => {
        late = () => connection.say({ link: 'reply', n: call.n, result: { ...session, title: 'late' } });
      },
    });
    const { pool } = makePool();
    await pool.discover();
    expect(await codeOf(pool.look(session.id))).toBe('deadline_exceeded');
    late();
    const start = performance.now();
    expect(await pool.list()).toEqual([session]);
    expect(performance.now() - start).toBeGreaterThan(600);
    expect(host.connections).toHaveLength(1);
  });

  it('E1 a failure keeps the code, message and details that the host gave', async () => {
    const session = liveSession({ id: newId('session') });
    const error = { code: 'forbidden' as const, message: 'outside', details: { reason: 'outside_roots' } };
    await listen('aaaaaaaa', {
      greeting: { sessions: [session] },
      onCall: ({ n }, connection) => connection.say({ link: 'failure', n, error }),
    });
    const { pool } = makePool();
    await pool.discover();
    await expect(pool.directory({ path: '/etc' })).rejects.toMatchObject(error);
  });

  it('an answer outside the schema is an error and no fact', async () => {
    const session = liveSession({ id: newId('session') });
    await listen('aaaaaaaa', {
      greeting: { sessions: [session] },
      onCall: ({ n }, connection) => connection.say({ link: 'reply', n, result: { id: 'no session' } }),
    });
    const { pool } = makePool();
    await pool.discover();
    await expect(pool.look(session.id)).rejects.toThrow();
    expect(pool.sessions()).toEqual([session]);
  });
});

describe('Pool: opening', () => {
  it('G9 fills the fullest host with room first, counting living sessions only', async () => {
    const ended = { exit: { code: 0, signal: 0, at: 1 } };
    const [a, b]: [Call[], Call[]] = [[], []];
    await listen('aaaaaaaa', {
      greeting: {
        sessions: [liveSession({ id: newId('session'), ...ended }), liveSession({ id: newId('session'), ...ended })],
      },
      onCall: obliging(a),
    });
    await listen('bbbbbbbb', {
      greeting: { capacity: 2, sessions: [liveSession({ id: newId('session') })] },
      onCall: obliging(b),
    });
    const { pool } = makePool();
    await pool.discover();
    await pool.open(request(), launch);
    expect([a.length, b.length]).toEqual([0, 1]);
    await pool.open(request(), launch);
    expect([a.length, b.length]).toEqual([1, 1]);
  });

  it('G9 parallel opens take exactly the slots there are', async () => {
    const calls: Call[] = [];
    await listen('aaaaaaaa', { greeting: { capacity: 3 }, onCall: obliging(calls) });
    const { pool } = makePool({ maxHosts: 1 });
    await pool.discover();
    const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(pool.open(request(), launch))));
    expect(codes.filter((code) => code === 'no error')).toHaveLength(3);
    expect(codes.filter((code) => code === 'no_capacity')).toHaveLength(5);
    expect(calls).toHaveLength(3);
    expect(pool.sessions()).toHaveLength(3);
  });

  it('G9 another host is tried when one says that it is full, or dies before it answers', async () => {
    const calls: Call[] = [];
    const error = { code: 'no_capacity' as const, message: 'full' };
    await listen('aaaaaaaa', {
      greeting: { sessions: [liveSession({ id: newId('session') })] },
      onCall: ({ n }, connection) => connection.say({ link: 'failure', n, error }),
    });
    const second = await listen('bbbbbbbb', { onCall: obliging(calls) });
    const { pool } = makePool();
    await pool.discover();
    await pool.open(request(), launch);
    expect(calls).toHaveLength(1);

    await second.close();
    await vi.waitFor(() => expect(pool.hosts.activeBackends).toBe(1));
    await listen('cccccccc', { onCall: obliging(calls) });
    const { pool: next } = makePool();
    await next.discover();
    await next.open(request(), launch);
    expect(calls).toHaveLength(2);
  });

  it('a session that is there is a conflict; a lower epoch is superseded', async () => {
    const session = liveSession({ id: newId('session'), epoch: 5 });
    const calls: Call[] = [];
    await listen('aaaaaaaa', { greeting: { sessions: [session] }, onCall: obliging(calls) });
    const { pool } = makePool();
    await pool.discover();
    expect(await codeOf(pool.open(request({ id: session.id, epoch: 5 }), launch))).toBe('conflict');
    expect(await codeOf(pool.open(request({ id: session.id, epoch: 4 }), launch))).toBe('epoch_superseded');
    const twice = request();
    const codes = await Promise.all([codeOf(pool.open(twice, launch)), codeOf(pool.open(twice, launch))]);
    expect(codes).toEqual(['no error', 'conflict']);
    expect(calls).toHaveLength(1);
  });

  it('R10 a higher epoch takes the place of the older incarnation', async () => {
    const old = liveSession({ id: newId('session'), epoch: 1, exit: { code: 0, signal: 0, at: 1 } });
    const calls: Call[] = [];
    await listen('aaaaaaaa', { greeting: { sessions: [old] }, onCall: obliging(calls) });
    const { pool, events } = makePool();
    await pool.discover();
    events.length = 0;
    await pool.open(request({ id: old.id, epoch: 2 }), launch);
    // Its host has the last screen of the older one, and takes it over.
    expect(calls.map(({ call }) => call)).toEqual(['open']);
    expect(pool.find(old.id)?.session.epoch).toBe(2);
    expect(events.map(({ event }) => event)).toEqual(['gone', 'session']);
  });

  it('R10 a higher epoch ends the older incarnation that still runs', async () => {
    const old = liveSession({ id: newId('session'), epoch: 1 });
    const calls: Call[] = [];
    await listen('aaaaaaaa', { greeting: { sessions: [old] }, onCall: obliging(calls) });
    const { pool, events } = makePool();
    await pool.discover();
    events.length = 0;
    await pool.open(request({ id: old.id, epoch: 2 }), launch);
    expect(calls.map(({ call }) => call)).toEqual(['end', 'open']);
    expect(calls[0]?.args).toEqual({ id: old.id, epoch: 1, forget: true });
    expect(pool.find(old.id)?.session.epoch).toBe(2);
    expect(events.map(({ event }) => event)).toEqual(['gone', 'session']);
  });

  it('a host that cannot start is tried a few times and then reported, and takes no slot for ever', async () => {
    const { pool } = makePool({ maxHosts: 1 });
    await pool.discover();
    expect(await codeOf(pool.open(request(), launch))).toBe('sidecar_unavailable');
    expect(await codeOf(pool.open(request(), launch))).toBe('sidecar_unavailable');
    expect(pool.hosts.activeBackends).toBe(0);
    expect(readdirSync(hostsDir)).toEqual([]);
  });
});

describe('Pool: placement', () => {
  const AGES_MS = 3_600_000;
  const times = { beatMs: 50, slowMs: AGES_MS, unresponsiveMs: 2 * AGES_MS };

  it('B2 a host that runs a flood gets no session while a quiet one has room, and gets them when none has', async () => {
    const [loud, quiet]: [Call[], Call[]] = [[], []];
    let cpuSeconds = 0;
    await listen('aaaaaaaa', {
      greeting: {
        capacity: 5,
        sessions: [liveSession({ id: newId('session') }), liveSession({ id: newId('session') })],
      },
      onCall: (call, connection) => {
        cpuSeconds += 10;
        if (call.call === 'beat') connection.say({ link: 'reply', n: call.n, result: { ...BEAT, cpuSeconds } });
        else obliging(loud)(call, connection);
      },
    });
    await listen('bbbbbbbb', { greeting: { capacity: 2 }, onCall: obliging(quiet) });
    const { pool } = makePool({ times });
    await pool.discover();
    await vi.waitFor(() => expect(pool.hosts.all().some(({ isBusy }) => isBusy)).toBe(true), 10_000);
    await pool.open(request(), launch);
    await pool.open(request(), launch);
    expect([loud.length, quiet.length]).toEqual([0, 2]);
    await pool.open(request(), launch);
    expect([loud.length, quiet.length]).toEqual([1, 2]);
    expect(pool.hosts.describe().metrics).toMatchObject({ totalSessions: 5, averageLoad: 5 / 7, cpuUsage: 1 });
  });

  it('R223 a slot is reserved by `acquire` at once, and given back by `release`', async () => {
    await listen('aaaaaaaa', { greeting: { capacity: 2 }, onCall: obliging([]) });
    const { pool } = makePool({ maxHosts: 1 });
    await pool.discover();
    expect(pool.hosts).toMatchObject({ capacity: 2, availableSlots: 2, activeBackends: 1 });
    const [one, two] = [newId('session'), newId('session')];
    const places = [pool.hosts.acquire(one), pool.hosts.acquire(two)];
    expect(pool.hosts.availableSlots).toBe(0);
    expect(await codeOf(pool.hosts.acquire(newId('session')))).toBe('no_capacity');
    pool.hosts.release(await (places[0] ?? Promise.reject()), one);
    expect(pool.hosts.availableSlots).toBe(1);
    expect(await codeOf(pool.hosts.acquire(newId('session')))).toBe('no error');
  });

  it('J15 what is no session goes to the emptiest quiet host', async () => {
    await listen('aaaaaaaa', { greeting: { sessions: [liveSession({ id: newId('session') })] }, onCall: obliging([]) });
    await listen('bbbbbbbb', { onCall: obliging([]) });
    const { pool } = makePool();
    await pool.discover();
    expect((await pool.anyHost()).hostId).toBe('bbbbbbbb');
  });

  it('B10 a host of an older link is asked by calls that it knows', async () => {
    const calls: Call[] = [];
    const session = liveSession({ id: newId('session') });
    await listen('aaaaaaaa', {
      greeting: { revision: 1, version: '0.0.1', sessions: [session] },
      onCall: obliging(calls),
    });
    const { pool } = makePool({ times: { ...times, slowMs: 2_000 }, maxHosts: 1 });
    await pool.discover();
    await vi.waitFor(() => expect(calls.length).toBeGreaterThan(3));
    expect(new Set(calls.map(({ call }) => call))).toEqual(new Set(['list']));
    expect(pool.hosts.describe().backends).toMatchObject([{ state: 'draining', version: '0.0.1', sessions: 1 }]);
    expect(pool.hosts).toMatchObject({ capacity: 2, availableSlots: 2 });
  });
});

describe('a host that is late or silent', () => {
  it('G4 the list says that it is not complete until every host of the run directory has answered', async () => {
    const { pool } = makePool();
    await listen('aaaaaaaa');
    const silent = await ScriptedHost.listen(join(hostsDir, 'bbbbbbbb.sock'), () => undefined);
    hosts.push(silent);
    await pool.discover();
    expect(pool.isComplete).toBe(false);
    expect(pool.sessions()).toEqual([]);
  });

  it('R10 a superseded session of a host that joins is ended', async () => {
    const id = newId('session');
    const calls: Call[] = [];
    await listen('aaaaaaaa', { greeting: { sessions: [liveSession({ id, epoch: 2 })] } });
    await listen('bbbbbbbb', { greeting: { sessions: [liveSession({ id, epoch: 1 })] }, onCall: obliging(calls) });
    const { pool } = makePool();
    await pool.discover();
    expect(pool.isComplete).toBe(true);
    await vi.waitFor(() =>
      expect(calls.map(({ call, args }) => ({ call, args }))).toEqual([
        { call: 'end', args: { id, epoch: 1, forget: true } },
      ]),
    );
    expect(pool.find(id)?.session.epoch).toBe(2);
  });
});
