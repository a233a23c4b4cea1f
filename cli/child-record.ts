/** Remembers web, sidecar and database on disk, so that those of a launcher that was killed can be ended by the next one. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { systemCode } from '@/lib/system-code';
import { parseJson } from './parse-json';
import { endGroup, endLeader, type ProcessIdentity, processFacts, processIdentitySchema } from './processes';

/** Start times count from the boot, so they name a process only together with it. */
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** What makes Postgres end its connections and then itself, in order. */
export const DATABASE_END_SIGNAL = 'SIGINT';

const recordSchema = processIdentitySchema.extend({ bootId: z.string() });
/** In the order in which they are ended: nobody uses the database any more when its turn comes. */
const NAMES = ['web', 'sidecar', 'database'] as const;

function recordFile(runDir: string, name: string): string {
  return join(runDir, 'children', `${name}.json`);
}

function bootId(): string {
  return existsSync(BOOT_ID_FILE) ? readFileSync(BOOT_ID_FILE, 'utf8').trim() : '';
}

/** Writes down which process has this name now. */
export function recordChild(runDir: string, name: (typeof NAMES)[number], identity: ProcessIdentity): void {
  mkdirSync(join(runDir, 'children'), { recursive: true, mode: 0o700 });
  writeFileSync(recordFile(runDir, name), JSON.stringify({ ...identity, bootId: bootId() }), { mode: 0o600 });
}

/** Ends the recorded processes that still run, with their groups. Gives their names. */
export async function endRecordedChildren(runDir: string, graceMs: number): Promise<string[]> {
  const ended: string[] = [];
  for (const name of NAMES) {
    const pid = livingPid(recordFile(runDir, name));
    if (pid !== null) {
      if (name === 'database') await endLeader(pid, DATABASE_END_SIGNAL, graceMs);
      else await endGroup(pid, graceMs);
      ended.push(name);
    }
    rmSync(recordFile(runDir, name), { force: true });
  }
  return ended;
}

/** The pid in a record if it still means the recorded process. Without a start time nothing is sure enough to signal. */
function livingPid(file: string): number | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
  const record = recordSchema.safeParse(parseJson(text));
  if (!record.success || record.data.startTime === '' || record.data.bootId !== bootId()) return null;
  const { pid, startTime } = record.data;
  return processFacts(pid)?.startTime === startTime ? pid : null;
}
