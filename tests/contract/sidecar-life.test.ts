/** The life of sessions through a real gateway: what ends with them, what ends them, and what never does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { controlErrorSchema, type LiveSession, sessionReplySchema, sessionsReplySchema } from '@/lib/protocol/control';
import { isRunning, signal, until } from '@/tests/harness/processes';
import type { Sidecar } from '@/tests/harness/sidecar';
import { sidecarPerTest } from '@/tests/harness/sidecar-per-test';
import type { Viewer } from '@/tests/harness/viewer';

const start = sidecarPerTest();
const strangers: ChildProcess[] = [];
const daemons: number[] = [];

afterEach(() => {
  for (const stranger of strangers.splice(0)) stranger.kill('SIGKILL');
  for (const pid of daemons.splice(0)) signal(pid, 'SIGKILL');
});

async function sessionsOf(sidecar: Sidecar): Promise<Map<string, LiveSession>> {
  const { sessions } = sessionsReplySchema.parse((await sidecar.control('GET', '/v1/sessions')).json);
  return new Map(sessions.map((session) => [session.id, session]));
}

async function end(sidecar: Sidecar, id: string): Promise<LiveSession> {
  return sessionReplySchema.parse((await sidecar.control('DELETE', `/v1/sessions/${id}`)).json).session;
}

async function attachTo(sidecar: Sidecar, session: LiveSession): Promise<Viewer> {
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  return viewer;
}

/** Runs a line that writes pids to files, one for each name, and gives the pids. */
async function runNoting(sidecar: Sidecar, viewer: Viewer, line: string, names: string[]): Promise<number[]> {
  await viewer.line(line);
  const read = (name: string) => {
    try {
      return Number(readFileSync(join(sidecar.homeDir, name), 'utf8'));
    } catch {
      return 0;
    }
  };
  await until(`pids of ${names}`, () => names.every((name) => read(name) > 0));
  const pids = names.map(read);
  daemons.push(...pids);
  return pids;
}

/** Opens a session and runs a line in it that leaves something running; nobody looks at it afterwards. */
async function openBusy(sidecar: Sidecar, line: string): Promise<LiveSession> {
  const session = await sidecar.openSession();
  const viewer = await attachTo(sidecar, session);
  await viewer.line(`${line}`);
  await until(`${line} runs`, async () => {
    const facts = (await sessionsOf(sidecar)).get(session.id);
    return facts?.foreground !== null || viewer.text.includes('left-42');
  });
  await viewer.close();
  return session;
}

const LEAVERS = [
  '(sleep 1001 & echo $! >job; nohup sleep 1002 >/dev/null 2>&1 & echo $! >nohup)',
  'setsid sh -c "echo \\$\\$ >setsid; exec sleep 1003" &',
  '(setsid sh -c "echo \\$\\$ >double; trap : HUP; while :; do sleep 1; done" &)',
  'sh -c "echo \\$\\$ >stopped; kill -STOP \\$\\$" &',
]
  .join('; ')
  .replaceAll('&;', '&');
const LEFT = ['job', 'nohup', 'setsid', 'double', 'stopped'];

describe('what ends with a session', () => {
  it('T3 T4 a closed window ends nothing; ending the session ends all that it has started', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const viewer = await attachTo(sidecar, session);
    const pids = await runNoting(sidecar, viewer, LEAVERS, LEFT);
    await viewer.close();
    await until('nobody looks', async () => (await sessionsOf(sidecar)).get(session.id)?.viewers === 0);
    expect([session.pid, ...pids].every(isRunning)).toBe(true);

    const ended = await end(sidecar, session.id);
    expect(ended).toMatchObject({ state: 'ended', exit: { reason: 'closed' } });
    expect([session.pid, ...pids].filter(isRunning)).toEqual([]);
  });

  it('T5 a shell that ends by itself leaves its daemons alone, until its tab is deleted', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const viewer = await attachTo(sidecar, session);
    const line =
      'nohup sleep 1001 >/dev/null 2>&1 & echo $! >nohup; setsid sh -c "echo \\$\\$ >setsid; exec sleep 1002" &';
    const pids = await runNoting(sidecar, viewer, line, ['nohup', 'setsid']);
    await viewer.line('exit 3');
    await viewer.closed;
    expect(viewer.events.find(({ event }) => event === 'exit')).toEqual({
      event: 'exit',
      code: 3,
      signal: 0,
      reason: 'exited',
    });
    expect((await sessionsOf(sidecar)).get(session.id)).toMatchObject({ state: 'ended', exit: { reason: 'exited' } });
    expect(pids.every(isRunning)).toBe(true);
    await end(sidecar, session.id);
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('T7 T8 what a crashed host has left is ended by another host, and nothing of a stranger’s', async () => {
    const sidecar = await start();
    const session = await sidecar.openSession();
    const viewer = await attachTo(sidecar, session);
    const pids = await runNoting(sidecar, viewer, LEAVERS, LEFT);
    const [hostPid = 0] = sidecar.hostPids();
    const variables = readFileSync(`/proc/${session.pid}/environ`, 'utf8').split('\0');
    const mark =
      variables.find((variable) => variable.startsWith('HOLDFAST_HOST='))?.slice('HOLDFAST_HOST='.length) ?? '';
    expect(mark.split(':')).toEqual([session.hostId, String(hostPid), expect.stringMatching(/^\d+$/)]);
    const foreign = [mark.replace(/\d$/, 'x'), mark.replace(session.hostId, 'otherone'), ''].map((host) => {
      const carries = [`HOLDFAST_SESSION=${session.id}`, `HOLDFAST_HOST=${host}`];
      const stranger = spawn('env', [...carries, 'sleep', '1000'], { stdio: 'ignore', detached: true });
      strangers.push(stranger);
      return stranger.pid ?? 0;
    });
    signal(hostPid, 'SIGKILL');
    await until('the host is gone', () => !isRunning(hostPid));
    // A host that starts looks; there may be one already, which looks every 5 s.
    await sidecar.openSession();
    await until('the orphans are gone', () => !pids.some(isRunning), 20_000);
    expect(foreign.every(isRunning)).toBe(true);
    expect(sidecar.hostPids().length).toBeGreaterThan(0);
  });

  it('T2 T20 a host that is told to end names the programs that end with it, and the reason reaches viewers', async () => {
    const sidecar = await start();
    const session = await openBusy(sidecar, 'sleep 1000');
    const viewer = await attachTo(sidecar, session);
    for (const pid of sidecar.hostPids()) signal(pid, 'SIGTERM');
    expect(await viewer.event('exit')).toMatchObject({ reason: 'node-shutdown' });
    const log = readFileSync(join(sidecar.dataDir, 'logs', 'host.log'), 'utf8');
    const line = log.split('\n').find((text) => text.includes('a program ends with its host')) ?? '{}';
    expect(JSON.parse(line)).toMatchObject({ session: session.id, foreground: 'sleep' });
  });
});

describe('the idle rule', () => {
  it('T9 T11 T12 a bare shell ends after the idle time, announced before; what runs, is pinned or watched stays', async () => {
    const sidecar = await start({
      env: { HOLDFAST_IDLE_SECONDS: '6', HOLDFAST_AGENT_COMMAND: 'sleep 1000', MAX_SESSIONS_PER_BACKEND: '20' },
    });
    const busy = [
      await openBusy(sidecar, 'sleep 1000 &'),
      await openBusy(sidecar, 'vi 2>/dev/null || sleep 1000'),
      await openBusy(sidecar, '(setsid sleep 1000 >/dev/null 2>&1 &) ; echo left-$((40+2))'),
      await openBusy(sidecar, '(setsid sh -c "sleep 1000; true" >/dev/null 2>&1 &) ; echo left-$((40+2))'),
      await openBusy(sidecar, 'sh -c "kill -STOP \\$\\$"'),
      await sidecar.openSession({ type: 'claude' }),
    ];
    const pinned = await sidecar.openSession({ label: { pinned: true } });
    const watched = await sidecar.openSession();
    await attachTo(sidecar, watched);
    const bare = await sidecar.openSession();

    const factsOf = async (id: string) => (await sessionsOf(sidecar)).get(id);
    await until('the end is announced', async () => typeof (await factsOf(bare.id))?.idleEndsAt === 'number', 30_000);
    expect((await factsOf(bare.id))?.exit).toBeNull();
    await until('it has ended', async () => (await factsOf(bare.id))?.exit?.reason === 'idle', 30_000);
    await until('the pinned one is inactive', async () => (await factsOf(pinned.id))?.state === 'inactive', 30_000);
    // Those that are busy are as old as the bare one, and have been looked at once or twice by now.
    const facts = await sessionsOf(sidecar);
    for (const { id } of [...busy, pinned, watched]) expect(facts.get(id)?.exit, id).toBeNull();
    for (const { id, pid } of busy) {
      expect(facts.get(id)).toMatchObject({ state: 'active', idleEndsAt: null });
      expect(isRunning(pid)).toBe(true);
    }
    expect(isRunning(bare.pid)).toBe(false);
  }, 90_000);

  it('T10 keep and a viewer put an announced end off', async () => {
    const sidecar = await start({ env: { HOLDFAST_IDLE_SECONDS: '9' } });
    const sessions = await Promise.all([1, 2].map(() => sidecar.openSession()));
    const [kept, looked] = sessions;
    if (!kept || !looked) throw new Error('unreachable');
    const announced = async (id: string) => (await sessionsOf(sidecar)).get(id)?.idleEndsAt ?? null;
    const isAnnounced = async () => (await announced(kept.id)) !== null && (await announced(looked.id)) !== null;
    await until('both are announced', isAnnounced, 30_000);
    const answer = await sidecar.control('POST', `/v1/sessions/${kept.id}/keep`);
    expect(sessionReplySchema.parse(answer.json).session).toMatchObject({ idleEndsAt: null, exit: null });
    const viewer = await attachTo(sidecar, looked);
    expect(await viewer.event('idle')).toEqual({ event: 'idle', endsAt: null });
    await until('it is off', async () => (await announced(looked.id)) === null);
    expect(sessions.every(({ pid }) => isRunning(pid))).toBe(true);
    expect((await sidecar.control('POST', '/v1/sessions/session_1700000000000_abcdefgh/keep')).status).toBe(404);
  }, 60_000);
});

describe('limits', () => {
  it('T15 fifty opens at once leave exactly the limit of the node, and the others hear which limit it was', async () => {
    const sidecar = await start({ env: { HOLDFAST_MAX_SESSIONS_NODE: '4' } });
    const open = () => sidecar.control('POST', '/v1/sessions', sidecar.openRequest());
    const answers = await Promise.all(Array.from({ length: 50 }, open));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
    for (const { status, json } of answers.filter(({ status }) => status !== 200)) {
      expect(status).toBe(409);
      const details = { limit: 'node', max: 4 };
      expect(controlErrorSchema.parse(json).error).toMatchObject({ code: 'session_limit_reached', details });
    }
    const [first] = (await sessionsOf(sidecar)).keys();
    await end(sidecar, first ?? '');
    expect([(await open()).status, (await open()).status]).toEqual([200, 409]);
  });

  it('T15 T16 the cluster and full hosts name themselves', async () => {
    const tight = await start({ env: { HOLDFAST_MAX_SESSIONS_CLUSTER: '1' } });
    await tight.openSession();
    const refused = await tight.control('POST', '/v1/sessions', tight.openRequest());
    expect(controlErrorSchema.parse(refused.json).error.details).toEqual({ limit: 'cluster', max: 1 });
    const full = await start({
      env: { MAX_SESSIONS_PER_BACKEND: '1', BACKEND_POOL_SIZE: '1', HOLDFAST_MAX_SESSIONS_NODE: '5' },
    });
    await full.openSession();
    const { error } = controlErrorSchema.parse((await full.control('POST', '/v1/sessions', full.openRequest())).json);
    expect(error).toMatchObject({ code: 'no_capacity', details: { limit: 'host', max: 1 } });
  });
});

describe('memory', () => {
  it('T17 T18 T19 above its limit the node refuses new sessions and ends bare idle ones, oldest first, but five', async () => {
    const sidecar = await start({
      // The processes need more than this from the start.
      env: {
        HOLDFAST_MEMORY_MB: '64',
        HOLDFAST_MEMORY_CHECK_SECONDS: '2',
        HOLDFAST_IDLE_SECONDS: '90',
        MAX_SESSIONS_PER_BACKEND: '20',
        HOLDFAST_AGENT_COMMAND: 'sleep 1000',
      },
    });
    const lines = ['sleep 1000', 'vi 2>/dev/null || sleep 1000', 'sleep 1000 &'];
    const open = [
      ...lines.map((line) => openBusy(sidecar, line)),
      openBusy(sidecar, '(setsid sleep 1000 >/dev/null 2>&1 &) ; echo left-$((40+2))'),
      sidecar.openSession({ type: 'claude' }),
      sidecar.openSession({ label: { pinned: true } }),
      ...Array.from({ length: 7 }, () => sidecar.openSession()),
    ];
    const sessions = await Promise.all(open);
    const stay = sessions.slice(0, 6);
    const bare = sessions.slice(6);
    let refusal: unknown;
    await until(
      'new sessions are refused',
      async () => {
        const { status, json } = await sidecar.control(
          'POST',
          '/v1/sessions',
          sidecar.openRequest({ cwd: '/nowhere' }),
        );
        refusal = json;
        return status === 503;
      },
      30_000,
    );
    // An end is output, too: what is oldest is settled before anything ends.
    const before = await sessionsOf(sidecar);
    expect([...before.values()].filter(({ exit }) => exit)).toEqual([]);
    const details = { reason: 'memory' };
    expect(controlErrorSchema.parse(refusal).error).toMatchObject({ code: 'no_capacity', details });
    await until(
      'two idle ones have ended',
      async () => [...(await sessionsOf(sidecar)).values()].filter(({ exit }) => exit).length === 2,
      60_000,
    );
    const facts = await sessionsOf(sidecar);
    for (const { id } of stay) expect(facts.get(id)?.exit, id).toBeNull();
    const lastActivity = (id: string) => before.get(id)?.lastActivity ?? 0;
    const byAge = bare.map(({ id }) => id).sort((a, b) => lastActivity(a) - lastActivity(b));
    expect(byAge.slice(0, 2).map((id) => facts.get(id)?.exit?.reason)).toEqual(['memory', 'memory']);
    expect(byAge.slice(2).map((id) => facts.get(id)?.exit)).toEqual([null, null, null, null, null]);
    expect(sidecar.logs.some((line) => line.includes('near its limit'))).toBe(true);
  }, 120_000);
});
