/** Brings the tables of a database to the form that this version works with. */
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { PostgresClient, type PostgresOptions, type Queries, SEE_COMMITTED } from './postgres-client';

/** How long to wait for another process that migrates, and in all (ms). */
const WAIT_MS = 30_000;
const DEADLINE_MS = 60_000;
/** Any number that nobody else locks. */
export const LOCK_KEY = 4_110_400_111;

/** A newer version of Holdfast has changed the tables: this one must not touch them. */
export class SchemaTooNewError extends Error {
  constructor() {
    super(
      'A newer version of Holdfast has changed the tables of this database. Nothing was touched: start that version, or use another database.',
    );
    this.name = 'SchemaTooNewError';
  }
}

/** The migrations: beside the server, where `npm run dev` and the build have them. */
export const MIGRATIONS_DIR = join(process.cwd(), 'drizzle');

/** Where migrations are, how long to wait for another process that migrates (ms), and what gives up. */
export type MigrateSettings = { directory?: string; waitMs?: number; signal?: AbortSignal };

/**
 * Makes the tables, or changes them from an older form: all or nothing. Another process that does the same at this moment is waited
 * for. Does nothing when there is nothing to do.
 * @throws SchemaTooNewError
 */
export async function migrate(options: PostgresOptions, settings: MigrateSettings = {}): Promise<void> {
  const { directory = MIGRATIONS_DIR, waitMs = WAIT_MS, signal } = settings;
  const migrations = readMigrationFiles({ migrationsFolder: directory });
  const client = new PostgresClient({ ...options, connections: 1 });
  const cancel = AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), ...(signal ? [signal] : [])]);
  const giveUp = () => client.reset();
  cancel.addEventListener('abort', giveUp, { once: true });
  try {
    cancel.throwIfAborted();
    await client.transaction(async (db) => {
      await db.execute(SEE_COMMITTED);
      await db.execute(sql.raw(`set local lock_timeout = ${waitMs}`));
      await db.execute(sql`select pg_advisory_xact_lock(${LOCK_KEY}::bigint)`);
      const applied = await appliedTimes(db);
      const known = new Set(migrations.map(({ folderMillis }) => folderMillis));
      if (applied.some((time) => !known.has(time))) throw new SchemaTooNewError();
      for (const { folderMillis, hash, sql: statements } of migrations) {
        if (applied.includes(folderMillis)) continue;
        for (const statement of statements) await db.execute(sql.raw(statement));
        await db.execute(sql`insert into holdfast_migrations (hash, created_at) values (${hash}, ${folderMillis})`);
      }
    });
  } finally {
    cancel.removeEventListener('abort', giveUp);
    await client.close();
  }
}

/** When each migration was written that the database has; the table is that of drizzle-kit. */
async function appliedTimes(db: Queries): Promise<number[]> {
  // Not `create if not exists`, which a database that can only be read refuses also where there is nothing to create.
  const [found] = await db.execute<{ is_there: boolean }>(
    sql`select to_regclass('holdfast_migrations') is not null as is_there`,
  );
  if (!found?.is_there) {
    await db.execute(
      sql`create table holdfast_migrations (id serial primary key, hash text not null, created_at bigint)`,
    );
  }
  const rows = await db.execute<{ created_at: string }>(sql`select created_at from holdfast_migrations`);
  return rows.map((row) => Number(row.created_at));
}
