/** One table of a store that may be away: reads and changes go to the primary, else to a mirror in memory and the outbox. */
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '@/lib/protocol/errors';
import { type Guard, Unavailable } from './guard';
import type { Change, Outbox } from './outbox';

type Row = { readonly id: string; readonly rev: number; readonly deletedAt: null };
type Grave = { readonly id: string; readonly rev: number; readonly deletedAt: number };

/** What projects and sessions have alike. `Limits` is what `update` takes beside the record. */
export interface Table<R, T, Rule, Filter, Limits extends readonly unknown[]> {
  insert(record: R, rule: Rule): Promise<void>;
  get(id: string): Promise<R | T | null>;
  list(filter: Filter): Promise<R[]>;
  update(record: R, ...limits: Limits): Promise<R>;
  delete(id: string): Promise<T>;
  put(states: readonly (R | T)[]): Promise<void>;
}

/** What the tables of one store share. */
export type Ground = {
  readonly guard: Guard;
  readonly outbox: Outbox;
  /** Resolves when it is known whether the primary is there. */
  readonly first: Promise<void>;
  /** Waits while calls are about to go back to the primary: changes do that before they begin. */
  readonly passage: () => Promise<void>;
  /** Makes a change without the primary; calls do not go back to it before the change is made. */
  readonly away: <A>(change: () => Promise<A>) => Promise<A>;
};

/** What a table is made of. */
export type TableOptions<R, T, Rule, Filter, Limits extends readonly unknown[]> = {
  readonly name: 'projects' | 'sessions';
  readonly primary: Table<R, T, Rule, Filter, Limits>;
  /** In memory: it makes a change in the step in which it is asked to. */
  readonly mirror: Table<R, T, Rule, Filter, Limits>;
  readonly change: (state: R | T) => Change;
  /** What `delete` leaves of a record. */
  readonly tombstone: (record: R) => T;
  readonly ground: Ground;
};

/**
 * While calls go through, the primary is the truth, and what it says is mirrored. While they do not, the mirror answers, and each
 * change of it is in the outbox before it is acknowledged.
 *
 * **A change without an answer may still be made by the primary, later.** It cannot harm:
 * - It has the same id and the same next rev as the change that the mirror made in its place, so a late insert is no second row
 *   (the id is taken) and a late update no second update (the rev has moved on).
 * - If it comes before the replay, the replayed state is either the same one, or has a higher rev, or has the same rev and other
 *   content because the mirror refused this change and took another: `Fallback` sees that and raises the rev.
 * - If it comes after the replay, the rev that it wants to replace is gone.
 * - When the mirror refuses it and takes no other, the refusal is made to hold: a refused insert is buried, and of a refused update the
 *   record as it stands gets the next rev.
 */
export class FallbackTable<R extends Row, T extends Grave, Rule, Filter, Limits extends readonly unknown[]>
  implements Table<R, T, Rule, Filter, Limits>
{
  readonly #options: TableOptions<R, T, Rule, Filter, Limits>;

  constructor(options: TableOptions<R, T, Rule, Filter, Limits>) {
    this.#options = options;
  }

  async insert(record: R, rule: Rule): Promise<void> {
    const { primary, mirror, change, tombstone, ground } = this.#options;
    await ground.passage();
    const asked = await this.#ask('insert', () => primary.insert(record, rule));
    if (asked.isAnswered) return mirror.put([record]);
    await ground.away(async () => {
      try {
        ground.outbox.checkRoom();
        if (!(asked.mayHappen && (await this.#has(record)))) await mirror.insert(record, rule);
      } catch (error) {
        if (asked.mayHappen) await this.#put(tombstone(record));
        throw error;
      }
      const kept = change(record);
      if (await ground.outbox.add(kept)) return;
      if (asked.mayHappen) await this.#put(tombstone(record));
      else await mirror.put([tombstone(record)]);
      ground.outbox.drop([kept]);
      throw new AppError('storage_full', 'The database is away, and the disk takes nothing new. Try again later.');
    });
  }

  async get(id: string): Promise<R | T | null> {
    return this.#read(
      'get',
      (table) => table.get(id),
      (state) => (state ? [state] : []),
    );
  }

  async list(filter: Filter): Promise<R[]> {
    return this.#read(
      'list',
      (table) => table.list(filter),
      (records) => records,
    );
  }

  async update(record: R, ...limits: Limits): Promise<R> {
    const { primary, mirror, ground } = this.#options;
    await ground.passage();
    const asked = await this.#ask('update', () => primary.update(record, ...limits));
    if (asked.isAnswered) return this.#agreed(asked.answer);
    const wanted = { ...record, rev: record.rev + 1 };
    return ground.away(async () => {
      if (asked.mayHappen && (await this.#has(wanted))) return wanted;
      try {
        const updated = await mirror.update(record, ...limits);
        await this.#keep(updated);
        return updated;
      } catch (error) {
        const stored = asked.mayHappen ? await mirror.get(record.id) : null;
        // Of another rev, it has had a change since, which stands for itself.
        if (stored?.deletedAt === null && stored.rev === record.rev)
          await this.#put({ ...stored, rev: record.rev + 1 });
        throw error;
      }
    });
  }

  async delete(id: string): Promise<T> {
    const { primary, mirror, ground } = this.#options;
    await ground.passage();
    const asked = await this.#ask('delete', () => primary.delete(id));
    if (asked.isAnswered) {
      await mirror.put([asked.answer]);
      return asked.answer;
    }
    return ground.away(async () => {
      const tombstone = await mirror.delete(id);
      await this.#keep(tombstone);
      return tombstone;
    });
  }

  async put(states: readonly (R | T)[]): Promise<void> {
    const { primary, mirror, ground } = this.#options;
    await ground.passage();
    const asked = await this.#ask('put', () => primary.put(states));
    if (asked.isAnswered) return mirror.put(states);
    await ground.away(async () => {
      for (const state of states) await this.#put(state);
    });
  }

  async #read<A>(
    operation: string,
    read: (table: Table<R, T, Rule, Filter, Limits>) => Promise<A>,
    statesIn: (answer: A) => (R | T)[],
  ): Promise<A> {
    const { primary, mirror } = this.#options;
    const asked = await this.#ask(operation, () => read(primary));
    if (!asked.isAnswered) return read(mirror);
    await mirror.put(statesIn(asked.answer));
    return asked.answer;
  }

  /** The primary's answer, or whether it may still do what it was asked. */
  async #ask<A>(
    operation: string,
    call: () => Promise<A>,
  ): Promise<{ isAnswered: true; answer: A } | { isAnswered: false; mayHappen: boolean }> {
    const { name, ground } = this.#options;
    await ground.first;
    if (!ground.guard.isClosed) return { isAnswered: false, mayHappen: false };
    try {
      return { isAnswered: true, answer: await ground.guard.run(`${name}.${operation}`, call) };
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      return { isAnswered: false, mayHappen: error.wasAsked };
    }
  }

  /** The primary's answer to an update, unless the mirror acknowledged another one of the same rev while it was under way. */
  async #agreed(updated: R): Promise<R> {
    const { mirror } = this.#options;
    await mirror.put([updated]);
    const mirrored = await mirror.get(updated.id);
    const isOther = mirrored?.deletedAt === null && mirrored.rev === updated.rev && !isSame(mirrored, updated);
    if (!isOther) return updated;
    throw new AppError('conflict', 'Somebody else changed this in the meantime.', { details: { rev: updated.rev } });
  }

  async #has(wanted: R): Promise<boolean> {
    return isSame(await this.#options.mirror.get(wanted.id), wanted);
  }

  async #put(state: R | T): Promise<void> {
    await this.#options.mirror.put([state]);
    await this.#keep(state);
  }

  #keep(state: R | T): Promise<boolean> {
    return this.#options.ground.outbox.add(this.#options.change(state));
  }
}

/** Whether two states say the same; what is undefined is not there, as in JSON. */
export function isSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(toPlain(one), toPlain(other));
}

function toPlain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
