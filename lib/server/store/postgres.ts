/** Both stores in Postgres. */
import { and, isNotNull, lt, sql } from 'drizzle-orm';
import { projects, terminalSessions } from '@/drizzle/schema';
import { PostgresClient, type PostgresOptions } from './postgres-client';
import { PostgresProjectStore } from './postgres-projects';
import { PostgresSessionStore } from './postgres-sessions';
import type { Driver } from './store';

/** How long a tombstone keeps what another process, or its outbox, knows of a record from coming back: longer than a weekend. */
export const TOMBSTONE_KEPT_MS = 7 * 24 * 3_600_000;

/**
 * Projects and sessions in the tables of `drizzle/schema.ts`, which `migrate` makes. A call takes as long as the server does, so a
 * caller that cannot wait calls `reset` at its deadline. A call that failed without an answer may have done its work.
 */
export class PostgresDriver implements Driver {
  readonly projects: PostgresProjectStore;
  readonly sessions: PostgresSessionStore;
  readonly #client: PostgresClient;

  constructor(options: PostgresOptions) {
    this.#client = new PostgresClient(options);
    this.projects = new PostgresProjectStore(this.#client);
    this.sessions = new PostgresSessionStore(this.#client);
  }

  async ping(): Promise<void> {
    await this.#client.run((db) => db.execute(sql`select 1`));
  }

  reset(): void {
    this.#client.reset();
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  /** Forgets tombstones that are old enough; to be called at the start and once an hour. */
  async purge(now: number = Date.now()): Promise<void> {
    const before = new Date(now - TOMBSTONE_KEPT_MS);
    await this.#client.run(async (db) => {
      for (const table of [projects, terminalSessions]) {
        await db.delete(table).where(and(isNotNull(table.deletedAt), lt(table.deletedAt, before)));
      }
    });
  }
}
