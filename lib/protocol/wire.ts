/**
 * The terminal wire, used unchanged by browser, gateway and host: one message is one frame, its first byte the type.
 * Integers are big-endian; positions count raw pty bytes of one epoch and fit a JavaScript safe integer.
 */
import { z } from 'zod';
import { AppError, errorCodeSchema } from './errors';
import { COLS, ROWS } from './limits';

/** The revision of this wire. Hosts outlive deploys, so changes are additive and raise it. */
export const WIRE_REVISION = 1;
/** The WebSocket subprotocol; the ticket travels beside it as `ticket.<ticket>`. */
export const SUBPROTOCOL = 'holdfast.v1';
/** What comes before the ticket in its subprotocol token. */
export const TICKET_PREFIX = 'ticket.';

/** First byte of every frame: below 0x80 to the host, above to the viewer. */
export const FRAME = {
  input: 0x01,
  ack: 0x02,
  control: 0x03,
  output: 0x81,
  snapshot: 0x82,
  event: 0x83,
} as const;

const cols = z.number().int().min(COLS.min).max(COLS.max);
const rows = z.number().int().min(ROWS.min).max(ROWS.max);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const colour = z.string().regex(/^#[0-9a-f]{6}$/i);

/** A terminal size in cells. */
export const sizeSchema = z.object({ cols, rows });
/** A terminal size in cells: cols 2 to 1000, rows 1 to 500. */
export type Size = z.infer<typeof sizeSchema>;

/** The colours that a viewer's terminal draws with, `#rrggbb`; the host answers colour queries with the driver's. */
export const coloursSchema = z.object({
  foreground: colour,
  background: colour,
  cursor: colour,
  palette: z.array(colour).length(16).optional(),
});
export type Colours = z.infer<typeof coloursSchema>;

/** Pixels of one character cell of a viewer. */
export const cellSchema = z.object({
  width: z.number().positive().max(500),
  height: z.number().positive().max(500),
});
export type CellSize = z.infer<typeof cellSchema>;

/** A random id that a tab keeps over reconnects; it is known to this client and the host only. */
const clientIdSchema = z.string().regex(/^[A-Za-z0-9_-]{16,64}$/);

export const attachSchema = z.object({
  op: z.literal('attach'),
  revision: count,
  client: clientIdSchema,
  cursor: z.object({ epoch: count, position: count }).nullable(),
  cols,
  rows,
  cell: cellSchema.optional(),
  colours: coloursSchema.optional(),
});
/** The first frame of every viewer. `cursor.position` is the next byte wanted. */
export type Attach = z.infer<typeof attachSchema>;

/** Signals that a viewer may send to the session's foreground job. */
export const signalSchema = z.enum(['INT', 'TERM', 'HUP', 'KILL']);
export type SignalName = z.infer<typeof signalSchema>;

/** Messages in CONTROL frames. Unknown fields are dropped, so that newer clients reach older hosts. */
export const controlSchema = z.discriminatedUnion('op', [
  attachSchema,
  z.object({
    op: z.literal('resize'),
    cols,
    rows,
    cell: cellSchema.optional(),
    colours: coloursSchema.optional(),
  }),
  z.object({ op: z.literal('signal'), name: signalSchema }),
  /** `at` is written by the gateway: when it passed the ping on, by the clock that it shares with its hosts (ms). */
  z.object({ op: z.literal('ping'), t: z.number(), at: z.number().optional() }),
  z.object({ op: z.literal('take') }),
  z.object({ op: z.literal('keep') }),
]);
export type Control = z.infer<typeof controlSchema>;

/** Whether a viewer may type. */
export const modeSchema = z.enum(['write', 'read']);
export type Mode = z.infer<typeof modeSchema>;

/** How a session ended. `signal` is the signal's number, 0 when it exited by itself. */
export const exitSchema = z.object({ code: z.number().int(), signal: z.number().int() });

/**
 * Why a session is over: its program ended by itself (`exited`), its user ended it (`closed`), it was idle, memory was short,
 * its host was told to end; or it is lost, because its host crashed, the kernel ended the host for memory, or the machine
 * was started again.
 */
export const endReasonSchema = z.enum([
  'exited',
  'closed',
  'idle',
  'memory',
  'node-shutdown',
  'host-crash',
  'oom',
  'reboot',
]);
export type EndReason = z.infer<typeof endReasonSchema>;

/** One attached viewer as the others see it; `viewer` is a public name and no secret. */
export const viewerSchema = z.object({ viewer: z.string(), mode: modeSchema, cols, rows });
export type ViewerFacts = z.infer<typeof viewerSchema>;

/** Messages in EVENT frames. A client ignores events that it does not know. */
export const eventSchema = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('attached'),
    revision: count,
    epoch: count,
    /** Where this viewer's stream starts. */
    position: count,
    /** The last input sequence of this client that the host has accepted; 0 for none. */
    inputSeq: count,
    status: z.enum(['active', 'ended']),
    mode: modeSchema,
    /** Un-ACKed OUTPUT bytes allowed. */
    window: count,
    /** This viewer's public name. */
    viewer: z.string(),
    /** The public name of the viewer that sets the size, or null. */
    driver: z.string().nullable(),
    cols,
    rows,
  }),
  /** Bytes [from, to) are skipped for this viewer; a SNAPSHOT follows. */
  z.object({ event: z.literal('gap'), from: count, to: count }),
  /** The size changes when the stream reaches `position`. */
  z.object({ event: z.literal('resized'), cols, rows, position: count }),
  /** Every INPUT frame up to `inputSeq` has been written to the pty. */
  z.object({ event: z.literal('receipt'), inputSeq: count }),
  /** The last event; a lost session has code -1. */
  exitSchema.extend({ event: z.literal('exit'), reason: endReasonSchema.optional() }),
  z.object({ event: z.literal('title'), text: z.string() }),
  z.object({ event: z.literal('cwd'), path: z.string() }),
  z.object({
    event: z.literal('viewers'),
    count,
    driver: z.string().nullable(),
    list: z.array(viewerSchema),
  }),
  /** The session will be ended at this time (ms since 1970) unless somebody uses it; null: not any more. */
  z.object({ event: z.literal('idle'), endsAt: z.number().nullable() }),
  /** From the gateway: how long the session's host has been silent, in two stages, and that it answers again. */
  z.object({ event: z.literal('host'), state: z.enum(['ok', 'slow', 'unresponsive']) }),
  z.object({ event: z.literal('error'), code: errorCodeSchema, message: z.string() }),
  /** `t` as it was sent; milliseconds that the gateway and the host, each without the hops below it, held the ping. */
  /** `sockets`: how many the gateway holds; the more, the longer its clients spread over time when it goes away. */
  z.object({
    event: z.literal('pong'),
    t: z.number(),
    gateway: z.number(),
    host: z.number(),
    sockets: z.number().int().min(0).optional(),
  }),
]);
export type Event = z.infer<typeof eventSchema>;
export type AttachedEvent = Extract<Event, { event: 'attached' }>;

/** A decoded frame on its way to the host. */
export type HostFrame =
  | { type: 'input'; inputSeq: number; data: Uint8Array }
  | { type: 'ack'; position: number }
  | { type: 'control'; message: Control };

/** A decoded frame on its way to a viewer. */
export type ViewerFrame =
  | { type: 'output'; position: number; data: Uint8Array }
  | { type: 'snapshot'; position: number; cols: number; rows: number; data: Uint8Array }
  | { type: 'event'; message: Event };

const INPUT_HEADER = 5;
const OUTPUT_HEADER = 9;
const SNAPSHOT_HEADER = 13;
const TWO_32 = 2 ** 32;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

function malformed(what: string, cause?: unknown): AppError {
  return new AppError('bad_request', `Malformed frame: ${what}.`, { details: { reason: 'malformed_frame' }, cause });
}

function view(frame: Uint8Array): DataView {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
}

function writePosition(target: DataView, offset: number, position: number): void {
  target.setUint32(offset, Math.floor(position / TWO_32));
  target.setUint32(offset + 4, position % TWO_32);
}

function readPosition(source: DataView, offset: number): number {
  const position = source.getUint32(offset) * TWO_32 + source.getUint32(offset + 4);
  if (!Number.isSafeInteger(position)) throw malformed('position out of range');
  return position;
}

function encodeJson(type: number, message: unknown): Uint8Array<ArrayBuffer> {
  const text = encoder.encode(JSON.stringify(message));
  const frame = new Uint8Array(1 + text.length);
  frame[0] = type;
  frame.set(text, 1);
  return frame;
}

function decodeJson<T>(frame: Uint8Array, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(frame.subarray(1)));
  } catch (cause) {
    throw malformed('not JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw malformed(z.prettifyError(parsed.error), parsed.error);
  return parsed.data;
}

/** INPUT: u32 input sequence (1 to 2^32 - 1, counted per client by one), then the bytes typed. */
export function encodeInput(inputSeq: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(INPUT_HEADER + data.length);
  frame[0] = FRAME.input;
  view(frame).setUint32(1, inputSeq);
  frame.set(data, INPUT_HEADER);
  return frame;
}

/** ACK: u64 position up to which the viewer has parsed and rendered. One is due whenever half of the window is un-ACKed. */
export function encodeAck(position: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(9);
  frame[0] = FRAME.ack;
  writePosition(view(frame), 1, position);
  return frame;
}

/** CONTROL: one JSON message to the host. */
export function encodeControl(message: Control): Uint8Array<ArrayBuffer> {
  return encodeJson(FRAME.control, message);
}

/** What stands before the bytes of an OUTPUT frame: u64 position of the first one. */
export function encodeOutputHeader(position: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(OUTPUT_HEADER);
  header[0] = FRAME.output;
  writePosition(view(header), 1, position);
  return header;
}

/** OUTPUT: its header, then raw pty bytes in one or more parts. */
export function encodeOutput(position: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(parts.reduce((sum, part) => sum + part.length, OUTPUT_HEADER));
  frame.set(encodeOutputHeader(position));
  let offset = OUTPUT_HEADER;
  for (const part of parts) {
    frame.set(part, offset);
    offset += part.length;
  }
  return frame;
}

/** SNAPSHOT: u64 position, u16 cols, u16 rows, UTF-8 text that redraws the screen in an empty terminal of that size. */
export function encodeSnapshot(position: number, size: Size, text: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(SNAPSHOT_HEADER + text.length);
  const header = view(frame);
  frame[0] = FRAME.snapshot;
  writePosition(header, 1, position);
  header.setUint16(9, size.cols);
  header.setUint16(11, size.rows);
  frame.set(text, SNAPSHOT_HEADER);
  return frame;
}

/** EVENT: one JSON message to the viewer. */
export function encodeEvent(message: Event): Uint8Array<ArrayBuffer> {
  return encodeJson(FRAME.event, message);
}

/**
 * Reads a frame that came from a viewer. The bytes of INPUT are a view into `frame`, not a copy.
 * @throws AppError `bad_request` for an unknown type, a short frame or a message that is not in the schema
 */
export function decodeHostFrame(frame: Uint8Array): HostFrame {
  switch (frame[0]) {
    case FRAME.input: {
      if (frame.length < INPUT_HEADER) throw malformed('short INPUT');
      const inputSeq = view(frame).getUint32(1);
      if (inputSeq === 0) throw malformed('input sequences start at 1');
      return { type: 'input', inputSeq, data: frame.subarray(INPUT_HEADER) };
    }
    case FRAME.ack:
      if (frame.length !== 9) throw malformed('ACK is 9 bytes');
      return { type: 'ack', position: readPosition(view(frame), 1) };
    case FRAME.control:
      return { type: 'control', message: decodeJson(frame, controlSchema) };
    default:
      throw malformed(frame.length === 0 ? 'empty' : `unknown type 0x${frame[0]?.toString(16)}`);
  }
}

/**
 * Reads a frame that came from a host, or null for an event that this client does not know.
 * @throws AppError `bad_request` for a frame that no host of any revision sends
 */
export function decodeViewerFrame(frame: Uint8Array): ViewerFrame | null {
  switch (frame[0]) {
    case FRAME.output:
      if (frame.length < OUTPUT_HEADER) throw malformed('short OUTPUT');
      return { type: 'output', position: readPosition(view(frame), 1), data: frame.subarray(OUTPUT_HEADER) };
    case FRAME.snapshot: {
      if (frame.length < SNAPSHOT_HEADER) throw malformed('short SNAPSHOT');
      const header = view(frame);
      return {
        type: 'snapshot',
        position: readPosition(header, 1),
        cols: header.getUint16(9),
        rows: header.getUint16(11),
        data: frame.subarray(SNAPSHOT_HEADER),
      };
    }
    case FRAME.event: {
      const named = decodeJson(frame, z.looseObject({ event: z.string() }));
      const known = eventSchema.options.some((option) => option.shape.event.value === named.event);
      return known ? { type: 'event', message: decodeJson(frame, eventSchema) } : null;
    }
    default:
      throw malformed(frame.length === 0 ? 'empty' : `unknown type 0x${frame[0]?.toString(16)}`);
  }
}
