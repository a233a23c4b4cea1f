/** A file that one process at a time holds. What a process left that was killed is taken over. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { startTimeOf } from '@/lib/processes';
import { systemCode } from '@/lib/system-code';

const ATTEMPTS_MAX = 3;

/**
 * Takes the lock.
 * @returns the pid of the living process that holds it, this one included; null when it is ours now
 */
export function takeLock(file: string): number | null {
  for (let attempt = 1; ; attempt++) {
    try {
      writeFileSync(file, `${process.pid} ${startTimeOf(process.pid)}\n`, { mode: 0o600, flag: 'wx' });
      return null;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    const holder = holderOf(file);
    if (holder !== null || attempt === ATTEMPTS_MAX) return holder ?? process.pid;
    rmSync(file, { force: true });
  }
}

/** Gives the lock back. */
export function releaseLock(file: string): void {
  rmSync(file, { force: true });
}

function holderOf(file: string): number | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
  const [pid = '', startTime = ''] = text.trim().split(' ');
  return isAlive(Number(pid)) && startTimeOf(Number(pid)) === startTime ? Number(pid) : null;
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
