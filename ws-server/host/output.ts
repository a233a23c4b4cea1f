/** What a session's program has printed: the ring that viewers read, and the screen that parses it behind them. */
import { AppError } from '@/lib/protocol/errors';
import { OUTPUT_LINES_MAX, RING_BYTES_MAX } from '@/lib/protocol/limits';
import type { CellSize, Colours, Size } from '@/lib/protocol/wire';
import { Ring } from './ring';
import { Screen, type ScreenEvents, type Snapshot } from './screen';
import { SizeMarks } from './size-marks';
import type { Stream } from './viewer';

/** Unparsed output above which the pty waits, and below which it goes on (bytes). */
const PARSE_HIGH = 256 * 1024;
const PARSE_LOW = 128 * 1024;
/** A full read of the pty is taken for a flood (bytes): then output is passed on so often (ms), or when so much has come (bytes). */
const FLOOD_BYTES = 4095;
const FLUSH_INTERVAL_MS = 2;
const FLUSH_BYTES = 64 * 1024;
/** Output parsed before other sessions get their turn (bytes). */
const PARSE_SLICE = 64 * 1024;
/** Raw output that is kept when the rest is forgotten (bytes). */
const TRIMMED_RING_BYTES = 256 * 1024;

/** What the output asks of its session. */
export type OutputEvents = ScreenEvents & {
  /** There is something new for viewers. */
  flush: () => void;
  /** The screen has fallen behind: the pty is to wait, or may go on. */
  pause: (isPaused: boolean) => void;
  /** After `close`: everything is parsed. */
  drained: () => void;
};

export class Output implements Stream {
  readonly ring = new Ring(RING_BYTES_MAX);
  readonly marks = new SizeMarks();
  readonly #events: OutputEvents;
  #screen: Screen | null;
  /** Bytes handed to the screen, and the last change of size that it has applied. */
  #fed = 0;
  #appliedMark = 0;
  #isFlushScheduled = false;
  #flushTimer: NodeJS.Timeout | undefined;
  #flushedAt = 0;
  #flushedTo = 0;
  #isFlood = false;
  #isParseScheduled = false;
  #isPaused = false;
  #isClosed = false;
  #last: { snapshot: Snapshot; lines: string[] } | null = null;

  constructor(size: Size, events: OutputEvents) {
    this.#events = events;
    this.#screen = new Screen(size, events);
  }

  /** Memory of ring and screen (bytes). */
  get bytes(): number {
    return this.ring.bytes + (this.#screen?.bytes ?? this.#last?.snapshot.text.length ?? 0);
  }

  append(chunk: Buffer): void {
    this.ring.append(chunk);
    this.marks.forget(this.ring.start);
    this.#schedule();
  }

  /** Books a change of size at the end of what has come. */
  resize(size: Size): void {
    this.marks.add(this.ring.end, size);
    this.#schedule();
  }

  /** What the driver's terminal looks like, for answers to queries. */
  describe(look: { cell?: CellSize | undefined; colours?: Colours | undefined }): void {
    this.#screen?.describe(look);
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
    this.#screen?.draw(Buffer.from(preface));
  }

  /**
   * The screen of this moment: what waits is parsed first, so that a viewer never goes back.
   * @param scrollback lines above the screen to take along
   */
  snapshot(scrollback?: number): { snapshot: Snapshot; markSeq: number } {
    this.#parse(Number.POSITIVE_INFINITY);
    const snapshot = this.#last?.snapshot ?? this.#screen?.snapshot(this.ring.start, scrollback);
    if (!snapshot) throw new AppError('not_found', 'There is no such session.');
    return { snapshot, markSeq: this.#appliedMark };
  }

  /** The last lines of scrollback and screen as plain text. */
  lines(count: number): string[] {
    this.#parse(Number.POSITIVE_INFINITY);
    return this.#screen?.lines(count) ?? this.#last?.lines.slice(-count) ?? [];
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
    if (!this.#screen) return;
    this.#screen.finish();
    // Nothing follows, so what is not complete stays without effect: the snapshot stands at the end.
    const snapshot = { ...this.#screen.snapshot(this.ring.start), position: this.ring.end };
    this.#last = { snapshot, lines: this.#screen.lines(OUTPUT_LINES_MAX) };
    this.dispose();
  }

  /** Forgets older raw output: of an ended session that nobody watches, or because memory is short. What is not parsed stays. Gives how much (bytes). */
  trim(): number {
    const { start } = this.ring;
    this.ring.trim(Math.max(TRIMMED_RING_BYTES, this.ring.end - this.#fed));
    return this.ring.start - start;
  }

  dispose(): void {
    clearTimeout(this.#flushTimer);
    this.#screen?.dispose();
    this.#screen = null;
  }

  /** At once, so that an echo is not held back; in a flood many small reads become one frame. */
  #schedule(): void {
    if (this.#flushTimer && this.ring.end - this.#flushedTo >= FLUSH_BYTES) {
      clearTimeout(this.#flushTimer);
      this.#flush();
    }
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    const isPaced = this.#isFlood && performance.now() - this.#flushedAt < FLUSH_INTERVAL_MS;
    if (!isPaced) setImmediate(() => this.#flush());
    else this.#flushTimer = setTimeout(() => this.#flush(), FLUSH_INTERVAL_MS);
  }

  /** Viewers first, the screen after: an echo does not wait for the parser. */
  #flush(): void {
    this.#isFlushScheduled = false;
    this.#flushTimer = undefined;
    this.#flushedAt = performance.now();
    this.#isFlood = this.ring.end - this.#flushedTo >= FLOOD_BYTES;
    this.#flushedTo = this.ring.end;
    this.#events.flush();
    if (!this.#isParseScheduled) this.#parseSlice();
  }

  /** Parses for a while, then lets other sessions have their turn. */
  #parseSlice(): void {
    this.#isParseScheduled = false;
    this.#parse(PARSE_SLICE);
    const waiting = this.ring.end - this.#fed;
    if (waiting > PARSE_HIGH && !this.#isPaused && !this.#isClosed) {
      this.#isPaused = true;
      this.#events.pause(true);
    } else if (waiting < PARSE_LOW) {
      this.resume();
    }
    if (waiting > 0 && this.#screen) {
      this.#isParseScheduled = true;
      setImmediate(() => this.#parseSlice());
    } else if (this.#isClosed) {
      this.#events.drained();
    }
  }

  /** Feeds the screen, with each change of size at its position. */
  #parse(bytesMax: number): void {
    if (!this.#screen) return;
    const until = Math.min(this.ring.end, this.#fed + bytesMax);
    for (;;) {
      const mark = this.marks.after(this.#appliedMark);
      if (mark && mark.position <= this.#fed) {
        this.#screen.resize(mark);
        this.#appliedMark = mark.seq;
        continue;
      }
      const end = Math.min(until, mark?.position ?? until);
      if (end <= this.#fed) return;
      for (const slice of this.ring.slices(this.#fed, end)) this.#screen.write(slice);
      this.#fed = end;
    }
  }
}
