/** What tells a process from a later one with its pid. */
import { readFileSync } from 'node:fs';
import { systemCode } from './system-code';

/**
 * When a process started, as the kernel counts it (field 22 of proc(5)'s stat); null when there is no such process or only
 * its remains, '' where the system does not tell.
 */
export function startTimeOf(pid: number): string | null {
  if (process.platform !== 'linux') return '';
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(systemCode(error) ?? '')) return null;
    throw error;
  }
  // The command name, in parentheses, may hold spaces and parentheses itself: count from the last one (field 3).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  return fields[22 - 3] ?? '';
}
