/** What is kept of sessions beyond their rings: nothing, what fits in memory, or a journal on disk. */
import type { Logger } from '@/lib/log';
import type { ArchivedSession } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import type { Size } from '@/lib/protocol/wire';
import type { CallArgs } from '@/ws-server/link';
import { Archive } from './archive';
import { ArchivedView } from './archived-session';
import { describeWriter } from './host-facts';
import { Journal } from './journal';
import type { JournalRecord, KeyFrame } from './journal-format';
import { JournalReader } from './journal-reader';
import { prefaceOf } from './preface';
import type { Session } from './session';
import { type Page, Tape } from './tape';
import { Turnstile } from './turns';

/** A fault of the journal is logged at most this often (ms). */
const FAULT_LOG_MS = 60_000;
/** Old journals are looked for this often (ms). */
const SWEEP_MS = 3_600_000;

/** Settings of a host's history: where journals lie, output that each keeps (bytes), how long after the end (ms). */
export type HistoryOptions = {
  kind: 'off' | 'memory' | 'disk';
  directory: string;
  bytesMax: number;
  keptMs: number;
};

type At = { id: string; epoch: number };

/** The history of all sessions of one host. */
export class History {
  readonly kind: HistoryOptions['kind'];
  readonly #hostId: string;
  readonly #bytesMax: number;
  readonly #log: Logger;
  readonly #archive: Archive | null;
  /** What reads journals passes here; what writes them does not. */
  readonly #turnstile: Turnstile;
  readonly #journals = new Map<Session, Journal>();
  /** Without a journal: how each session looked before its first byte. */
  readonly #firstFrames = new WeakMap<Session, KeyFrame>();
  #writer: ReturnType<typeof describeWriter>;
  #faultLoggedAt = Number.NEGATIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor({ hostId, log, ...options }: HistoryOptions & { hostId: string; log: Logger }) {
    this.kind = options.kind;
    this.#hostId = hostId;
    this.#bytesMax = options.bytesMax;
    this.#log = log;
    this.#archive = options.kind === 'disk' ? new Archive({ ...options, log }) : null;
    this.#writer = describeWriter(hostId);
    this.#turnstile = new Turnstile();
  }

  /** Why a journal cannot be written at the moment, or null. */
  get fault(): string | null {
    return [...this.#journals.values()].find(({ fault }) => fault !== null)?.fault ?? null;
  }

  /** Starts to write down a session that has not printed anything yet. */
  record(session: Session): void {
    const { id, epoch, output } = session;
    if (this.kind === 'memory') this.#firstFrames.set(session, output.snapshot().snapshot);
    if (!this.#archive) return;
    session.journal = new Journal({
      directory: this.#archive.directoryOf(id),
      epoch,
      bytesMax: this.#bytesMax,
      source: output,
      meta: () => ({ ...session.lastingFacts(), id, epoch, writer: this.#writer }),
      onFault: (err) => this.#failed(err, id),
    });
    this.#journals.set(session, session.journal);
  }

  /** Stops to write down a session that is forgotten. */
  release(session: Session): void {
    this.#journals.delete(session);
    // Failures are reported by the journal itself.
    void session.journal?.close();
  }

  /** What a session that is started again shows above its output. `older` is the same session as this host still has it. */
  async preface(id: string, older: Session | null, size: Size): Promise<string> {
    if (this.kind === 'off') return '';
    const last = older ? older.output.snapshot().snapshot : (await this.#archive?.lastScreen(id))?.snapshot;
    return last ? prefaceOf(last, size) : '';
  }

  /** A page of the history of a session of this host. @throws AppError `not_found` where none is kept */
  async page(
    session: Session,
    request: Pick<CallArgs<'history'>, 'before' | 'limit'>,
  ): Promise<Page & { start: number }> {
    const { journal, epoch, output } = session;
    if (journal) {
      const page = await this.#turnstile.pass(async () => (await readerOf(journal, epoch))?.page(request));
      if (page) return page;
    }
    const first = this.#firstFrames.get(session);
    if (!first || output.ring.start > first.position) throw new AppError('not_found', 'There is no history.');
    const { before = Number.MAX_SAFE_INTEGER, limit } = request;
    const { position } = first;
    const page = new Tape(recordsOf(session, first)).page(before, { limit, oldest: position });
    if (page) return { ...page, start: position };
    throw new AppError('range_not_satisfiable', 'There is no older output.', { details: { start: position } });
  }

  /** Raw output of a session of this host, older than its ring where a journal has it. @throws AppError `range_not_satisfiable` */
  async read(session: Session, from: number, limit: number): Promise<{ position: number; end: number; bytes: Buffer }> {
    const { journal, epoch, output } = session;
    if (!journal || from >= output.ring.start) return session.read(from, limit);
    const bytes = await this.#turnstile.pass(async () => (await readerOf(journal, epoch))?.read(from, limit));
    return bytes ? { position: from, end: output.ring.end, bytes } : session.read(from, limit);
  }

  /** Sessions that are over and have a journal; with an id only that one. */
  async archived(id?: string): Promise<ArchivedSession[]> {
    const archive = this.#archive;
    if (!archive) return [];
    if (id === undefined) return this.#turnstile.pass(() => archive.list());
    const found = await this.#turnstile.pass(() => archive.find(id));
    return found ? [found] : [];
  }

  /** An archived session for viewers. @throws AppError `not_found`, `epoch_superseded` */
  async view({ id, epoch }: At): Promise<ArchivedView> {
    const { session, rebuilt } = await this.#turnstile.pass(() => this.#kept().open(id, epoch));
    return new ArchivedView(session, rebuilt);
  }

  /** @throws AppError as `view` */
  async archivedLines({ id, epoch, count }: CallArgs<'lines'>): Promise<string[]> {
    const { rebuilt } = await this.#turnstile.pass(() => this.#kept().open(id, epoch));
    return rebuilt.lines.slice(-count);
  }

  /** @throws AppError as `view`, `range_not_satisfiable` */
  async archivedRead({
    id,
    epoch,
    from,
    limit,
  }: CallArgs<'read'>): Promise<{ position: number; end: number; bytes: Buffer }> {
    return this.#turnstile.pass(async () => {
      const { session, reader } = await this.#kept().locate(id, epoch);
      return { position: from, end: session.position, bytes: await reader.read(from, limit) };
    });
  }

  /** @throws AppError as `view`, `range_not_satisfiable` */
  async archivedPage({ id, epoch, ...request }: CallArgs<'history'>): Promise<Page & { start: number }> {
    return this.#turnstile.pass(async () => (await this.#kept().locate(id, epoch)).reader.page(request));
  }

  /** Removes the journals of a session that does not live. */
  async forget(id: string): Promise<void> {
    await this.#archive?.forget(id);
  }

  /** Housekeeping: what the kernel says of this process, and journals that are too old. */
  sweep(now: number): void {
    const writer = describeWriter(this.#hostId);
    if (JSON.stringify(writer) !== JSON.stringify(this.#writer)) {
      this.#writer = writer;
      for (const journal of this.#journals.values()) journal.note();
    }
    if (!this.#archive || now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    this.#archive.sweep(now).catch((err: unknown) => this.#log.warn({ err }, 'old journals could not be removed'));
  }

  /** Resolves when everything is written, or cannot be. */
  async settle(): Promise<void> {
    await Promise.all([...this.#journals.values()].map((journal) => journal.flush()));
  }

  #kept(): Archive {
    if (!this.#archive) throw new AppError('not_found', 'There is no such session.');
    return this.#archive;
  }

  #failed(err: unknown, session: string): void {
    const now = performance.now();
    if (now - this.#faultLoggedAt < FAULT_LOG_MS) return;
    this.#faultLoggedAt = now;
    this.#log.error({ err, session }, 'a journal cannot be written; its terminal goes on');
  }
}

/** A journal with all that its session has printed so far; null when none of it could be written. */
async function readerOf(journal: Journal, epoch: number): Promise<JournalReader | null> {
  await journal.flush();
  return JournalReader.open(journal.directory, epoch);
}

/** The stream of a session whose ring holds all of it, as a journal would have it. */
function* recordsOf({ output: { ring, marks } }: Session, first: KeyFrame): Generator<JournalRecord> {
  yield { kind: 'key', isBare: false, ...first };
  let position = first.position;
  for (let mark = marks.after(0); ; mark = mark && marks.after(mark.seq)) {
    const end = mark?.position ?? ring.end;
    for (const data of ring.slices(position, end)) {
      yield { kind: 'output', position, data };
      position += data.length;
    }
    if (!mark) return;
    yield { kind: 'size', position, cols: mark.cols, rows: mark.rows };
  }
}
