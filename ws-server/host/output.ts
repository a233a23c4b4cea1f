/** What a session's program has printed: the ring that viewers read, and the screen that is drawn behind them. */
import { AppError } from '@/lib/protocol/errors';
import { OUTPUT_LINES_MAX, RING_BYTES_MAX } from '@/lib/protocol/limits';
import type { CellSize, Colours, Size } from '@/lib/protocol/wire';
import { collectSoon } from './collect';
import { Drawing } from './drawing';
import { Ring } from './ring';
import type { ScreenEvents, Snapshot } from './screen';
import { SizeMarks } from './size-marks';
import type { Stream } from './viewer';

/** Output that must be drawn: above this the pty waits, below that it goes on (bytes). */
const BEHIND_HIGH = 256 * 1024;
const BEHIND_LOW = 128 * 1024;
/** A full read of the pty is taken for a flood (bytes). */
const FLOOD_BYTES = 4095;
/**
 * In a flood output is passed on when so much has come that one more read still fits into a frame (bytes), or after this time
 * (ms), which doubles while the flood lasts: many small frames cost every process on the way more than the bytes in them.
 */
const FLUSH_BYTES = 56 * 1024;
const FLUSH_MIN_MS = 2;
const FLUSH_MAX_MS = 8;
/** Output that could wait to be drawn is drawn when less than a flood has come for so long (ms). */
const SETTLE_MS = 50;
/** Raw output kept of an ended session that nobody watches, and of an idle one (bytes). */
const ENDED_RING_BYTES = 256 * 1024;
const IDLE_RING_BYTES = 64 * 1024;
/** Without output, change of size or question the terminal is put away after this, and raw output is given back after that (ms). */
const HIBERNATE_MS = 5_000;
const TRIM_MS = 30_000;

/** What the output asks of its session. */
export type OutputEvents = ScreenEvents & {
  /** There is something new for viewers. */
  flush: () => void;
  /** The screen has fallen behind: the pty is to wait, or may go on. */
  pause: (isPaused: boolean) => void;
  /** After `close`: everything is parsed. */
  drained: () => void;
  /** Output at the end that is still to be written down (bytes). */
  unwritten: () => number;
};

/** What is left of an ended session's screen. */
type Last = { snapshot: Snapshot; markSeq: number; lines: string[] };

export class Output implements Stream {
  readonly ring = new Ring(RING_BYTES_MAX);
  readonly marks = new SizeMarks();
  readonly #events: OutputEvents;
  #size: Size;
  #drawing: Drawing | null;
  #isFlushScheduled = false;
  #flushTimer: NodeJS.Timeout | undefined;
  #flushedAt = 0;
  #flushedTo = 0;
  #flushMs = FLUSH_MIN_MS;
  #isFlood = false;
  #isDrawScheduled = false;
  #settleTimer: NodeJS.Timeout | undefined;
  #isPaused = false;
  #isClosed = false;
  /** When it was last used, and what `usedAt` was when hibernation was refused and the ring was trimmed (ms since 1970). */
  #usedAt = Date.now();
  #refusedAt = 0;
  #trimmedAt = 0;
  #last: Last | null = null;

  constructor(size: Size, events: OutputEvents) {
    this.#events = events;
    this.#size = size;
    this.#drawing = new Drawing(this.ring, this.marks, size, events);
  }

  /** Whether the terminal is put away. */
  get isHibernated(): boolean {
    return this.#drawing?.isHibernated ?? true;
  }

  /** Memory of ring and screen, with an estimate for a live terminal (bytes). */
  get bytes(): number {
    return this.ring.bytes + (this.#drawing?.bytes ?? this.#last?.snapshot.text.length ?? 0);
  }

  /** The position up to which output is passed on to viewers. */
  get due(): number {
    return this.#isClosed ? this.ring.end : this.#flushedTo;
  }

  append(chunk: Buffer): void {
    this.#usedAt = Date.now();
    this.ring.append(chunk);
    this.marks.forget(this.ring.start);
    this.#schedule();
  }

  /** Books a change of size at the end of what has come. */
  resize(size: Size): void {
    this.#usedAt = Date.now();
    this.#size = size;
    this.marks.add(this.ring.end, size);
    this.#schedule();
  }

  /** What the driver's terminal looks like, for answers to queries. */
  describe(look: { cell?: CellSize | undefined; colours?: Colours | undefined }): void {
    this.#drawing?.describe(look);
  }

  /** The program has ended: `drained` follows. */
  close(): void {
    this.#isClosed = true;
    this.#schedule();
  }

  /** Lets the pty go on whatever waits: a paused one reports no end. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#events.pause(false);
  }

  /** Draws text above everything that the program will print: the state at position 0. */
  draw(preface: string): void {
    this.#drawing?.drawPreface(preface);
  }

  /**
   * The screen of this moment: what waits is drawn first, so that a viewer never goes back.
   * @param scrollback lines above the screen to take along
   */
  snapshot(scrollback?: number): { snapshot: Snapshot; markSeq: number } {
    if (this.#last) return this.#last;
    if (!this.#drawing) throw new AppError('not_found', 'There is no such session.');
    return this.#drawing.snapshot(scrollback);
  }

  /** The last lines of scrollback and screen as plain text. */
  lines(count: number): string[] {
    this.#usedAt = Date.now();
    return this.#drawing?.drawAll().lines(count) ?? this.#last?.lines.slice(-count) ?? [];
  }

  /** Raw output from `from` on, at most `limit` bytes. @throws AppError `range_not_satisfiable` outside of what is kept */
  read(from: number, limit: number): { position: number; end: number; bytes: Buffer } {
    const { start, end } = this.ring;
    if (from < start || from > end) {
      const details = { start, end };
      throw new AppError('range_not_satisfiable', `Output is kept from ${start} to ${end}.`, { details });
    }
    return { position: from, end, bytes: Buffer.concat(this.ring.slices(from, Math.min(end, from + limit))) };
  }

  /** Keeps the last screen of an ended session, and frees the terminal behind it. */
  keepLast(): void {
    if (!this.#drawing) return;
    try {
      this.#last = this.#lastOf(this.#drawing);
    } catch (error) {
      // The session ends all the same, and its output can still be read.
      this.#events.fault(error);
      const { end } = this.ring;
      const snapshot = { ...this.#size, position: end, parsed: end, text: Buffer.alloc(0) };
      this.#last = { snapshot, markSeq: Number.MAX_SAFE_INTEGER, lines: [] };
    }
    this.dispose();
  }

  #lastOf(drawing: Drawing): Last {
    const screen = drawing.drawAll();
    screen.finish();
    const { snapshot, markSeq } = drawing.snapshot();
    // Nothing follows, so what is not complete stays without effect: the snapshot stands at the end.
    return { snapshot: { ...snapshot, position: this.ring.end }, markSeq, lines: screen.lines(OUTPUT_LINES_MAX) };
  }

  /** Gives back what an idle session does not need, a step at a time. False when there was nothing to do. */
  rest(now: number): boolean {
    const idle = now - this.#usedAt;
    if (idle >= HIBERNATE_MS && this.#refusedAt !== this.#usedAt && !this.isHibernated) {
      // What cannot be brought back now cannot be until something changes.
      if (!this.hibernate()) this.#refusedAt = this.#usedAt;
      return true;
    }
    if (idle < TRIM_MS || this.#trimmedAt === this.#usedAt) return false;
    this.#trimmedAt = this.#usedAt;
    this.trim();
    return true;
  }

  /** Puts the terminal away until something happens. False when it would not come back exactly as it is. */
  hibernate(): boolean {
    if (this.isHibernated) return true;
    if (!this.#drawing?.hibernate()) return false;
    collectSoon();
    return true;
  }

  /**
   * Gives back raw output that only a viewer who was away for long would want: it gets a snapshot instead.
   * Gives how much (bytes). What is not drawn or not written down yet stays.
   */
  trim(): number {
    const held = this.ring.bytes;
    const waiting = Math.max(this.#drawing?.waiting ?? 0, this.#events.unwritten());
    this.ring.compact(this.#last ? ENDED_RING_BYTES : IDLE_RING_BYTES, this.ring.end - waiting);
    this.marks.forget(this.ring.start);
    return held - this.ring.bytes;
  }

  dispose(): void {
    clearTimeout(this.#flushTimer);
    clearTimeout(this.#settleTimer);
    this.#drawing?.dispose();
    this.#drawing = null;
  }

  /** At once, so that an echo is not held back; in a flood many small reads become one frame. */
  #schedule(): void {
    if (this.#flushTimer && this.ring.end - this.#flushedTo >= FLUSH_BYTES) {
      clearTimeout(this.#flushTimer);
      this.#flush();
    }
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    const isPaced = this.#isFlood && performance.now() - this.#flushedAt < this.#flushMs;
    if (!isPaced) setImmediate(() => this.#flush());
    else this.#flushTimer = setTimeout(() => this.#flush(), this.#flushMs);
  }

  /** Viewers first, the screen after: an echo does not wait for the emulator. */
  #flush(): void {
    this.#isFlushScheduled = false;
    this.#flushTimer = undefined;
    this.#flushedAt = performance.now();
    this.#isFlood = this.ring.end - this.#flushedTo >= FLOOD_BYTES;
    this.#flushMs = this.#isFlood ? Math.min(2 * this.#flushMs, FLUSH_MAX_MS) : FLUSH_MIN_MS;
    this.#flushedTo = this.ring.end;
    this.#events.flush();
    if (!this.#isDrawScheduled) this.#drawOrFail();
  }

  /** A screen that cannot be drawn costs this session its screen, and nothing else. */
  #drawOrFail(): void {
    try {
      this.#draw();
    } catch (error) {
      this.#events.fault(error);
      if (this.#isClosed) this.#events.drained();
    }
  }

  /** Draws for a while, then lets other sessions have their turn. In a flood only what cannot wait. */
  #draw(): void {
    this.#isDrawScheduled = false;
    if (!this.#drawing) return;
    const mayWait = (this.#isFlood || this.#settleTimer !== undefined) && !this.#isClosed;
    const isBehind = mayWait ? this.#drawing.drawNeeded() : this.#drawing.drawSome();
    const { waiting } = this.#drawing;
    if (isBehind && waiting > BEHIND_HIGH && !this.#isPaused && !this.#isClosed) {
      this.#isPaused = true;
      this.#events.pause(true);
    } else if (!isBehind || waiting < BEHIND_LOW) {
      this.resume();
    }
    if (isBehind) {
      this.#isDrawScheduled = true;
      setImmediate(() => this.#drawOrFail());
    } else if (this.#isClosed) {
      this.#events.drained();
    } else if (waiting > 0) {
      this.#settleLater();
    }
  }

  #settleLater(): void {
    const { end } = this.ring;
    this.#settleTimer ??= setTimeout(() => {
      this.#settleTimer = undefined;
      this.#isFlood = this.ring.end - end >= FLOOD_BYTES;
      if (!this.#isDrawScheduled) this.#drawOrFail();
    }, SETTLE_MS);
  }
}
