/** Ending everything that runs in a terminal. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, type ProcessRef, sessionMembers, signal } from './processes';

/** Between HUP and KILL, and after KILL (ms). */
const GRACE_MS = 2_000;
const POLL_MS = 25;

/**
 * Ends the leader of a terminal and all jobs of its kernel session, in foreground and background: HUP, then KILL after 2 s to
 * what still runs. Resolves when they are gone, after 4 s at the latest.
 */
export async function endTerminal(leader: ProcessRef): Promise<void> {
  const members = sessionMembers(leader.pid);
  if (members.length === 0) members.push(leader);
  for (const member of members) {
    signal(member, 'SIGHUP');
    signal(member, 'SIGCONT'); // a stopped job hears nothing
  }
  await gone(members);
  const left = [...members, ...sessionMembers(leader.pid)];
  for (const member of left) signal(member, 'SIGKILL');
  await gone(left);
}

async function gone(processes: ProcessRef[]): Promise<void> {
  const deadline = Date.now() + GRACE_MS;
  while (Date.now() < deadline && processes.some(isAlive)) await sleep(POLL_MS);
}
