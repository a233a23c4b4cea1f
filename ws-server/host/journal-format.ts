/**
 * The records of a journal, see docs/adr/0003-journal.md. A record is a header of 16 bytes and a payload; integers are
 * big-endian. The header: u32 key, u8 kind, u8 flags, u16 zero, u32 length of the payload, u32 CRC-32 of all other bytes.
 * The key is drawn for each segment and stands in its name, so that no output can look like a record.
 */
import zlib from 'node:zlib';
import { z } from 'zod';
import { exitFactsSchema, labelSchema, sessionTypeSchema } from '@/lib/protocol/control';
import type { Size } from '@/lib/protocol/wire';
import type { Snapshot } from './screen';

const HEADER_BYTES = 16;
/** No record is longer: a key frame holds a snapshot of at most 4 MiB. */
const PAYLOAD_BYTES_MAX = 5 * 1024 * 1024;
const KIND = { meta: 1, output: 2, size: 3, key: 4, end: 5 } as const;
/** Flag of a key frame that leaves the scrollback out. */
const IS_BARE = 1;
const TWO_32 = 2 ** 32;

/** What tells later whether the host that wrote a journal still runs, and how it may have died. */
export const writerSchema = z.object({
  hostId: z.string(),
  pid: z.number().int(),
  startTime: z.string(),
  bootId: z.string(),
  /** Where the kernel counts what it ended for memory here, and how many that were while the host lived. */
  oomKills: z.object({ file: z.string(), count: z.number() }).nullable(),
});
export type Writer = z.infer<typeof writerSchema>;

/** What a journal knows of its session besides output: the last such record counts. `createdAt` is ms since 1970. */
export const metaSchema = z.object({
  id: z.string(),
  epoch: z.number().int(),
  type: sessionTypeSchema,
  label: labelSchema,
  cwd: z.string(),
  title: z.string(),
  createdAt: z.number(),
  writer: writerSchema,
});
export type Meta = z.infer<typeof metaSchema>;

/** How a session ended, and when it was last active (ms since 1970). */
export const endSchema = z.object({ exit: exitFactsSchema, lastActivity: z.number() });
export type End = z.infer<typeof endSchema>;

/** A position from which parsing starts right: the screen as it was there. */
export type KeyFrame = Pick<Snapshot, 'position' | 'cols' | 'rows' | 'text'>;

export type JournalRecord =
  | { kind: 'meta'; meta: Meta }
  | { kind: 'output'; position: number; data: Buffer }
  | ({ kind: 'size'; position: number } & Size)
  | ({ kind: 'key'; isBare: boolean } & KeyFrame)
  | ({ kind: 'end' } & End);

/** CRC-32 as zlib counts it, over one more part. Node has it since 20.15. */
const crc32: (data: Uint8Array, previous: number) => number = zlib.crc32 ?? tableCrc32();

/** The same in JavaScript, about 20 times slower. */
export function tableCrc32(): typeof crc32 {
  const table = Uint32Array.from({ length: 256 }, (_, n) => {
    let value = n;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });
  return (data, previous) => {
    let value = ~previous;
    for (const byte of data) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0);
    return ~value >>> 0;
  };
}

function record(key: number, kind: number, flags: number, parts: readonly Uint8Array[]): Uint8Array[] {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(key, 0);
  header[4] = kind;
  header[5] = flags;
  header.writeUInt32BE(
    parts.reduce((sum, { length }) => sum + length, 0),
    8,
  );
  const sum = parts.reduce((crc, part) => crc32(part, crc), crc32(header.subarray(0, 12), 0));
  header.writeUInt32BE(sum, 12);
  return [header, ...parts];
}

/** u64 position and, where there is a size, u16 cols and u16 rows. */
function placeBytes(position: number, size?: Size): Buffer {
  const bytes = Buffer.alloc(size ? 12 : 8);
  bytes.writeUInt32BE(Math.floor(position / TWO_32), 0);
  bytes.writeUInt32BE(position % TWO_32, 4);
  if (size) {
    bytes.writeUInt16BE(size.cols, 8);
    bytes.writeUInt16BE(size.rows, 10);
  }
  return bytes;
}

/** Records as parts to write one behind the other; output is not copied. */
export const encode = {
  meta: (key: number, meta: Meta) => record(key, KIND.meta, 0, [Buffer.from(JSON.stringify(meta))]),
  output: (key: number, position: number, parts: readonly Uint8Array[]) =>
    record(key, KIND.output, 0, [placeBytes(position), ...parts]),
  size: (key: number, position: number, size: Size) => record(key, KIND.size, 0, [placeBytes(position, size)]),
  key: (key: number, frame: KeyFrame, isBare: boolean) =>
    record(key, KIND.key, isBare ? IS_BARE : 0, [placeBytes(frame.position, frame), frame.text]),
  end: (key: number, end: End) => record(key, KIND.end, 0, [Buffer.from(JSON.stringify(end))]),
} as const;

/** The record, null for one of a later version. @throws for a payload that is not what its kind has */
function decode(kind: number, flags: number, payload: Buffer): JournalRecord | null {
  if (kind === KIND.meta) return { kind: 'meta', meta: metaSchema.parse(JSON.parse(payload.toString())) };
  if (kind === KIND.end) return { kind: 'end', ...endSchema.parse(JSON.parse(payload.toString())) };
  const position = payload.readUInt32BE(0) * TWO_32 + payload.readUInt32BE(4);
  if (kind === KIND.output) return { kind: 'output', position, data: payload.subarray(8) };
  const size = { cols: payload.readUInt16BE(8), rows: payload.readUInt16BE(10) };
  if (kind === KIND.size) return { kind: 'size', position, ...size };
  if (kind !== KIND.key) return null; // of a later version
  return { kind: 'key', isBare: (flags & IS_BARE) !== 0, position, ...size, text: payload.subarray(12) };
}

/** The end of the record at an offset, or null when there is no whole and sound one. */
function endOfRecord(bytes: Buffer, offset: number, key: number): number | null {
  if (offset + HEADER_BYTES > bytes.length || bytes.readUInt32BE(offset) !== key) return null;
  const length = bytes.readUInt32BE(offset + 8);
  const end = offset + HEADER_BYTES + length;
  if (length > PAYLOAD_BYTES_MAX || end > bytes.length) return null;
  const head = crc32(bytes.subarray(offset, offset + 12), 0);
  return crc32(bytes.subarray(offset + HEADER_BYTES, end), head) === bytes.readUInt32BE(offset + 12) ? end : null;
}

/**
 * The sound records of a segment; output is a view into `bytes`. What is damaged is passed over up to the next sound record
 * and counted; what is not complete at the end is not counted, because a host may die while it writes.
 */
export function decodeRecords(bytes: Buffer, key: number): { records: JournalRecord[]; damaged: number } {
  const mark = Buffer.alloc(4);
  mark.writeUInt32BE(key);
  const records: JournalRecord[] = [];
  let damaged = 0;
  let isDamaged = false;
  let offset = 0;
  while (offset < bytes.length) {
    const end = endOfRecord(bytes, offset, key);
    if (end === null) {
      isDamaged = true;
      const next = bytes.indexOf(mark, offset + 1);
      offset = next < 0 ? bytes.length : next;
      continue;
    }
    if (isDamaged) damaged += 1;
    isDamaged = false;
    try {
      const payload = bytes.subarray(offset + HEADER_BYTES, end);
      const decoded = decode(bytes[offset + 4] ?? 0, bytes[offset + 5] ?? 0, payload);
      if (decoded) records.push(decoded);
    } catch {
      damaged += 1; // written whole by something else than this version: one record of a journal must not hide the others
    }
    offset = end;
  }
  return { records, damaged };
}
