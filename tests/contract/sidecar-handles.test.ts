/** A gateway or host without a free file handle: what runs goes on, what is new is refused, and all is well once there are some. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { controlErrorSchema } from '@/lib/protocol/control';
import { isRunning, until } from '@/tests/harness/processes';
import type { Sidecar } from '@/tests/harness/sidecar';
import { sidecarPerTest } from '@/tests/harness/sidecar-per-test';
import type { Viewer } from '@/tests/harness/viewer';

const startSidecar = sidecarPerTest();
/** One host without journals, which open their handles when they like. */
const start = () => startSidecar({ env: { BACKEND_POOL_SIZE: '1', HOLDFAST_HISTORY: 'memory' } });

const handlesOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).map(Number);
const allowHandles = (pid: number, max: number) =>
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${max}:`], { stdio: 'ignore' });

/** Leaves a process so many free handles: the limit is on their numbers, of which the lowest free one is taken. */
function limitHandles(pid: number, spare: number): void {
  const taken = new Set(handlesOf(pid));
  let max = 0;
  for (let free = 0; free < spare || taken.has(max); max++) if (!taken.has(max)) free++;
  allowHandles(pid, max);
}

async function echoes(viewer: Viewer, n: number): Promise<void> {
  await viewer.line(`echo e-$((${n}+1000));`);
  await viewer.waitForText(`e-${n + 1000}`);
}

async function tryOpen(sidecar: Sidecar): Promise<{ code: string; reason: unknown }> {
  const { status, json } = await sidecar.control('POST', '/v1/sessions', sidecar.openRequest());
  if (status === 200) return { code: 'opened', reason: null };
  const { code, details } = controlErrorSchema.parse(json).error;
  return { code, reason: details?.['reason'] };
}

it('T21 T22 a host without handles refuses 100 new sessions with 503, leaks nothing, and its sessions go on', async () => {
  const sidecar = await start();
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  await echoes(viewer, 1);
  const [host = 0] = sidecar.hostPids();
  const before = handlesOf(host).length;
  let refused = 0;
  for (const spare of [0, 1, 2]) {
    // With some handles to spare it fails later on the way to a pty.
    limitHandles(host, spare);
    for (let n = 0; n < 34; n++) {
      const answer = await tryOpen(sidecar);

      expect(answer).toEqual({ code: 'no_capacity', reason: expect.stringMatching(/^(pty_limit|handle_limit)$/) });
      refused++;
    }
    await echoes(viewer, 2 + spare);
  }
  expect(refused).toBe(102);
  const log = readFileSync(join(sidecar.dataDir, 'logs', 'host.log'), 'utf8');
  expect(log.split('\n').filter((line) => line.includes('"uncaught"'))).toEqual([]);
  allowHandles(host, 4096);
  await until('it opens again', async () => (await tryOpen(sidecar)).code === 'opened');
  expect(isRunning(host) && isRunning(session.pid)).toBe(true);
  expect(viewer.ending).toBeNull();
  for (const { id } of JSON.parse((await sidecar.control('GET', '/v1/sessions')).body).sessions) {
    if (id !== session.id) await sidecar.control('DELETE', `/v1/sessions/${id}`);
  }
  await until('no handle is left', () => handlesOf(host).length <= before);
}, 60_000);

it('T21 a gateway without handles keeps its sockets, refuses others, and takes them when it has handles', async () => {
  const sidecar = await start();
  const session = await sidecar.openSession();
  const viewer = await sidecar.connect(session);
  await viewer.attach();
  await echoes(viewer, 1);
  const pid = sidecar.gatewayPid;
  for (const spare of [0, 1]) {
    limitHandles(pid, spare);
    for (let n = 0; n < 5; n++) {
      const other = await sidecar.connect(session).catch(() => null);
      if (!other) continue; // accepted and closed
      await other.attach().catch(() => undefined);
      // With a handle for the browser and none for the host: to be tried again.
      expect((await other.closed).code).toBe(1012);
    }
    await echoes(viewer, 2 + spare);
  }
  allowHandles(pid, 4096);
  const late = await sidecar.connect(session);
  await late.attach();
  await echoes(late, 9);
  expect(sidecar.gatewayPid).toBe(pid);
  expect(isRunning(pid)).toBe(true);
  expect(viewer.ending).toBeNull();
}, 60_000);
