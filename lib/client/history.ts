/** Output older than a terminal's scrollback: pages of the session's journal, read backwards and played as one stream. */
import { AppError } from '@/lib/protocol/errors';
import { HISTORY_BYTES_MAX } from '@/lib/protocol/limits';
import { decodeViewerFrame, type ViewerFrame } from '@/lib/protocol/wire';
import { Feed, type TerminalSink } from './feed';

/** Output in the first page (bytes): it is shown soon; the pages after it are as large as they may be. */
const FIRST_PAGE_BYTES = 512 * 1024;
/** Output that is held at most (bytes); a larger journal is not read to its start. */
const HELD_BYTES_MAX = 32 * 1024 * 1024;
const LENGTH_BYTES = 4;

/** A page: the screen at `position`, and the output from there to `end`. The journal begins at `start`. */
export type HistoryPage = { position: number; end: number; start: number; frames: ViewerFrame[] };

/** Reads a page that ends at `before`, or at the end of the journal. */
export type ReadHistory = (range: { before: number | null; limit: number }) => Promise<HistoryPage>;

/** What is held, in positions: [first, end) of a journal that holds [start, end). */
export type HistoryExtent = { first: number; end: number; start: number };

/**
 * The frames of an answer, each behind its length in 4 bytes; those of kinds that this page does not know are left out.
 * @throws AppError `bad_request` when a frame is cut off or is none
 */
export function decodeFrames(body: Uint8Array): ViewerFrame[] {
  const lengths = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const frames: ViewerFrame[] = [];
  for (let offset = 0; offset < body.length; ) {
    const start = offset + LENGTH_BYTES;
    const length = start <= body.length ? lengths.getUint32(offset) : Number.POSITIVE_INFINITY;
    if (start + length > body.length) throw new AppError('bad_request', 'The answer is cut off.');
    const frame = decodeViewerFrame(body.subarray(start, start + length));
    if (frame) frames.push(frame);
    offset = start + length;
  }
  return frames;
}

/** Grows backwards from a position, page by page. */
export class History {
  readonly #read: ReadHistory;
  readonly #before: number | null;
  #pages: HistoryPage[] = [];
  #start = 0;
  #isExhausted = false;

  /** @param before the position behind the last byte wanted; null: everything */
  constructor(read: ReadHistory, before: number | null) {
    this.#read = read;
    this.#before = before;
  }

  /** What is held, or null before the first page is. */
  get extent(): HistoryExtent | null {
    const first = this.#pages[0]?.position;
    const end = this.#pages.at(-1)?.end;
    return first === undefined || end === undefined ? null : { first, end, start: Math.min(this.#start, first) };
  }

  /** Whether a page before those that are held can be read. */
  get hasEarlier(): boolean {
    const { extent } = this;
    return !this.#isExhausted && (extent === null || (extent.first > extent.start && !this.#isFull(extent)));
  }

  /** Whether older output exists that is not read because so much is held. */
  get isFull(): boolean {
    const { extent } = this;
    return extent !== null && extent.first > extent.start && this.#isFull(extent);
  }

  /** Reads the page before those that are held. Returns false when there is none; one call at a time. */
  async readEarlier(): Promise<boolean> {
    if (!this.hasEarlier) return false;
    const first = this.#pages[0];
    const page = first ? await this.#readBefore(first.position) : await this.#readNewest();
    // Without a page, or with one that ends before the next one begins, the journal has lost what was there.
    const continues = page !== null && (!first || (page.position < first.position && page.end >= first.position));
    this.#isExhausted = !continues;
    if (continues) this.#pages.unshift(page);
    return continues;
  }

  /** Plays everything that is held into an empty terminal; resolves when it is parsed. */
  play(sink: TerminalSink): Promise<void> {
    return new Promise((resolve) => {
      const feed = new Feed(sink, () => undefined);
      let isFed = false;
      const parsed = () => {
        if (isFed && feed.pendingBytes === 0) resolve();
      };
      for (const { frames } of this.#pages) {
        // Positions say when the size changes, so all changes of a page can be told before its output.
        for (const frame of frames) {
          if (frame.type === 'snapshot') startFrom(feed, frame, parsed);
          else if (frame.type === 'event' && frame.message.event === 'resized') {
            feed.resized({ cols: frame.message.cols, rows: frame.message.rows }, frame.message.position);
          }
        }
        for (const frame of frames) {
          if (frame.type === 'output') feed.output(frame.position, frame.data, parsed);
        }
      }
      isFed = true;
      parsed();
    });
  }

  async #readNewest(): Promise<HistoryPage> {
    const page = await this.#read({ before: this.#before, limit: FIRST_PAGE_BYTES });
    this.#start = page.start;
    return page;
  }

  async #readBefore(before: number): Promise<HistoryPage | null> {
    try {
      const page = await this.#read({ before, limit: HISTORY_BYTES_MAX });
      this.#start = page.start;
      return page;
    } catch (error) {
      // The journal was cut since the last answer.
      if (error instanceof AppError && error.code === 'range_not_satisfiable') return null;
      throw error;
    }
  }

  #isFull({ first, end }: HistoryExtent): boolean {
    return end - first + HISTORY_BYTES_MAX > HELD_BYTES_MAX;
  }
}

/** The page before brought the screen here already: of a key frame behind it only the size may be news. */
function startFrom(feed: Feed, frame: Extract<ViewerFrame, { type: 'snapshot' }>, parsed: () => void): void {
  const { position, cols, rows, data } = frame;
  if (feed.received === null) feed.snapshot({ position, size: { cols, rows }, data }, parsed);
  else feed.resized({ cols, rows }, position);
}
