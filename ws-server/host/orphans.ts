/**
 * What hosts that crashed have left: the kernel hangs up their terminals, but what has left its terminal lives on. Each host
 * looks at the records of its run directory, and for one whose process is gone (by pid and start time) ends what provably was
 * that host's: processes whose environment names exactly that host, and its cgroups. Nothing else is touched.
 */
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Logger } from '@/lib/log';
import { markOf, takeCensus } from './census';
import { Group, groupPrefix } from './cgroup';
import { endProcesses } from './ending';
import { type HostRecord, readRecord } from './host-record';
import { isAlive, orNull } from './processes';

const RECORD_NAME = /^([a-z0-9]{8})\.json$/;

/** Ends what dead hosts of the run directory have left, and then forgets them. */
export async function endOrphans(socketPath: string, log: Logger): Promise<void> {
  const directory = dirname(socketPath);
  for (const name of orNull(() => readdirSync(directory)) ?? []) {
    const hostId = RECORD_NAME.exec(name)?.[1];
    const record = hostId === undefined ? null : readRecord(join(directory, name));
    if (hostId === undefined || !record || isAlive(record)) continue;
    await endOrphansOf(hostId, record, log);
    rmSync(join(directory, name), { force: true });
  }
}

async function endOrphansOf(hostId: string, record: HostRecord, log: Logger): Promise<void> {
  const mark = markOf(hostId, record);
  const groups = record.groupDirectory === null ? [] : Group.find(record.groupDirectory, groupPrefix(record));
  const orphans = [...(await takeCensus()).values()].filter(({ carries }) => carries?.host === mark);
  const ids = new Set(orphans.flatMap(({ carries }) => carries?.session ?? []));
  if (ids.size > 0) log.warn({ hostId, sessions: [...ids], pids: orphans.map(({ pid }) => pid) }, 'orphans are ended');
  const ended = [...ids].map((id) => endProcesses({ id, mark, leader: null, groups: [] }));
  // The empty id is nobody's: only what runs in the cgroups.
  const left = (await Promise.all([...ended, endProcesses({ id: '', mark, leader: null, groups })])).flat();
  if (left.length > 0) log.warn({ hostId, pids: left.map(({ pid }) => pid) }, 'orphans could not be ended');
}
