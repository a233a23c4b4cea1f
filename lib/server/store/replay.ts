/** Brings a primary that is back up to date with the outbox. */
import type { Logger } from '@/lib/log';
import { AppError } from '@/lib/protocol/errors';
import { isSame } from './fallback-table';
import type { Attempt } from './guard';
import type { Change, Outbox } from './outbox';
import type { Driver } from './store';

/** Changes that one call takes over. */
const BATCH_MAX = 100;

/** What a replay is made of. */
export type ReplayOptions = {
  readonly primary: Driver;
  readonly outbox: Outbox;
  /** Takes a state over into the mirror. */
  readonly reflect: (change: Change) => Promise<void>;
  readonly log: Logger;
};

/** One recovery. Replaying again, or in part, changes nothing more. */
export class Replay {
  readonly #options: ReplayOptions;
  /** Ids whose rev was raised: once is enough. */
  readonly #raised = new Set<string>();

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** Replays the next changes, each call within the deadline (ms). False when nothing waits. */
  async run(attempt: Attempt, deadlineMs: number): Promise<boolean> {
    const { primary, outbox } = this.#options;
    const batch = outbox.next(BATCH_MAX);
    if (batch.length === 0) return false;
    try {
      await attempt(deadlineMs, () => putAll(primary, batch));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      for (const change of batch) await attempt(deadlineMs, () => this.#putOne(change));
    }
    await Promise.all(
      batch.map(async (change) => {
        const stored = await attempt(deadlineMs, () => readState(primary, change.table, change.state.id));
        if (stored) await this.#compare(change, stored);
      }),
    );
    outbox.drop(batch);
    return true;
  }

  /** Gives up what is refused also alone: it would hold up everything else for ever. */
  async #putOne(change: Change): Promise<void> {
    try {
      await putAll(this.#options.primary, [change]);
    } catch (err) {
      if (!(err instanceof AppError)) throw err;
      const { log } = this.#options;
      log.error({ err, id: change.state.id }, 'the database does not take a change that was acknowledged');
    }
  }

  /**
   * Takes over what the primary has of a replayed record. Another content with the same rev is a change that was made late and
   * never acknowledged: what was acknowledged gets the next rev, and is replayed once more.
   */
  async #compare(change: Change, stored: Change): Promise<void> {
    const { outbox, reflect } = this.#options;
    const { id, rev, deletedAt } = change.state;
    await reflect(stored);
    const isTie = deletedAt === null && stored.state.deletedAt === null && stored.state.rev === rev;
    if (!isTie || isSame(stored.state, change.state) || !outbox.isNewest(change) || this.#raised.has(id)) return;
    this.#raised.add(id);
    const next = raise(change);
    // Both in one step, so that a change of the record meanwhile is of the raised one.
    void reflect(next);
    await outbox.add(next);
  }
}

/** A record or its tombstone, as a change; null when the driver does not know it. */
export async function readState(driver: Driver, table: Change['table'], id: string): Promise<Change | null> {
  if (table === 'projects') {
    const state = await driver.projects.get(id);
    return state && { table, state };
  }
  const state = await driver.sessions.get(id);
  return state && { table, state };
}

/** Projects first: sessions belong to them. */
async function putAll(driver: Driver, batch: readonly Change[]): Promise<void> {
  const projects = batch.flatMap((change) => (change.table === 'projects' ? [change.state] : []));
  const sessions = batch.flatMap((change) => (change.table === 'sessions' ? [change.state] : []));
  if (projects.length > 0) await driver.projects.put(projects);
  if (sessions.length > 0) await driver.sessions.put(sessions);
}

function raise(change: Change): Change {
  const rev = change.state.rev + 1;
  if (change.table === 'projects') return { table: 'projects', state: { ...change.state, rev } };
  return { table: 'sessions', state: { ...change.state, rev } };
}
