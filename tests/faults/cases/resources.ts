/** Faults of what the machine gives: disk, handles, ptys, processes, memory of a child. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readyAnswerSchema, type TerminalSession } from '@/lib/protocol/rest';
import type { App } from '@/tests/harness/app';
import { isRunning, until } from '@/tests/harness/processes';
import { check, type FaultCase, type Scene } from '../case';
import { Cgroup, cgroupObstacle } from '../cgroup';
import { FaultClient } from '../client';
import type { LoadPlan } from '../load';
import { handlesOf, type Stack } from '../stack';
import { pickHost } from './hosts';

const SMALL_LOAD: LoadPlan = { writers: 2, typists: 2, idle: 2 };
const DISK_MB = 8;
const FAILURES = 100;
const EXTRA_VIEWERS = 12;
/** Memory of a group in which a child is ended. */
const CHILD_MEMORY_BYTES = 16 * 1024 * 1024;

const isRoot = process.getuid?.() === 0;

/** Why a mount in a namespace of its own cannot be made, or null. */
function mountObstacle(): string | null {
  if (isRoot && spawnSync('unshare', ['-m', 'true']).status === 0) return null;
  return 'it needs root and mounts (util-linux)';
}

function handlesObstacle(): string | null {
  return spawnSync('prlimit', ['--version']).status === 0 ? null : 'it needs prlimit (apt-get install util-linux)';
}

/** Whether writers go on: each prints, and its viewer sees it. */
async function expectFlow({ load, slack }: Scene): Promise<void> {
  const before = new Map(load.of('writer').map(({ writer }) => [writer, writer?.last ?? 0]));
  const isFlowing = () => [...before].every(([writer, last]) => (writer?.last ?? 0) > last + 5);
  await until('the writers go on', isFlowing, 10_000 * slack);
}

async function create({ stack, load }: Scene) {
  const { id, path } = await load.spareProject();
  const body = { projectId: id, projectPath: path, type: 'system', tabName: 'one more' };
  return stack.rest('POST', '/api/terminal/create', body);
}

/** Whether a new session can be opened; it is ended again. */
async function expectOpen({ stack, load }: Scene): Promise<void> {
  const project = await load.spareProject();
  let session: TerminalSession | null = null;
  const isOpened = async () => {
    session = await stack.createTerminal(project, 'fresh').catch(() => null);
    return session !== null;
  };
  await until('a session can be opened again', isOpened, 15_000);
  for (const { id, tabName } of await stack.terminals()) if (tabName === 'fresh') await stack.deleteTerminal(id);
}

/** Fills a file system to its last byte. */
function fill(file: string): void {
  const handle = openSync(file, 'w');
  try {
    for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 4)) {
      try {
        for (;;) writeSync(handle, Buffer.alloc(size));
      } catch {} // full: the same with smaller pieces
    }
  } finally {
    closeSync(handle);
  }
}

async function degraded(stack: Stack): Promise<string[]> {
  return readyAnswerSchema.parse((await stack.rest('GET', '/api/ready')).body).degraded;
}

/** A data directory of a few megabytes. */
function mountSmall({ dataDir }: App): () => void {
  mkdirSync(dataDir, { mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m,mode=0700`, 'holdfast-faults', dataDir]);
  return () => execFileSync('umount', ['-l', dataDir]);
}

/** Open handles of a process that it may have at most; null for the machine's own limit. */
function limitHandles(pid: number, count: number | null): void {
  const [, hard = '4096'] =
    /nofile +\S+ +(\d+)/i.exec(
      execFileSync('prlimit', ['--pid', String(pid), '--nofile', '--output', 'RESOURCE,SOFT,HARD', '--noheadings'], {
        encoding: 'utf8',
      }),
    ) ?? [];
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count ?? hard}:${hard}`]);
}

export const resourceCases: FaultCase[] = [
  {
    id: 'C24',
    title: 'the disk of the data directory is full',
    group: 'engine',
    stage: 'own',
    plan: { prepare: mountSmall },
    load: SMALL_LOAD,
    obstacle: mountObstacle,
    async run(scene) {
      const { stack, onEnd } = scene;
      const filler = join(stack.app.dataDir, 'filler');
      onEnd(() => rmSync(filler, { force: true }));
      const pids = [stack.gatewayPid, stack.webPid, ...stack.hosts().values()];
      fill(filler);
      const isTold = async () => (await degraded(stack)).length > 0;
      await until('the product says that it is degraded', isTold, 15_000);
      await expectFlow(scene);
      const { status } = await create(scene);
      check(status === 201 || status === 507, `a create was answered with ${status}`);
      fill(`${filler}.2`);
      await sleep(2_000);
      await expectFlow(scene);
      for (const name of ['filler', 'filler.2']) rmSync(join(stack.app.dataDir, name), { force: true });
      await until('it is whole again', async () => (await degraded(stack)).length === 0, 15_000);
      check(pids.every(isRunning), 'a process ended for the full disk');
      for (const { id, tabName } of await stack.terminals()) if (tabName === 'one more') await stack.deleteTerminal(id);
      await expectOpen(scene);
    },
  },
  {
    id: 'C25',
    title: 'gateway and host run out of handles',
    group: 'engine',
    stage: 'shared',
    obstacle: handlesObstacle,
    async run(scene) {
      const { stack, load, chance, onEnd, slack, say } = scene;
      const { gatewayPid } = stack;
      onEnd(() => limitHandles(gatewayPid, null));
      limitHandles(gatewayPid, handlesOf(gatewayPid).all + 3);
      const late: Promise<FaultClient>[] = [];
      for (let n = 0; n < EXTRA_VIEWERS; n++) {
        late.push(FaultClient.open(stack, chance.pick(load.living).id, { mode: 'read' }));
      }
      const settled = Promise.allSettled(late);
      await sleep(2_000);
      await expectFlow(scene);
      check(isRunning(gatewayPid) && stack.gatewayPid === gatewayPid, 'the gateway ended for want of handles');
      limitHandles(gatewayPid, null);
      const viewers = await settled;
      for (const viewer of viewers) {
        if (viewer.status !== 'fulfilled') continue;
        viewer.value.close();
        stack.clients.delete(viewer.value);
      }
      const missing = viewers.filter(({ status }) => status === 'rejected').length;
      check(missing === 0, `${missing} of ${EXTRA_VIEWERS} viewers did not come back when there were handles again`);

      const hosts = [...stack.hosts().values()];
      onEnd(() => {
        for (const pid of hosts.filter(isRunning)) limitHandles(pid, null);
      });
      for (const pid of hosts) limitHandles(pid, handlesOf(pid).all);
      const { status, body } = await create(scene);
      say(`with hosts at their limit a create was answered with ${status}`);
      check(status === 201 || status === 503, `a create was answered with ${status}: ${JSON.stringify(body)}`);
      await expectFlow(scene);
      for (const pid of hosts) limitHandles(pid, null);
      check(hosts.every(isRunning), 'a host ended for want of handles');
      for (const { id, tabName } of await stack.terminals()) if (tabName === 'one more') await stack.deleteTerminal(id);
      await until(
        'every viewer is live',
        () => [...stack.clients].every(({ kind }) => kind === 'live'),
        20_000 * slack,
      );
      await expectOpen(scene);
    },
  },
  {
    id: 'C26',
    title: 'there are no more ptys',
    group: 'engine',
    stage: 'own',
    // A pty file system of its own with a small limit: the machine's `kernel.pty.max` stays as it is.
    plan: {
      settings: { HOLDFAST_MAX_SESSIONS_PROJECT: '50' },
      wrap: [
        'unshare',
        '-m',
        'sh',
        '-c',
        'mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,max=8 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx && exec "$0" "$@"',
      ],
    },
    load: SMALL_LOAD,
    obstacle: mountObstacle,
    async run(scene) {
      const { stack, say } = scene;
      const opened: string[] = [];
      let refusal: unknown = null;
      while (refusal === null && opened.length < 10) {
        const { status, body } = await create(scene);
        if (status === 201)
          opened.push((await stack.terminals()).find(({ tabName }) => tabName === 'one more')?.id ?? '');
        else refusal = { status, ...(typeof body === 'object' ? body : {}) };
      }
      say(`after ${opened.length} more the answer is ${JSON.stringify(refusal).slice(0, 200)}`);
      const handles = handlesSum(stack);
      for (let n = 0; n < FAILURES; n++) {
        const { status, body } = await create(scene);
        check(status === 503, `create ${n} without ptys was answered with ${status}: ${JSON.stringify(body)}`);
        check(
          JSON.stringify(body).includes('pty_limit'),
          `the refusal does not name pty_limit: ${JSON.stringify(body)}`,
        );
      }
      const grown = handlesSum(stack) - handles;
      check(grown <= 5, `${FAILURES} failures left ${grown} handles open`);
      await expectFlow(scene);
      for (const { id, tabName } of await stack.terminals()) if (tabName === 'one more') await stack.deleteTerminal(id);
      await expectOpen(scene);
    },
  },
  {
    id: 'C27',
    title: 'there are no more processes',
    group: 'engine',
    stage: 'own',
    plan: { settings: { BACKEND_POOL_SIZE: '1', MAX_SESSIONS_PER_BACKEND: '20' } },
    load: SMALL_LOAD,
    obstacle: () => cgroupObstacle('pids'),
    async run(scene) {
      const { stack, onEnd } = scene;
      const group = new Cgroup('pids');
      onEnd(() => group.remove());
      const [pid] = [...stack.hosts().values()];
      check(pid !== undefined, 'there is no host');
      group.take(pid);
      group.limit(group.tasks);
      const { status, body } = await create(scene);
      check(status === 503, `a create was answered with ${status}: ${JSON.stringify(body)}`);
      await expectFlow(scene);
      check(isRunning(pid), 'the host ended for want of processes');
      group.limit(null);
      await expectOpen(scene);
    },
  },
  {
    id: 'C29',
    title: 'the kernel ends a child of a session for memory',
    group: 'engine',
    stage: 'shared',
    obstacle: () => cgroupObstacle('memory'),
    async run({ stack, load, chance, onEnd, slack }) {
      const victim = pickHost(stack, load, chance, 'idle');
      const member = victim.members.find(({ kind }) => kind === 'idle') ?? chance.pick(load.of('idle'));
      const group = new Cgroup('memory');
      onEnd(() => group.remove());
      group.limit(CHILD_MEMORY_BYTES);
      const watcher = await FaultClient.open(stack, member.id, { mode: 'read', hasTerminal: true });
      onEnd(() => {
        watcher.close();
        stack.clients.delete(watcher);
      });
      const hungry = 'awk \'BEGIN { s = "x"; for (;;) s = s s }\'';
      member.client.type(`sh -c 'echo $$ > ${group.processesFile}; exec "$@"' - ${hungry}; echo "code $?"\r`);
      const text = () => {
        const buffer = watcher.terminal?.buffer.active;
        return Array.from({ length: buffer?.length ?? 0 }, (_, y) => buffer?.getLine(y)?.translateToString(true)).join(
          '\n',
        );
      };
      await until('the session shows what happened', () => /code 137/.test(text()), 30_000 * slack);
      check(/Killed/.test(text()), 'nothing is said of the kill');
      member.client.type('clear\r');
    },
  },
];

function handlesSum(stack: Stack): number {
  const pids = [stack.gatewayPid, stack.webPid, ...stack.hosts().values()];
  return pids.reduce((sum, pid) => sum + (readdirSync(`/proc/${pid}/fd`).length ?? 0), 0);
}
