/**
 * The journal of one living session: a cursor into its stream, as a viewer is, that writes to files. It is bounded by the ring:
 * a disk that is slower than the program leaves a hole and goes on with a frame. See docs/adr/0003-journal.md.
 */
import { randomInt } from 'node:crypto';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { endedPath, listSegments, remove, segmentPath } from './journal-files';
import { type End, encode, type KeyFrame, type Meta } from './journal-format';
import type { Ring } from './ring';
import type { Snapshot } from './screen';
import type { SizeMarks } from './size-marks';

/** Output waits this long before it is written (ms), or until there is so much of it (bytes). */
const FLUSH_MS = 500;
const FLUSH_BYTES = 256 * 1024;
/** After a failure the next try (ms). */
const RETRY_MS = 1_000;
/** Output in one record, which is what a damaged byte costs, and in one write (bytes). */
const RECORD_BYTES = 64 * 1024;
const WRITE_BYTES = 1024 * 1024;
/** A segment holds at most this share of the journal, and at most so much output (bytes). */
const SEGMENTS_MIN = 5;
const SEGMENT_BYTES_MAX = 2_000_000;
/** A frame with scrollback costs some milliseconds: in a flood it comes at most so often (ms), otherwise after so much output (bytes). */
const FULL_FRAME_MS = 1_000;
const FRAME_BYTES = 1024 * 1024;
/** An escape sequence that began longer ago (bytes) is not written again behind a frame: the rest of it shows as text. */
const REWIND_BYTES_MAX = 64 * 1024;

/** What a journal is written from. */
export type JournalSource = {
  ring: Ring;
  marks: SizeMarks;
  /** @param scrollback lines above the screen to take along */
  snapshot(scrollback?: number): { snapshot: Snapshot; markSeq: number };
};

export type JournalOptions = {
  /** The directory of this session's journal; made when it is needed. */
  directory: string;
  epoch: number;
  /** Raw output to keep (bytes); frames come on top. */
  bytesMax: number;
  source: JournalSource;
  meta: () => Meta;
  /** Called at every failure to write. */
  onFault: (error: unknown) => void;
};

type Frame = { frame: KeyFrame; markSeq: number; isBare: boolean };
/** Records to write, and where the cursor stands behind them. */
type Batch = { parts: Uint8Array[]; bytes: number; cursor: number; markSeq: number };
/** The open segment. `length` counts whole records only: the next one is written there. */
type OpenFile = {
  handle: FileHandle;
  path: string;
  key: number;
  length: number;
  outputBytes: number;
  saysEnd: boolean;
};

export class Journal {
  readonly #options: JournalOptions;
  readonly #segmentBytes: number;
  readonly #segmentsMax: number;
  /** Segments of this epoch that are complete, oldest first. */
  readonly #complete: string[] = [];
  #number = 0;
  #file: OpenFile | null = null;
  #cursor = 0;
  #markSeq = 0;
  /** The frame that the next segment begins with, once it is taken. */
  #next: Frame | null;
  #frameAt = 0;
  #isFrameBare = false;
  #fullFrameAt = 0;
  #meta = '';
  #ending: End | null = null;
  #isClosed = false;
  #fault: string | null = null;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  /** The flush that waits for its turn: it writes for everybody who asks meanwhile. */
  #nextFlush: Promise<void> | null = null;
  #isWorking = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    const segmentBytes = Math.ceil(options.bytesMax / SEGMENTS_MIN);
    this.#segmentBytes = Math.min(segmentBytes, SEGMENT_BYTES_MAX);
    this.#segmentsMax = Math.max(SEGMENTS_MIN, Math.floor(options.bytesMax / this.#segmentBytes));
    this.#next = this.#takeFrame();
    this.note();
  }

  /** Why it cannot be written at the moment, or null. */
  get fault(): string | null {
    return this.#fault;
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** Output that is still to be written (bytes); 0 when it cannot be, so that nobody keeps it for that. */
  get waiting(): number {
    return this.#isClosed || this.#fault !== null ? 0 : this.#options.source.ring.end - this.#cursor;
  }

  /** There is something new. Cheap, and may come often. */
  note(): void {
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => void this.flush(), this.#fault === null ? FLUSH_MS : RETRY_MS);
    const waiting = this.#options.source.ring.end - this.#cursor;
    if (waiting >= FLUSH_BYTES && !this.#isWorking && this.#fault === null) void this.#run(() => this.#writeOutput());
  }

  /** Writes what has come so far. Resolves also when that is not possible; then it is tried again later. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#nextFlush ??= this.#run(async () => {
      this.#nextFlush = null;
      await this.#writeOutput();
      await this.#writeFacts();
    });
    return this.#nextFlush;
  }

  /** The session has ended and its last screen stands: nothing comes after this. */
  end(ending: End): Promise<void> {
    this.#ending = ending;
    return this.flush();
  }

  /** Lets go of the files, whatever is not written. */
  close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#isClosed = true;
    return this.#run(() => this.#closeFile());
  }

  #run(work: () => Promise<void>): Promise<void> {
    const next = this.#work.then(async () => {
      this.#isWorking = true;
      try {
        await work();
        this.#fault = null;
      } catch (error) {
        await this.#failed(error);
      }
      this.#isWorking = false;
    });
    this.#work = next;
    return next;
  }

  /** What was written in part is cut off, and the next try writes over it. */
  async #failed(error: unknown): Promise<void> {
    this.#fault = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    this.#options.onFault(error);
    // It may fail for the same reason; then readers pass over the rest of that record.
    await this.#file?.handle.truncate(this.#file.length).catch(() => undefined);
    await this.#nameEnd();
    if (!this.#isClosed) this.#timer ??= setTimeout(() => void this.flush(), RETRY_MS);
  }

  /** Without END a reader would take the session for lost with its host. A new name needs no room on a disk. */
  async #nameEnd(): Promise<void> {
    const file = this.#file;
    if (!file || !this.#ending || file.saysEnd) return;
    const path = endedPath(file.path, this.#ending.exit);
    const isNamed = await rename(file.path, path).then(
      () => true,
      () => false, // the next failure tries again
    );
    if (isNamed) Object.assign(file, { path, saysEnd: true });
  }

  async #writeOutput(): Promise<void> {
    if (this.#isClosed) return;
    const { ring } = this.#options.source;
    const target = ring.end;
    do {
      const file = this.#file;
      const hasFallenBehind = this.#cursor < ring.start;
      if (!file || hasFallenBehind || file.outputBytes >= this.#segmentBytes) await this.#beginSegment();
      else
        await this.#append(file, this.#gather(file.key, Math.min(WRITE_BYTES, this.#segmentBytes - file.outputBytes)));
    } while (this.#cursor < target);
    if (this.#file) await this.#append(this.#file, this.#gather(this.#file.key, 0)); // changes of size at the end
  }

  /** The next records of the stream. `bytesMax` is exceeded by less than one record. */
  #gather(key: number, bytesMax: number): Batch {
    const { ring, marks } = this.#options.source;
    const batch: Batch = { parts: [], bytes: 0, cursor: this.#cursor, markSeq: this.#markSeq };
    for (;;) {
      const mark = marks.after(batch.markSeq);
      if (mark && mark.position <= batch.cursor) {
        batch.parts.push(...encode.size(key, mark.position, mark));
        batch.markSeq = mark.seq;
        continue;
      }
      const end = Math.min(ring.end, mark?.position ?? ring.end, batch.cursor + RECORD_BYTES);
      if (end <= batch.cursor || batch.bytes >= bytesMax) return batch;
      batch.parts.push(...encode.output(key, batch.cursor, ring.slices(batch.cursor, end)));
      batch.bytes += end - batch.cursor;
      batch.cursor = end;
    }
  }

  async #append(file: OpenFile, batch: Batch): Promise<void> {
    if (batch.parts.length === 0) return;
    await this.#write(file, batch.parts);
    file.outputBytes += batch.bytes;
    this.#cursor = batch.cursor;
    this.#markSeq = batch.markSeq;
  }

  async #write(file: OpenFile, parts: Uint8Array[]): Promise<void> {
    const total = parts.reduce((sum, { length }) => sum + length, 0);
    const { bytesWritten } = await file.handle.writev(parts, file.length);
    if (bytesWritten < total) throw new Error('The disk took only a part.');
    file.length += total;
  }

  #takeFrame(scrollback?: number): Frame {
    const { source } = this.#options;
    const { snapshot, markSeq } = source.snapshot(scrollback);
    const isFar = source.ring.end - snapshot.position > REWIND_BYTES_MAX;
    const position = isFar ? source.ring.end : snapshot.position;
    const { cols, rows, text } = snapshot;
    return { frame: { position, cols, rows, text }, markSeq, isBare: scrollback === 0 };
  }

  /** Each segment can be read alone: it begins with the facts and a frame. */
  async #beginSegment(): Promise<void> {
    const { directory, epoch, source } = this.#options;
    if (!this.#next || this.#next.frame.position < source.ring.start) {
      const isFlood = performance.now() - this.#fullFrameAt < FULL_FRAME_MS;
      const taken = this.#takeFrame(isFlood ? 0 : undefined);
      // In the same moment: the segment before it reaches up to the frame.
      if (this.#file && this.#cursor >= source.ring.start) {
        await this.#append(this.#file, this.#gather(this.#file.key, Number.POSITIVE_INFINITY));
      }
      this.#next = taken;
    }
    const next = this.#next;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (this.#number === 0) this.#number = ((await listSegments(directory)).at(-1)?.number ?? 0) + 1;
    const key = randomInt(1, 2 ** 32);
    const path = segmentPath(directory, { epoch, number: this.#number, start: next.frame.position, key });
    const file = { handle: await open(path, 'wx', 0o600), path, key, length: 0, outputBytes: 0, saysEnd: false };
    const meta = this.#options.meta();
    try {
      await this.#write(file, [...encode.meta(key, meta), ...encode.key(key, next.frame, next.isBare)]);
    } catch (error) {
      await file.handle.close();
      await remove(path);
      throw error;
    }
    await this.#closeFile();
    this.#file = file;
    this.#number += 1;
    this.#meta = JSON.stringify(meta);
    this.#passed(next);
    this.#next = null;
    await this.#removeOld();
  }

  /** Nothing older than a frame that was just written is needed to go on. */
  #passed({ frame, markSeq, isBare }: Frame): void {
    this.#cursor = frame.position;
    this.#markSeq = markSeq;
    this.#frameAt = frame.position;
    this.#isFrameBare = isBare;
    if (!isBare) this.#fullFrameAt = performance.now();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    if (!file) return;
    this.#complete.push(file.path);
    await file.handle.close();
  }

  /** The oldest segments, and those of older epochs: their last screen is in the first frame of this one. */
  async #removeOld(): Promise<void> {
    const { directory, epoch } = this.#options;
    if (this.#complete.length === 0) {
      const older = (await listSegments(directory)).filter((segment) => segment.epoch < epoch);
      await remove(...older.map(({ path }) => path));
    }
    while (this.#complete.length >= this.#segmentsMax) await remove(this.#complete.shift() ?? '');
  }

  /** What is written when there is time: changed facts, a frame after a while, the end. */
  async #writeFacts(): Promise<void> {
    const file = this.#file;
    if (!file) return;
    const meta = this.#options.meta();
    if (JSON.stringify(meta) !== this.#meta) {
      await this.#write(file, encode.meta(file.key, meta));
      this.#meta = JSON.stringify(meta);
    }
    const ending = this.#ending;
    const { ring } = this.#options.source;
    if (!ending && !this.#isFrameBare && ring.end - this.#frameAt < FRAME_BYTES) return;
    if (!ending && performance.now() - this.#fullFrameAt < FULL_FRAME_MS) {
      this.note();
      return;
    }
    if (this.#cursor < ring.start) throw new Error('The disk is too slow.'); // a new segment comes first
    const next = this.#takeFrame();
    await this.#append(file, this.#gather(file.key, Number.POSITIVE_INFINITY));
    await this.#write(file, encode.key(file.key, next.frame, next.isBare));
    this.#passed(next);
    if (!ending) return;
    await this.#write(file, encode.end(file.key, ending));
    await file.handle.datasync();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#closeFile();
  }
}
