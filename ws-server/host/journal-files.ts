/**
 * Where journals lie: `<directory>/<session id>/<epoch>.<number>.<start>.<key>.log`, one file for each segment. `start` is the
 * position of its first key frame, `key` (8 hex digits) the mark of its records. When a disk has no room for how the session ended,
 * `.<reason>_<code>_<signal>_<at>` before `.log` says it. Directories have mode 0700, files 0600.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ExitFacts, exitFactsSchema } from '@/lib/protocol/control';
import { sessionIdSchema } from '@/lib/protocol/ids';
import { decodeRecords, type JournalRecord } from './journal-format';
import { turn } from './turns';

const SEGMENT_NAME = /^(\d{1,10})\.(\d{1,10})\.(\d{1,16})\.([0-9a-f]{8})(?:\.([a-z-]+_-?\d+_\d+_\d+))?\.log$/;

/** One file of a journal. */
export type Segment = {
  path: string;
  epoch: number;
  number: number;
  start: number;
  key: number;
  exit: ExitFacts | null;
};

/** The path of a new segment. */
export function segmentPath(directory: string, { epoch, number, start, key }: Omit<Segment, 'path' | 'exit'>): string {
  return join(directory, `${epoch}.${number}.${start}.${key.toString(16).padStart(8, '0')}.log`);
}

/** The path of a segment that also says how its session ended. */
export function endedPath(path: string, { reason = 'exited', code, signal, at }: ExitFacts): string {
  return path.replace(/\.log$/, `.${reason}_${code}_${signal}_${Math.floor(at)}.log`);
}

function exitOf(words: string | undefined): ExitFacts | null {
  const [reason, code, signal, at] = words?.split('_') ?? [];
  return exitFactsSchema.safeParse({ reason, code: Number(code), signal: Number(signal), at: Number(at) }).data ?? null;
}

/** What a call gives, or `other` when the file or directory is not there (any more). */
export async function unlessGone<T>(call: Promise<T>, other: T): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return other;
    throw error;
  }
}

/** The segments of one session, all epochs, oldest first. */
export async function listSegments(directory: string): Promise<Segment[]> {
  const names = await unlessGone(readdir(directory), []);
  const segments = names.flatMap((name) => {
    const match = SEGMENT_NAME.exec(name);
    if (!match) return [];
    const [epoch = 0, number = 0, start = 0] = match.slice(1, 4).map(Number);
    const key = Number.parseInt(match[4] ?? '', 16);
    return [{ path: join(directory, name), epoch, number, start, key, exit: exitOf(match[5]) }];
  });
  return segments.sort((a, b) => a.epoch - b.epoch || a.number - b.number);
}

/** The ids of all sessions that have a journal. */
export async function listJournals(directory: string): Promise<string[]> {
  const names = await unlessGone(readdir(directory), []);
  return names.filter((name) => sessionIdSchema.safeParse(name).success);
}

/** Size (bytes) and last change (ms since 1970) of a segment, or null when it is gone. */
export function statSegment({ path }: Segment): Promise<{ size: number; mtimeMs: number } | null> {
  return unlessGone<{ size: number; mtimeMs: number } | null>(stat(path), null);
}

/** The records of a segment, in a turn of their own; none when it is gone. */
export async function readSegment({ path, key }: Segment): Promise<{ records: JournalRecord[]; damaged: number }> {
  const bytes = await unlessGone(readFile(path), Buffer.alloc(0));
  await turn();
  return decodeRecords(bytes, key);
}

/** Removes files or directories that may be gone already. */
export async function remove(...paths: string[]): Promise<void> {
  for (const path of paths) await rm(path, { recursive: true, force: true });
}
