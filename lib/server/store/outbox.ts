/** Changes that wait for the primary store, in a file that outlives this process. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fdatasync, fsyncSync, ftruncate, mkdirSync, openSync, readFileSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Logger } from '@/lib/log';
import { AppError } from '@/lib/protocol/errors';
import type { Durability } from '@/lib/protocol/rest';
import { releaseLock, takeLock } from './lock-file';
import { projectStateSchema, sessionStateSchema } from './state-schemas';
import type { ProjectState, SessionState } from './store';

/** The file may grow to this (bytes); changes and deletions of what is there may use a little more. */
const OUTBOX_BYTES_MAX = 64 * 1024 * 1024;
const RESERVE_BYTES = 1024 * 1024;
/** When the file could not be written, it is tried again after this (ms). */
const RETRY_MS = 2_000;
/** A change waits for the disk this long (ms): people wait for the answer, and changes for one another when the database is back. */
const ANSWER_MS = 1_000;
const SUM_LENGTH = 8;

const writeAt = promisify(write);
const sync = promisify(fdatasync);
const truncate = promisify(ftruncate);

/** A state that the primary is to take over. */
export type Change =
  | { readonly table: 'projects'; readonly state: ProjectState }
  | { readonly table: 'sessions'; readonly state: SessionState };

const lineSchema = z.discriminatedUnion('table', [
  z.object({ opId: z.string(), table: z.literal('projects'), state: projectStateSchema }),
  z.object({ opId: z.string(), table: z.literal('sessions'), state: sessionStateSchema }),
]);

type Waiting = { readonly change: Change; readonly line: Buffer; readonly done: (isWritten: boolean) => void };

/** What an outbox is made of. */
export type OutboxOptions = {
  /** Null keeps the changes in memory only. */
  readonly file: string | null;
  readonly log: Logger;
  /** Called when `fault` has changed. */
  readonly onFault?: () => void;
  readonly bytesMax?: number;
};

/**
 * Keeps the newest state of each record that the primary does not have yet. Each change is one line of the file, synced before `add`
 * resolves; changes that come while the disk is busy share one sync. A line is a checksum and JSON, `{opId, table, state}`: one that is
 * torn or damaged is skipped and counted. The file is emptied when the primary has everything. One process at a time holds it.
 *
 * A disk that takes nothing is no reason to forget: the change then is in memory only, as `durabilityOf` says, and is written as
 * soon as the disk takes it.
 *
 * A disk that hangs is one that takes nothing, once a change has waited for a second. Nothing more is asked of it until it answers, and
 * the lines that it has may be written late. They cannot harm: a line is a state with its rev, so one that is replaced or replayed
 * twice changes nothing. Only that of a record which was refused meanwhile would bring it into being: it is cut off again. If this
 * process dies before that, the record is there, like one whose answer was lost.
 */
export class Outbox {
  readonly #file: string | null;
  readonly #log: Logger;
  readonly #onFault: () => void;
  readonly #bytesMax: number;
  readonly #run = randomBytes(4).toString('hex');
  /** In the order in which the ids came, so that a project precedes its sessions. */
  readonly #pending = new Map<string, Change>();
  /** Ids of which the newest state is not in the file. */
  readonly #unwritten = new Set<string>();
  #waiting: Waiting[] = [];
  /** What the disk is asked to write. */
  #writing: readonly Waiting[] = [];
  /** Whether it has not answered in time, and still does not. */
  #isStuck = false;
  #flushing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #handle: number | null = null;
  #size = 0;
  #opCount = 0;
  #fault: unknown = null;
  #isClosed = false;

  constructor({ file, log, onFault, bytesMax = OUTBOX_BYTES_MAX }: OutboxOptions) {
    this.#file = file;
    this.#log = log;
    this.#onFault = onFault ?? (() => undefined);
    this.#bytesMax = bytesMax;
  }

  /** How many records wait, and the size of the file. */
  get status(): { pending: number; bytes: number } {
    return { pending: this.#pending.size, bytes: this.#size };
  }

  /** Whether changes could not be written. */
  get hasFault(): boolean {
    return this.#fault !== null;
  }

  /** Where the newest state of a record is. */
  durabilityOf(id: string): Durability {
    if (!this.#pending.has(id)) return 'stored';
    return this.#unwritten.has(id) ? 'memory' : 'outbox';
  }

  /**
   * Opens the file, unless it is open, and gives what an earlier process left in it. A file that cannot be opened is tried again at
   * the next call.
   */
  open(): Change[] {
    if (this.#file === null || this.#handle !== null || this.#isClosed) return [];
    try {
      mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
      const holder = takeLock(`${this.#file}.lock`);
      if (holder !== null) throw new Error(`${this.#file} is used by process ${holder}`);
      const left = this.#read(this.#file);
      this.#handle = openSync(this.#file, 'r+');
      this.#clear();
      return left;
    } catch (error) {
      this.#note(error);
      return [];
    }
  }

  /**
   * Makes sure that something new has room.
   * @throws AppError `no_capacity` when the file is as large as it may be
   */
  checkRoom(): void {
    if (this.#size < this.#bytesMax) return;
    throw new AppError('no_capacity', 'The database is away, and no more can be kept for it. Try again later.', {
      details: { reason: 'outbox_full' },
    });
  }

  /** Keeps a change. Resolves to false when it is in memory only, though there is a file. */
  async add(change: Change): Promise<boolean> {
    const { id } = change.state;
    this.#pending.set(id, change);
    this.#unwritten.add(id);
    if (this.#file === null) return true;
    if (this.#isStuck) return false;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#giveUp(), ANSWER_MS);
      const done = (isWritten: boolean) => {
        clearTimeout(timer);
        resolve(isWritten);
      };
      this.#waiting.push({ change, line: this.#lineOf(change), done });
      this.#flush();
    });
  }

  /** The next changes for the primary. */
  next(max: number): Change[] {
    return [...this.#pending.values()].slice(0, max);
  }

  /** Whether nothing newer of the record waits. */
  isNewest(change: Change): boolean {
    return this.#pending.get(change.state.id) === change;
  }

  /** Drops changes that the primary has, but for those that were replaced meanwhile. */
  drop(batch: readonly Change[]): void {
    for (const change of batch) {
      const { id } = change.state;
      if (this.#pending.get(id) !== change) continue;
      this.#pending.delete(id);
      this.#unwritten.delete(id);
    }
    if (this.#pending.size === 0) this.#flush();
  }

  /** Waits for what is being written, and gives the file to the next process. A disk that hangs keeps it until this process ends. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#retry) clearTimeout(this.#retry);
    await Promise.race([this.#flushing, sleep(ANSWER_MS, undefined, { ref: false })]);
    if (this.#handle === null || this.#flushing) return;
    closeSync(this.#handle);
    this.#handle = null;
    releaseLock(`${this.#file}.lock`);
  }

  #read(file: string): Change[] {
    closeSync(openSync(file, 'a', 0o600));
    const directory = openSync(dirname(file), 'r');
    fsyncSync(directory);
    closeSync(directory);
    const bytes = readFileSync(file);
    // What stands behind the last line end was never acknowledged, and is written over.
    this.#size = bytes.lastIndexOf('\n') + 1;
    const lines = bytes.toString('utf8').split('\n');
    const isTorn = lines.pop() !== '';
    let damaged = isTorn ? 1 : 0;
    for (const line of lines) {
      const change = parseLine(line);
      if (!change) damaged += 1;
      else if (isNewer(change.state, this.#pending.get(change.state.id)?.state)) {
        this.#pending.set(change.state.id, change);
      }
    }
    if (damaged > 0) this.#log.warn({ damaged, isTorn }, 'damaged lines of the outbox were skipped');
    if (this.#pending.size > 0) this.#log.info({ pending: this.#pending.size }, 'changes wait for the database');
    return [...this.#pending.values()];
  }

  #lineOf(change: Change): Buffer {
    this.#opCount += 1;
    const text = JSON.stringify({ ...change, opId: `${this.#run}-${this.#opCount}` });
    return Buffer.from(`${sumOf(text)} ${text}\n`);
  }

  #flush(): void {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = null;
    });
  }

  /** Writes what waits until nothing does, then empties the file if nothing is pending. */
  async #write(): Promise<void> {
    for (;;) {
      const waiting = this.#waiting;
      let isWritten = false;
      this.#waiting = [];
      this.#writing = waiting;
      try {
        if (waiting.length > 0) await this.#append(waiting);
        else if (this.#pending.size === 0 && this.#size > 0) await this.#empty();
        else return;
        isWritten = true;
        this.#clear();
      } catch (error) {
        this.#note(error);
        if (waiting.length === 0) return;
      } finally {
        this.#writing = [];
        this.#isStuck = false;
        for (const { done } of waiting) done(isWritten);
      }
    }
  }

  async #append(waiting: readonly Waiting[]): Promise<void> {
    if (this.#handle === null) throw this.#fault ?? new Error('the outbox is not open');
    const handle = this.#handle;
    const bytes = Buffer.concat(waiting.map(({ line }) => line));
    if (this.#size + bytes.length > this.#bytesMax + RESERVE_BYTES) throw new Error('the outbox is full');
    try {
      for (let done = 0; done < bytes.length; ) {
        done += (await writeAt(handle, bytes, done, bytes.length - done, this.#size + done)).bytesWritten;
      }
      await sync(handle);
      if (this.#isStuck && waiting.some(({ change }) => !this.#pending.has(change.state.id))) {
        throw new Error('the disk has answered too late');
      }
    } catch (error) {
      // What was written in part is written over the next time, also if it cannot be cut off.
      await truncate(handle, this.#size).catch(() => undefined);
      throw error;
    }
    this.#size += bytes.length;
    for (const { change } of waiting) {
      if (this.#pending.get(change.state.id) === change) this.#unwritten.delete(change.state.id);
    }
  }

  async #empty(): Promise<void> {
    if (this.#handle === null) return;
    await truncate(this.#handle, 0);
    this.#size = 0;
    await sync(this.#handle);
  }

  /** Nobody waits any longer for a disk that does not answer. What is in memory only is written when it does. */
  #giveUp(): void {
    this.#isStuck = true;
    this.#note(new Error('the disk does not answer'));
    for (const { done } of [...this.#writing, ...this.#waiting.splice(0)]) done(false);
  }

  #note(error: unknown): void {
    const isNew = this.#fault === null;
    this.#fault = error;
    if (isNew) {
      this.#log.error({ err: error }, 'the outbox cannot be written: changes are kept in memory until it can');
      this.#onFault();
    }
    if (!this.#retry && !this.#isClosed) {
      this.#retry = setTimeout(() => this.#again(), RETRY_MS).unref();
    }
  }

  #again(): void {
    this.#retry = null;
    if (this.#isStuck) {
      this.#note(this.#fault);
      return;
    }
    for (const id of this.#unwritten) {
      const change = this.#pending.get(id);
      if (change) this.#waiting.push({ change, line: this.#lineOf(change), done: () => undefined });
    }
    if (this.#handle === null) this.#note(this.#fault);
    else if (this.#waiting.length === 0) this.#clear();
    this.#flush();
  }

  #clear(): void {
    if (this.#fault === null || this.#unwritten.size > 0) return;
    this.#fault = null;
    this.#log.info('the outbox is written again');
    this.#onFault();
  }
}

function sumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, SUM_LENGTH);
}

function parseLine(line: string): Change | null {
  const text = line.slice(SUM_LENGTH + 1);
  if (sumOf(text) !== line.slice(0, SUM_LENGTH)) return null;
  return lineSchema.safeParse(JSON.parse(text)).data ?? null;
}

function isNewer(state: Change['state'], known: Change['state'] | undefined): boolean {
  if (!known) return true;
  return known.deletedAt === null && (state.deletedAt !== null || state.rev > known.rev);
}
