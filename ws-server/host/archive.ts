/** The journals of sessions that live in no host, read by any host of the node, and how long they are kept. */
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@/lib/log';
import type { ArchivedSession } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { OUTPUT_LINES_MAX } from '@/lib/protocol/limits';
import { isWriting, lossOf } from './host-facts';
import { listJournals, listSegments, remove, type Segment, statSegment, unlessGone } from './journal-files';
import { type JournalFacts, JournalReader } from './journal-reader';
import type { Rebuilt } from './tape';

/** Journals that are read at the same time. */
const READ_AT_ONCE = 8;
/** Facts of so many journals, and so many screens for so long (ms), are kept in memory. */
const FACTS_MAX = 2_000;
const SCREENS_MAX = 4;
const SCREEN_KEPT_MS = 60_000;
/** All journals of sessions that are over take at most this (bytes); the oldest give way. */
const ARCHIVE_BYTES_MAX = 2_000_000_000;

type Known<T> = { signature: string; at: number; value: T };

/** The journals below one directory. It changes none, but for removing what nobody needs. */
export class Archive {
  readonly #directory: string;
  readonly #keptMs: number;
  readonly #log: Logger;
  readonly #facts = new Map<string, Known<JournalFacts | null>>();
  readonly #screens = new Map<string, Known<Rebuilt | null>>();

  constructor(options: { directory: string; keptMs: number; log: Logger }) {
    this.#directory = options.directory;
    this.#keptMs = options.keptMs;
    this.#log = options.log;
  }

  /** Where the journal of a session lies. */
  directoryOf(id: string): string {
    return join(this.#directory, id);
  }

  /** Every session that is over. */
  async list(): Promise<ArchivedSession[]> {
    const ids = await listJournals(this.#directory);
    const sessions: ArchivedSession[] = [];
    for (let start = 0; start < ids.length; start += READ_AT_ONCE) {
      const batch = ids.slice(start, start + READ_AT_ONCE);
      for (const found of await Promise.all(batch.map((id) => this.#orSkip(id, this.find(id)))))
        if (found) sessions.push(found);
    }
    return sessions;
  }

  /** What a call gives, or null when it fails: one odd journal hides, and keeps, no other. */
  async #orSkip<T>(id: string, call: Promise<T>): Promise<T | null> {
    try {
      return await call;
    } catch (err) {
      this.#log.warn({ err, session: id }, 'a journal could not be read or removed');
      return null;
    }
  }

  /** A session that is over: its journal says so, or its host does not run any more. Null for any other. */
  async find(id: string): Promise<ArchivedSession | null> {
    const reader = await JournalReader.open(this.directoryOf(id));
    const facts = reader && (await this.#known(this.#facts, id, reader, FACTS_MAX, () => reader.facts()));
    if (!facts || facts.session.id !== id || (!facts.exit && isWriting(facts.writer))) return null;
    const { session, exit, writer } = facts;
    return { ...session, exit: exit ?? lossOf(writer, session.lastActivity) };
  }

  /** @throws AppError `not_found`, or `epoch_superseded` when a higher epoch is there */
  async locate(id: string, epoch: number): Promise<{ session: ArchivedSession; reader: JournalReader }> {
    const session = await this.find(id);
    const reader = session && (await JournalReader.open(this.directoryOf(id), session.epoch));
    if (!reader || session.epoch < epoch) throw new AppError('not_found', 'There is no such session.');
    if (session.epoch > epoch) {
      throw new AppError('epoch_superseded', 'The session was started again.', { details: { epoch: session.epoch } });
    }
    return { session, reader };
  }

  /** The facts and the last screen of a session that is over. @throws AppError as `locate` */
  async open(id: string, epoch: number): Promise<{ session: ArchivedSession; rebuilt: Rebuilt }> {
    const { session, reader } = await this.locate(id, epoch);
    const now = Date.now();
    for (const [other, { at }] of this.#screens) if (now - at > SCREEN_KEPT_MS) this.#screens.delete(other);
    const rebuilt = await this.#known(this.#screens, id, reader, SCREENS_MAX, () => reader.screen(OUTPUT_LINES_MAX));
    if (!rebuilt) throw new AppError('not_found', 'Nothing of this session can be read.');
    return { session, rebuilt };
  }

  /** The last screen of the newest epoch, whatever is the matter with the session. Null when there is none. */
  async lastScreen(id: string): Promise<Rebuilt | null> {
    return (await JournalReader.open(this.directoryOf(id)))?.screen(OUTPUT_LINES_MAX) ?? null;
  }

  /** Removes the journals of a session, all epochs. */
  async forget(id: string): Promise<void> {
    await remove(this.directoryOf(id));
    this.#facts.delete(id);
    this.#screens.delete(id);
  }

  /** Removes what is too old, and the oldest of what is too much. */
  async sweep(now: number = Date.now(), bytesMax: number = ARCHIVE_BYTES_MAX): Promise<void> {
    const journals = [];
    for (const id of await listJournals(this.#directory)) {
      const journal = await this.#orSkip(id, this.#measure(id));
      if (journal) journals.push(journal);
    }
    let bytes = journals.reduce((sum, journal) => sum + journal.bytes, 0);
    for (const journal of journals.sort((a, b) => a.writtenAt - b.writtenAt)) {
      const isOld = now - journal.writtenAt > this.#keptMs;
      if (!isOld && bytes <= bytesMax) break;
      if (!(await this.#orSkip(journal.id, this.#removeOver(journal)))) continue;
      bytes -= journal.bytes;
      this.#log.info({ session: journal.id, isOld }, 'a journal was removed');
    }
  }

  /** Segment by segment: what another host writes for the next epoch stays. */
  async #removeOver({ id, segments }: { id: string; segments: Segment[] }): Promise<boolean> {
    const reader = await JournalReader.open(this.directoryOf(id));
    const facts = await reader?.facts();
    if (facts && !facts.exit && isWriting(facts.writer)) return false;
    await remove(...segments.map(({ path }) => path));
    // A directory that is not empty has a newer segment.
    await unlessGone(rmdir(this.directoryOf(id)), undefined).catch(() => undefined);
    this.#facts.delete(id);
    return true;
  }

  async #measure(id: string): Promise<{ id: string; segments: Segment[]; bytes: number; writtenAt: number }> {
    const segments = await listSegments(this.directoryOf(id));
    const stats = await Promise.all(segments.map(statSegment));
    const bytes = stats.reduce((sum, stat) => sum + (stat?.size ?? 0), 0);
    return { id, segments, bytes, writtenAt: Math.max(0, ...stats.map((stat) => stat?.mtimeMs ?? 0)) };
  }

  /** What `read` gave the last time, unless something was written since. */
  async #known<T>(
    cache: Map<string, Known<T>>,
    id: string,
    reader: JournalReader,
    entriesMax: number,
    read: () => Promise<T>,
  ): Promise<T> {
    const signature = await reader.signature();
    const known = cache.get(id);
    if (known?.signature === signature) return known.value;
    const value = await read();
    if (reader.damaged > 0) this.#log.warn({ session: id, damaged: reader.damaged }, 'a journal is damaged in places');
    cache.delete(id);
    cache.set(id, { signature, at: Date.now(), value });
    const oldest = cache.keys().next();
    if (cache.size > entriesMax && !oldest.done) cache.delete(oldest.value);
    return value;
  }
}
