/** Faults of a pty host. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndReason } from '@/lib/protocol/wire';
import { isRunning, signal, until } from '@/tests/harness/processes';
import { type Chance, check, type FaultCase, type Scene } from '../case';
import { Cgroup, cgroupObstacle } from '../cgroup';
import type { Load, Member } from '../load';
import type { Stack } from '../stack';

/** What a host has printed is on disk after this time at most (ms). */
const FLUSH_MS = 1_200;
const LOST_DEADLINE_MS = 5_000;
const OPEN_DEADLINE_MS = 2_000;
const FREEZE_MS = 14_000;
/** A host looks once a second in which group it is, and its journal says so a little later. */
const NOTE_MS = 3_000;
/** Less than the rings of a few sessions. */
const HOST_MEMORY_BYTES = 12 * 1024 * 1024;

type Victim = { hostId: string; pid: number; members: Member[] };

/** A host that has sessions of the load, and one of each wanted kind. */
export function pickHost(stack: Stack, load: Load, chance: Chance, ...wanted: Member['kind'][]): Victim {
  const hosts = [...stack.hosts()].map(([hostId, pid]) => ({ hostId, pid, members: load.on(hostId) }));
  const full = hosts.filter(({ members }) => members.length > 0);
  const fit = full.filter(({ members }) => wanted.every((kind) => members.some((member) => member.kind === kind)));
  return chance.pick(fit.length > 0 ? fit : full);
}

/** The sessions of a dead host are lost or ended, with the reason, everywhere where it is told. */
async function expectOver(
  { stack, slack }: Scene,
  { members }: Victim,
  { since, status, reason }: { since: number; status: 'lost' | 'ended'; reason: EndReason },
): Promise<void> {
  const deadlineMs = LOST_DEADLINE_MS * slack;
  for (const { id, name, client } of members) {
    const isTold = async () => {
      const session = await stack.terminal(id);
      return session.status === status && session.exit?.reason === reason;
    };
    const left = Math.max(1_000, since + deadlineMs - performance.now());
    await until(`the record of ${name} says ${status}, ${reason}`, isTold, left);
    await client.isOver(left);
    const exit = client.heard('exit', since)?.event;
    check(exit?.reason === reason, `the viewer of ${name} was told ${JSON.stringify(exit)}`);
  }
}

/** The last screens can still be read; writers had printed at least so far. */
async function expectReadable({ stack }: Scene, printed: Map<Member, number>): Promise<void> {
  for (const [member, last] of printed) {
    const { output } = await stack.terminal(member.id);
    const numbers = output.flatMap((line) => Number(/^writer\d+ (\d{8}) /.exec(line)?.[1] ?? []));
    const newest = Math.max(0, ...numbers);
    check(newest >= last, `${member.name} can be read up to line ${newest}, and line ${last} was on its screen`);
  }
}

function printedBy(members: Member[]): Map<Member, number> {
  return new Map(members.flatMap((member) => (member.writer ? [[member, member.writer.last] as const] : [])));
}

/** A new session opens in time; it is ended again. */
async function expectOpen({ stack, load, slack }: Scene): Promise<void> {
  const startedAt = performance.now();
  const session = await stack.createTerminal(await load.spareProject(), 'fresh');
  const ms = performance.now() - startedAt;
  await stack.deleteTerminal(session.id);
  check(ms <= OPEN_DEADLINE_MS * slack, `a new session took ${Math.round(ms)} ms`);
}

export const hostCases: FaultCase[] = [
  {
    id: 'C03',
    title: 'a pty host is killed',
    group: 'engine',
    stage: 'shared',
    isQuick: true,
    async run(scene) {
      const { stack, load, chance, say } = scene;
      const victim = pickHost(stack, load, chance, 'writer');
      const printed = printedBy(victim.members);
      await sleep(FLUSH_MS);
      for (const { id } of victim.members) load.lost.add(id);
      const since = performance.now();
      signal(victim.pid, 'SIGKILL');
      await expectOver(scene, victim, { since, status: 'lost', reason: 'host-crash' });
      await expectReadable(scene, printed);
      await expectOpen(scene);
      say(`${victim.members.length} sessions were lost and said so`);
    },
  },
  {
    id: 'C04',
    title: 'a pty host stands still and goes on',
    group: 'engine',
    stage: 'shared',
    async run({ stack, load, chance, onEnd, slack, say }) {
      const victim = pickHost(stack, load, chance, 'writer', 'typist');
      const restarts = (await stack.pool()).restarts.count;
      const since = performance.now();
      signal(victim.pid, 'SIGSTOP');
      onEnd(() => signal(victim.pid, 'SIGCONT'));
      await sleep(FREEZE_MS);
      for (const { name, client } of victim.members) {
        const states = client.events.flatMap(({ at, event }) =>
          event.event === 'host' && at >= since ? [{ state: event.state, ms: at - since }] : [],
        );
        const slow = states.find(({ state }) => state === 'slow');
        const silent = states.find(({ state }) => state === 'unresponsive');
        check(
          slow !== undefined && slow.ms >= 900 && slow.ms <= 11_500 * slack,
          `${name} heard ${JSON.stringify(states)}`,
        );
        check(silent !== undefined && silent.ms > slow.ms, `${name} heard ${JSON.stringify(states)}`);
      }
      signal(victim.pid, 'SIGCONT');
      const back = performance.now();
      for (const { name, client } of victim.members) {
        const isOk = () => client.heard('host', back)?.event.state === 'ok';
        await until(`${name} hears that the host is back`, isOk, 10_000 * slack);
      }
      check(isRunning(victim.pid), 'the host was ended for its silence');
      check((await stack.pool()).restarts.count === restarts, 'a host was started again for its silence');
      say(`${victim.members.length} sessions were silent for ${FREEZE_MS / 1000} s`);
    },
  },
  {
    id: 'C28',
    title: 'the kernel ends a pty host for memory',
    group: 'engine',
    stage: 'shared',
    obstacle: () => cgroupObstacle('memory'),
    async run(scene) {
      const { stack, load, chance, onEnd, slack } = scene;
      const victim = pickHost(stack, load, chance, 'idle');
      const group = new Cgroup('memory');
      onEnd(() => group.remove());
      group.take(victim.pid);
      await sleep(NOTE_MS);
      group.limit(HOST_MEMORY_BYTES);
      const restarts = (await stack.pool()).restarts;
      for (const { id } of victim.members) load.lost.add(id);
      const since = performance.now();
      for (const { kind, client } of victim.members) if (kind === 'idle') client.type('base64 -w 60 /dev/urandom\r');
      for (const member of victim.members) if (member.kind === 'writer') load.burst(member, 1_000_000);
      await until('the kernel ends the host', () => !isRunning(victim.pid), 60_000 * slack);
      await expectOver(scene, victim, {
        since: Math.max(since, performance.now() - 1_000),
        status: 'lost',
        reason: 'oom',
      });
      await expectOpen(scene);
      const now = (await stack.pool()).restarts;
      check(now.count <= restarts.count + 1 && now.count <= now.max, `hosts were started again ${now.count} times`);
    },
  },
  {
    id: 'C38',
    title: 'a pty host is told to end while programs run in it',
    group: 'engine',
    stage: 'shared',
    async run(scene) {
      const { stack, load, chance } = scene;
      const victim = pickHost(stack, load, chance, 'writer');
      const printed = printedBy(victim.members);
      for (const { id } of victim.members) load.lost.add(id);
      const since = performance.now();
      signal(victim.pid, 'SIGTERM');
      await until('the host ends', () => !isRunning(victim.pid), 15_000);
      await expectOver(scene, victim, { since, status: 'ended', reason: 'node-shutdown' });
      await expectReadable(scene, printed);
      const log = readFileSync(join(stack.logsDir, 'host.log'), 'utf8');
      for (const { kind, name, id } of victim.members) {
        if (kind !== 'idle') check(log.includes(id), `the log of the host does not name ${name}, which was busy`);
      }
    },
  },
];
