/**
 * The unix socket between gateway and pty host: every frame of the terminal wire behind a 4-byte big-endian length, and
 * LINK frames (JSON) for what only these two say. One connection per viewer, and one control connection per host.
 *
 * First frame of a connection, from the gateway: `viewer` or `control`. A host answers `control` with `hello`.
 */
import { z } from 'zod';
import {
  archivedSessionSchema,
  directoryReplySchema,
  directoryRequestSchema,
  historyRequestSchema,
  labelSchema,
  linesReplySchema,
  liveSessionSchema,
  openRequestSchema,
} from '@/lib/protocol/control';
import { errorCodeSchema, errorPayloadSchema } from '@/lib/protocol/errors';
import { sessionIdSchema } from '@/lib/protocol/ids';
import { OUTPUT_LINES_MAX, SNAPSHOT_BYTES_MAX } from '@/lib/protocol/limits';
import { modeSchema } from '@/lib/protocol/wire';

/**
 * The revision of this link. A gateway serves hosts of its own and lower revisions, and sends an older one only the calls
 * that it knows; a host speaks the gateway's revision when that is the lower one.
 */
export const LINK_REVISION = 2;
/** First byte of a LINK frame; the other types are those of the terminal wire. */
export const LINK_FRAME = 0xf0;
/** Largest frame on the link (bytes): a page of history, which is a snapshot and 4 MiB of output in base64. */
export const LINK_FRAME_BYTES_MAX = 3 * SNAPSHOT_BYTES_MAX;
/** Most bytes that one `read` call returns. */
export const READ_BYTES_MAX = 1024 * 1024;

/** How a shell or agent is started: argument array, never a command line from outside. */
const launchSchema = z.object({ file: z.string(), args: z.array(z.string()), env: z.record(z.string(), z.string()) });
export type Launch = z.infer<typeof launchSchema>;

const at = { id: sessionIdSchema, epoch: z.number().int() };

/** Calls on the control connection, name by name: what goes in and what comes out. */
export const CALLS = {
  open: {
    args: openRequestSchema.extend({ launch: launchSchema, roots: z.array(z.string()) }),
    result: liveSessionSchema,
  },
  /** HUP, then KILL after the grace period, to all its processes; resolves when they are gone. `forget` drops the last screen too. */
  end: { args: z.object({ ...at, forget: z.boolean() }), result: liveSessionSchema },
  label: { args: z.object({ ...at, label: labelSchema }), result: liveSessionSchema },
  /** Counts as use: the idle time begins anew. */
  keep: { args: z.object(at), result: liveSessionSchema },
  /** Fresh facts: cwd and foreground are read from the kernel at the call. */
  look: { args: z.object(at), result: liveSessionSchema },
  list: { args: z.object({}), result: z.array(liveSessionSchema) },
  read: {
    args: z.object({ ...at, from: z.number().int().min(0), limit: z.number().int().min(1).max(READ_BYTES_MAX) }),
    result: z.object({ position: z.number(), end: z.number(), base64: z.string() }),
  },
  /** The last lines of scrollback and screen, as plain text. */
  lines: {
    args: z.object({ ...at, count: z.number().int().min(1).max(OUTPUT_LINES_MAX) }),
    result: linesReplySchema,
  },
  /**
   * The heartbeat, and what the host counts. Totals since its start; `loopLagMs` is the worst since the last call. `keep`
   * wants the host also while it is empty: the time after which an empty host ends itself starts again.
   */
  beat: {
    args: z.object({ keep: z.boolean().optional() }),
    result: z.object({
      rss: z.number(),
      cpuSeconds: z.number(),
      loopLagMs: z.number(),
      sessions: z.number(),
      hibernated: z.number(),
      /** Bytes that rings, screens and snapshots of all sessions hold, as far as they are counted. */
      sessionBytes: z.number(),
      /** The same for each live session, by its id; hosts before this version do not tell. */
      bytesBySession: z.record(z.string(), z.number()).optional(),
      bytesIn: z.number(),
      bytesOut: z.number(),
      errors: z.number(),
      /** Garbage collections that the host has asked for; hosts before this version do not tell. */
      collections: z.number().optional(),
      /** Why the journal cannot be written at the moment, or null. */
      journalFault: z.string().nullable(),
    }),
  },
  /**
   * Memory is short: gives back caches, spills, cuts slow viewers; stage `look` tells which sessions are bare and idle, and
   * `end` ends those of `ids` that still are, in this order.
   */
  shed: {
    args: z.object({
      stage: z.enum(['caches', 'scrollback', 'viewers', 'look', 'end']),
      ids: z.array(sessionIdSchema),
    }),
    result: z.object({
      freedBytes: z.number(),
      bare: z.array(sessionIdSchema).default([]),
      ended: z.array(sessionIdSchema),
    }),
  },
  /** Journals of sessions that are over, or only that of `id`; any host can read them. */
  archive: { args: z.object({ id: sessionIdSchema.optional() }), result: z.array(archivedSessionSchema) },
  forget: { args: z.object({ id: sessionIdSchema }), result: z.object({}) },
  /** A page of history, live or archived: frames of the wire, each behind its 4-byte length. */
  history: {
    args: z.object({ ...at, ...historyRequestSchema.shape }),
    result: z.object({ position: z.number(), end: z.number(), start: z.number(), base64: z.string() }),
  },
  directory: {
    args: directoryRequestSchema.extend({ roots: z.array(z.string()) }),
    result: directoryReplySchema,
  },
} as const;

export type CallName = keyof typeof CALLS;

/** The revision of the link in which a call came up; every other is of revision 1. */
export const CALL_REVISIONS: { readonly [N in CallName]?: number } = {
  beat: 2,
  shed: 2,
  archive: 2,
  forget: 2,
  history: 2,
};
export type CallArgs<N extends CallName> = z.infer<(typeof CALLS)[N]['args']>;
export type CallResult<N extends CallName> = z.infer<(typeof CALLS)[N]['result']>;

/** LINK messages from gateway to host. */
export const toHostSchema = z.discriminatedUnion('link', [
  z.object({ link: z.literal('viewer'), ...at, mode: modeSchema }),
  z.object({ link: z.literal('control'), revision: z.number().int() }),
  z.object({
    link: z.literal('call'),
    n: z.number().int(),
    call: z.enum(Object.keys(CALLS) as [CallName, ...CallName[]]),
    args: z.unknown(),
  }),
]);
export type ToHost = z.infer<typeof toHostSchema>;

/** LINK messages from host to gateway. */
export const toGatewaySchema = z.discriminatedUnion('link', [
  z.object({
    link: z.literal('hello'),
    revision: z.number().int(),
    version: z.string(),
    hostId: z.string(),
    pid: z.number().int(),
    /** Sessions that this host takes at most. */
    capacity: z.number().int(),
    sessions: z.array(liveSessionSchema),
  }),
  z.object({ link: z.literal('reply'), n: z.number().int(), result: z.unknown() }),
  z.object({ link: z.literal('failure'), n: z.number().int(), error: errorPayloadSchema }),
  z.object({ link: z.literal('session'), session: liveSessionSchema }),
  z.object({ link: z.literal('gone'), ...at }),
  /** The viewer's socket is to be closed with this code of the error table. */
  z.object({ link: z.literal('close'), code: errorCodeSchema }),
]);
export type ToGateway = z.infer<typeof toGatewaySchema>;

/** The clock that all processes of a machine share (ms): it only grows, and means nothing elsewhere. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A LINK frame, without the length. */
export function encodeLinkFrame(message: ToHost | ToGateway): Buffer {
  return Buffer.concat([Buffer.of(LINK_FRAME), Buffer.from(JSON.stringify(message))]);
}

/** The message of a LINK frame. @throws ZodError or SyntaxError for anything else */
export function decodeLinkFrame<T>(frame: Uint8Array, schema: z.ZodType<T>): T {
  if (frame[0] !== LINK_FRAME) throw new SyntaxError(`expected a LINK frame, got type ${frame[0]}`);
  return schema.parse(JSON.parse(Buffer.from(frame.buffer, frame.byteOffset + 1, frame.length - 1).toString()));
}

/** What `writeFrame` needs of a socket. */
type FrameSink = { cork(): void; uncork(): void; write(data: Uint8Array): boolean };

/** Writes one frame, given in parts that are not copied. False when the socket wants a pause (see `drain`). */
export function writeFrame(socket: FrameSink, ...parts: Uint8Array[]): boolean {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 0));
  socket.cork();
  let isRoom = socket.write(length);
  for (const part of parts) isRoom = socket.write(part);
  socket.uncork();
  return isRoom;
}

/** Cuts a byte stream into frames. Each is copied out of the chunks that it came in, so that those can be filled again. */
export class FrameReader {
  readonly #bytesMax: number;
  readonly #onFrame: (frame: Buffer<ArrayBuffer>) => void;
  readonly #allocate: (length: number) => Buffer<ArrayBuffer>;
  readonly #header = Buffer.alloc(4);
  #headerBytes = 0;
  #frame: Buffer<ArrayBuffer> | null = null;
  #frameBytes = 0;

  /**
   * @param bytesMax a longer frame makes `push` throw; the connection is then to be destroyed
   * @param allocate gives the memory of a frame
   */
  constructor(
    onFrame: (frame: Buffer<ArrayBuffer>) => void,
    bytesMax: number = LINK_FRAME_BYTES_MAX,
    allocate = Buffer.allocUnsafe,
  ) {
    this.#onFrame = onFrame;
    this.#bytesMax = bytesMax;
    this.#allocate = allocate;
  }

  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#frame) {
        const taken = Math.min(this.#frame.length - this.#frameBytes, chunk.length - offset);
        chunk.copy(this.#frame, this.#frameBytes, offset, offset + taken);
        this.#frameBytes += taken;
        offset += taken;
        if (this.#frameBytes < this.#frame.length) return;
        const frame = this.#frame;
        this.#frame = null;
        this.#onFrame(frame);
        continue;
      }
      const taken = Math.min(4 - this.#headerBytes, chunk.length - offset);
      chunk.copy(this.#header, this.#headerBytes, offset, offset + taken);
      this.#headerBytes += taken;
      offset += taken;
      if (this.#headerBytes < 4) return;
      this.#headerBytes = 0;
      const length = this.#header.readUInt32BE();
      if (length === 0 || length > this.#bytesMax) throw new RangeError(`frame of ${length} bytes on the link`);
      this.#frame = this.#allocate(length);
      this.#frameBytes = 0;
    }
  }
}
