/** Reads one journal, also while it is written: its facts, its last screen, pages of history and raw output. */
import type { ArchivedSession, ExitFacts } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { listSegments, readSegment, type Segment, statSegment } from './journal-files';
import type { JournalRecord, Writer } from './journal-format';
import { type Page, type Rebuilt, Tape } from './tape';

/** Output that is read at most to rebuild a screen (bytes): far more than 1,000 lines. */
const REBUILD_BYTES_MAX = 16 * 1024 * 1024;

/** What a journal says of its session. Without `exit` its writer may still run. */
export type JournalFacts = {
  session: Omit<ArchivedSession, 'exit'>;
  exit: ExitFacts | null;
  writer: Writer;
};

/** The segments of one epoch of a session. */
export class JournalReader {
  readonly epoch: number;
  readonly #segments: readonly Segment[];
  #damaged = 0;

  private constructor(segments: readonly Segment[], epoch: number) {
    this.#segments = segments;
    this.epoch = epoch;
  }

  /** The journal of an epoch, or of the newest one; null when there is none. */
  static async open(directory: string, epoch?: number): Promise<JournalReader | null> {
    const all = await listSegments(directory);
    const wanted = epoch ?? all.at(-1)?.epoch ?? 0;
    const segments = all.filter((segment) => segment.epoch === wanted);
    return segments.length > 0 ? new JournalReader(segments, wanted) : null;
  }

  /** The oldest position that is there. */
  get start(): number {
    return this.#segments[0]?.start ?? 0;
  }

  /** Places with damaged records that were passed over so far. */
  get damaged(): number {
    return this.#damaged;
  }

  /** What changes with every write: path, size and time of the last segment. */
  async signature(): Promise<string> {
    const last = this.#segments.at(-1);
    const stat = last && (await statSegment(last));
    return stat ? `${last.path} ${stat.size} ${stat.mtimeMs}` : '';
  }

  /** What the newest segment says, or an older one when nothing of it can be read. Null when none can. */
  async facts(): Promise<JournalFacts | null> {
    for (const segment of this.#segments.toReversed()) {
      const tape = new Tape(await this.#load(segment));
      const { meta, ending, size } = tape;
      if (!meta || !size) continue;
      const writtenAt = Math.floor((await statSegment(segment))?.mtimeMs ?? meta.createdAt);
      const { writer, ...known } = meta;
      const session = {
        ...known,
        ...size,
        lastActivity: ending?.lastActivity ?? writtenAt,
        start: this.start,
        position: tape.end,
      };
      return { session, exit: ending?.exit ?? this.#segments.at(-1)?.exit ?? null, writer };
    }
    return null;
  }

  /** The last screen with its scrollback. Null when no frame can be read. */
  async screen(linesMax: number): Promise<Rebuilt | null> {
    const parts: JournalRecord[][] = [];
    let bytes = 0;
    for (const segment of this.#segments.toReversed()) {
      parts.unshift(await this.#load(segment));
      const tape = new Tape(parts.flat());
      bytes = tape.bytes;
      if (tape.hasFullFrame || bytes >= REBUILD_BYTES_MAX) break;
    }
    return new Tape(parts.flat()).screen(linesMax);
  }

  /** A page of history, see `Tape.page`. @throws AppError `range_not_satisfiable` when nothing lies before */
  async page(request: { before?: number | undefined; limit: number }): Promise<Page & { start: number }> {
    const before = request.before ?? Number.MAX_SAFE_INTEGER;
    const newest = Math.max(
      0,
      this.#segments.findLastIndex(({ start }) => start < before),
    );
    let parts: JournalRecord[] = [];
    for (const segment of this.#segments.slice(0, newest + 1).toReversed()) {
      parts = [...(await this.#load(segment)), ...parts];
      if (segment.start <= Math.min(before, new Tape(parts).end) - request.limit) break;
    }
    const page = new Tape(parts).page(before, { limit: request.limit, oldest: this.start });
    if (page) return { ...page, start: this.start };
    throw new AppError('range_not_satisfiable', 'There is no older output.', { details: { start: this.start } });
  }

  /** Raw output from a position on, up to a hole or `limit` bytes. @throws AppError `range_not_satisfiable` */
  async read(from: number, limit: number): Promise<Buffer> {
    const { start } = this;
    if (from < start) {
      throw new AppError('range_not_satisfiable', `Output is kept from ${start}.`, { details: { start } });
    }
    const first = this.#segments.findLastIndex((segment) => segment.start <= from);
    const parts: JournalRecord[] = [];
    for (const segment of this.#segments.slice(first)) {
      if (segment.start < from + limit) parts.push(...(await this.#load(segment)));
    }
    return new Tape(parts).read(from, limit);
  }

  async #load(segment: Segment): Promise<JournalRecord[]> {
    const { records, damaged } = await readSegment(segment);
    this.#damaged += damaged;
    return records;
  }
}
