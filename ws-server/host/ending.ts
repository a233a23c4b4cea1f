/** Ending everything that a session has started: HUP, then KILL, until nothing is left of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Belonging, membersOf, takeCensus } from './census';
import type { Group } from './cgroup';
import { isAlive, type ProcessRef, signal } from './processes';

/** Between HUP and KILL, and from the first KILL to giving up (ms). */
const GRACE_MS = 2_000;
const KILL_MS = 2_000;
/** How long a KILL may take before it is sent again (ms). */
const KILL_AGAIN_MS = 200;
const POLL_MS = 25;

/** Whose processes to end: see `Belonging`. */
export type Ending = Pick<Belonging, 'id' | 'mark' | 'leader'> & { groups: readonly Group[] };

/**
 * Ends the processes of a session, those that have left its terminal included: HUP, then KILL after 2 s to what still runs.
 * What starts meanwhile is found by looking again until nothing is left. Resolves after about 4 s at the latest with those that
 * could not be ended, because another user owns them or the kernel holds them.
 */
export async function endProcesses({ groups, ...session }: Ending): Promise<ProcessRef[]> {
  if (session.leader?.startTime === '') return endUnseen(session.leader);
  await Promise.all(groups.map(({ joined }) => joined));
  const known = new Map<number, ProcessRef>();
  /** Who is in a cgroup of the session and none of its own, as a host that was started in it. */
  let guests: number[] = [];
  const find = async () => {
    const grouped = groups.flatMap((group) => group.pids());
    const census = await takeCensus();
    const members = membersOf(census, { ...session, known: [...known.values()], grouped });
    guests = grouped.filter((pid) => census.has(pid) && members.every((member) => member.pid !== pid));
    return members.filter(({ pid }) => pid !== process.pid);
  };

  const graceUntil = Date.now() + GRACE_MS;
  let left = await find();
  while (left.length > 0 && Date.now() < graceUntil) {
    for (const member of left) {
      if (known.get(member.pid)?.startTime === member.startTime) continue;
      known.set(member.pid, member);
      signal(member, 'SIGHUP');
      signal(member, 'SIGCONT'); // a stopped job hears nothing
    }
    await gone(left, isAlive, graceUntil);
    left = await find();
  }

  const killUntil = Date.now() + KILL_MS;
  while (left.length > 0 && Date.now() < killUntil) {
    if (guests.length === 0) for (const group of groups) group.kill();
    for (const member of left) {
      known.set(member.pid, member);
      signal(member, 'SIGKILL');
    }
    await gone(left, isAlive, Math.min(Date.now() + KILL_AGAIN_MS, killUntil));
    left = await find();
  }
  for (const group of groups) group.remove();
  return left.map(({ pid, startTime }) => ({ pid, startTime }));
}

/** Where there is no /proc: only the shell, which nobody else has reaped, and with it its terminal. */
async function endUnseen(leader: ProcessRef): Promise<ProcessRef[]> {
  signal(leader, 'SIGHUP');
  signal(leader, 'SIGCONT');
  await gone([leader], (ref) => signal(ref, 0), Date.now() + GRACE_MS);
  signal(leader, 'SIGKILL');
  return [];
}

async function gone(
  processes: readonly ProcessRef[],
  isThere: (ref: ProcessRef) => boolean,
  deadline: number,
): Promise<void> {
  while (Date.now() < deadline && processes.some(isThere)) await sleep(POLL_MS);
}
