/** The record of a host: the file beside its socket that says which process it is, for gateways and for other hosts. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { argumentsOf, orNull, type ProcessRef, startTimeOf } from './processes';

/** The argument before a host's own arguments. */
const HOST_WORD = 'holdfast-host';

const recordSchema = z.object({
  pid: z.number().int().min(2),
  startTime: z.string().min(1),
  /** Where the host makes cgroups, or null. */
  groupDirectory: z.string().nullable().default(null),
});
/** What a record says. */
export type HostRecord = z.infer<typeof recordSchema>;

const argumentsSchema = z.object({ hostId: z.string(), socketPath: z.string() });

function recordPath(socketPath: string): string {
  return socketPath.replace(/\.sock$/, '.json');
}

/** Writes down which process this host is. */
export function writeRecord(socketPath: string, groupDirectory: string | null): void {
  const record = { pid: process.pid, startTime: startTimeOf(process.pid), groupDirectory };
  writeFileSync(recordPath(socketPath), JSON.stringify(record), { mode: 0o600 });
}

/** Removes the record of this host, which has ended all its sessions. */
export function removeRecord(socketPath: string): void {
  rmSync(recordPath(socketPath), { force: true });
}

/** What a record says; null when it is not there, is just being written, or is damaged: then nothing is provable. */
export function readRecord(path: string): HostRecord | null {
  return parse(recordSchema, orNull(() => readFileSync(path, 'utf8')) ?? '');
}

/** The id of the host that a process is, by its arguments and the record that they lead to; null for any other process. */
export function hostIdOf({ pid, startTime }: ProcessRef): string | null {
  const words = argumentsOf(pid) ?? [];
  const at = words.indexOf(HOST_WORD);
  const given = at < 0 ? null : parse(argumentsSchema, words[at + 1] ?? '');
  const record = given && readRecord(recordPath(given.socketPath));
  return record?.pid === pid && record.startTime === startTime ? (given?.hostId ?? null) : null;
}

function parse<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null; // no JSON
  }
}
