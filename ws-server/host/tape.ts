/** What the records of a journal say, in order: frames to start from, output, changes of size, and holes. */
import { AppError } from '@/lib/protocol/errors';
import { FRAME_BYTES_MAX } from '@/lib/protocol/limits';
import { encodeEvent, encodeOutput, encodeSnapshot, type Size } from '@/lib/protocol/wire';
import type { End, JournalRecord, KeyFrame, Meta } from './journal-format';
import { Screen, type Snapshot } from './screen';
import { turn } from './turns';

const OUTPUT_BYTES_MAX = FRAME_BYTES_MAX - 64;
/** Output that is drawn in one turn of the event loop (bytes): about 3 ms. */
const SLICE_BYTES = 64 * 1024;
/** Aborts an escape sequence whose end is missing. */
const CANCEL = Buffer.of(0x18);

/** Output behind a frame begins at the frame's position, so that the same bytes may stand before it as well. */
type Step =
  | { kind: 'key'; key: KeyFrame; isBare: boolean }
  | { kind: 'output'; position: number; data: Buffer }
  | { kind: 'size'; position: number; size: Size }
  /** Bytes are missing here. */
  | { kind: 'hole' };
type FrameStep = Extract<Step, { kind: 'key' }>;

/** A page of history: frames of the wire, each behind a 4-byte length, from a snapshot's position to `end`. */
export type Page = { position: number; end: number; bytes: Buffer };

/** A screen that was rebuilt: its snapshot, and its last lines as plain text. */
export type Rebuilt = { snapshot: Snapshot; lines: string[] };

const silent = { reply: () => undefined, title: () => undefined, fault: () => undefined };

/** The records of some segments that follow each other. */
export class Tape {
  readonly #steps: Step[] = [];
  #end: number | null = null;
  meta: Meta | null = null;
  ending: End | null = null;

  constructor(records: Iterable<JournalRecord>) {
    for (const record of records) this.#add(record);
  }

  /** The position behind the last byte. */
  get end(): number {
    return this.#end ?? 0;
  }

  /** The size at the end, or null when nothing says it. */
  get size(): Size | null {
    const last = this.#steps.findLast((step) => step.kind === 'key' || step.kind === 'size');
    if (!last) return null;
    const { cols, rows } = last.kind === 'key' ? last.key : last.size;
    return { cols, rows };
  }

  /** Bytes of output in it. */
  get bytes(): number {
    return this.#steps.reduce((sum, step) => sum + (step.kind === 'output' ? step.data.length : 0), 0);
  }

  /** Whether the screen at the end can be rebuilt with all of its scrollback. */
  get hasFullFrame(): boolean {
    return this.#lastPiece().some((step) => step.kind === 'key' && !step.isBare);
  }

  #add(record: JournalRecord): void {
    switch (record.kind) {
      case 'meta':
        this.meta = record.meta;
        return;
      case 'end':
        this.ending = { exit: record.exit, lastActivity: record.lastActivity };
        return;
      case 'key':
        this.#goTo(record.position, record.position);
        this.#steps.push({ kind: 'key', key: record, isBare: record.isBare });
        return;
      case 'size':
        this.#steps.push({ kind: 'size', position: record.position, size: { cols: record.cols, rows: record.rows } });
        return;
      case 'output':
        this.#goTo(record.position, record.position + record.data.length);
        this.#steps.push({ kind: 'output', position: record.position, data: record.data });
    }
  }

  #goTo(position: number, end: number): void {
    if (this.#end !== null && position > this.#end) this.#steps.push({ kind: 'hole' });
    this.#end = Math.max(this.#end ?? end, end);
  }

  #lastPiece(): Step[] {
    return this.#steps.slice(this.#steps.findLastIndex(({ kind }) => kind === 'hole') + 1);
  }

  /** The screen behind the last record, drawn in slices; null when there is no frame to start from. */
  async screen(linesMax: number): Promise<Rebuilt | null> {
    const frames = this.#lastPiece().filter((step) => step.kind === 'key');
    // The newest frame with its scrollback; else the oldest one, so that most of the scrollback is printed again.
    const start: FrameStep | undefined =
      frames.findLast(({ isBare }) => !isBare) ?? frames[0] ?? this.#steps.findLast((step) => step.kind === 'key');
    if (!start) return null;
    const screen = screenOf(start.key);
    try {
      for (const step of follow(start, this.#steps)) {
        if (step.kind === 'output')
          for (const slice of slicesOf(step.data)) {
            await turn();
            screen.write(slice);
          }
        if (step.kind === 'size') screen.resize(step.size);
        if (step.kind === 'hole') screen.write(CANCEL);
      }
      screen.finish();
      const snapshot = { ...screen.snapshot(0), position: this.end, parsed: this.end };
      return { snapshot, lines: screen.lines(linesMax) };
    } finally {
      screen.dispose();
    }
  }

  /**
   * The bytes from a position on, up to a hole. @throws AppError `range_not_satisfiable`, whose `start` is the next position
   * that is there
   */
  read(from: number, limit: number): Buffer {
    const parts: Buffer[] = [];
    let at = from;
    let next = this.end;
    for (const step of this.#steps) {
      if (step.kind !== 'output' || step.position + step.data.length <= at) continue;
      next = Math.min(next, step.position);
      if (step.position > at || at === from + limit) break;
      const part = step.data.subarray(at - step.position, from + limit - step.position);
      parts.push(part);
      at += part.length;
    }
    if (parts.length > 0 || from === this.end) return Buffer.concat(parts);
    const details = { start: next, end: this.end };
    throw new AppError('range_not_satisfiable', `Output is not kept at ${from}.`, { details });
  }

  /**
   * The page that ends at `before`, or at the last byte before it. It begins at the newest frame that is at least `limit` bytes
   * before its end, else at the oldest of the same piece without holes. Null when there is nothing before.
   * @param oldest position of the journal's first frame, which alone is shown with its scrollback
   */
  page(before: number, { limit, oldest }: { limit: number; oldest: number }): Page | null {
    const piece = this.#pieceBefore(before);
    const frames = piece.filter((step) => step.kind === 'key');
    const end = Math.min(before, endOf(piece));
    const start = frames.findLast(({ key }) => key.position <= end - limit) ?? frames[0];
    if (!start) return null;
    const { position } = start.key;
    const text = position === oldest ? start.key.text : withoutScrollback(start.key);
    const wire: Uint8Array[] = [encodeSnapshot(position, start.key, text)];
    for (const step of follow(start, piece)) {
      if (step.kind === 'size' && step.position < end) {
        wire.push(encodeEvent({ event: 'resized', ...step.size, position: step.position }));
      }
      if (step.kind !== 'output') continue;
      const data = step.data.subarray(0, Math.max(0, end - step.position));
      for (let offset = 0; offset < data.length; offset += OUTPUT_BYTES_MAX) {
        wire.push(encodeOutput(step.position + offset, data.subarray(offset, offset + OUTPUT_BYTES_MAX)));
      }
    }
    return { position, end, bytes: Buffer.concat(wire.flatMap(behindLength)) };
  }

  /** From the first frame on, the last piece without holes whose first frame lies before a position. */
  #pieceBefore(before: number): Step[] {
    let piece: Step[] = [];
    let chosen: Step[] = [];
    for (const step of this.#steps) {
      if (step.kind === 'hole') piece = [];
      else if (piece.length > 0) piece.push(step);
      else if (step.kind === 'key' && step.key.position < before) {
        piece.push(step);
        chosen = piece;
      }
    }
    return chosen;
  }
}

function* slicesOf(data: Buffer): Generator<Buffer> {
  for (let at = 0; at < data.length; at += SLICE_BYTES) yield data.subarray(at, at + SLICE_BYTES);
}

/** What follows a frame, each byte once. */
function* follow(start: FrameStep, steps: readonly Step[]): Generator<Step> {
  let at = start.key.position;
  for (const step of steps.slice(steps.indexOf(start) + 1)) {
    if (step.kind !== 'output') {
      yield step;
      continue;
    }
    const known = Math.max(0, at - step.position);
    if (known >= step.data.length) continue;
    at = step.position + step.data.length;
    yield { kind: 'output', position: step.position + known, data: step.data.subarray(known) };
  }
}

function endOf(steps: readonly Step[]): number {
  let end = 0;
  for (const step of steps) {
    if (step.kind === 'key') end = Math.max(end, step.key.position);
    if (step.kind === 'output') end = Math.max(end, step.position + step.data.length);
  }
  return end;
}

function behindLength(frame: Uint8Array): Uint8Array[] {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length);
  return [length, frame];
}

/** A screen that shows a frame. The caller disposes of it. */
export function screenOf(frame: KeyFrame): Screen {
  const screen = new Screen(frame, silent);
  screen.draw(frame.text);
  return screen;
}

/** What a frame shows without what had scrolled out: that is on the page before. */
function withoutScrollback(frame: KeyFrame): Buffer {
  const screen = screenOf(frame);
  try {
    return screen.snapshot(0, 0).text;
  } finally {
    screen.dispose();
  }
}
