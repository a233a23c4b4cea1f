/** Sessions in Postgres. */
import { and, asc, eq, gt, isNull, ne, sql } from 'drizzle-orm';
import { z } from 'zod';
import { terminalSessions } from '@/drizzle/schema';
import { type PostgresClient, type Queries, readAlone } from './postgres-client';
import {
  excluded,
  lastStates,
  NO_SESSION,
  SESSION_COLUMNS,
  sessionRecord,
  sessionRow,
  sessionTombstone,
} from './postgres-rows';
import { idTaken, revChanged, tooManySessions, unknownRecord } from './refusals';
import {
  type SessionFilter,
  type SessionLimit,
  type SessionRecord,
  type SessionState,
  type SessionStore,
  type SessionTombstone,
  trimTail,
} from './store';

const outputSchema = z.array(z.string()).nullable();

export class PostgresSessionStore implements SessionStore {
  readonly #client: PostgresClient;

  constructor(client: PostgresClient) {
    this.#client = client;
  }

  durabilityOf(): 'stored' {
    return 'stored';
  }

  async insert(record: SessionRecord, limits: readonly SessionLimit[]): Promise<void> {
    if (limits.length === 0) return this.#client.run((db) => add(db, record));
    await this.#client.transaction(async (db) => {
      check(await readAlone(db, lockOf(record), () => count(db, record)), limits);
      await add(db, record);
    });
  }

  async get(id: string): Promise<SessionRecord | SessionTombstone | null> {
    return this.#client.run((db) => find(db, id));
  }

  async list({ owner, projectId, isOpen, after, limit }: SessionFilter): Promise<SessionRecord[]> {
    const { userId, deletedAt, active, id } = terminalSessions;
    const rows = await this.#client.run((db) =>
      db
        .select(SESSION_COLUMNS)
        .from(terminalSessions)
        .where(
          and(
            isNull(deletedAt),
            owner === undefined ? undefined : eq(userId, owner),
            projectId === undefined ? undefined : eq(terminalSessions.projectId, projectId),
            isOpen ? eq(active, true) : undefined,
            after === undefined ? undefined : gt(id, after),
          ),
        )
        .orderBy(asc(id))
        .limit(limit)
        .prepare('list sessions')
        .execute(),
    );
    return rows.map(sessionRecord);
  }

  async update(record: SessionRecord, limits: readonly SessionLimit[] = []): Promise<SessionRecord> {
    if (limits.length === 0 || record.endedAt !== null) return this.#client.run((db) => replace(db, record));
    return this.#client.transaction(async (db) => {
      const [stored, counts] = await readAlone(db, lockOf(record), () =>
        Promise.all([find(db, record.id), count(db, record)]),
      );
      if (stored?.deletedAt === null && stored.rev === record.rev && stored.endedAt !== null) check(counts, limits);
      return replace(db, record);
    });
  }

  async delete(id: string): Promise<SessionTombstone> {
    return this.#client.run(async (db) => {
      const now = new Date();
      const [buried] = await db
        .update(terminalSessions)
        .set({ ...NO_SESSION, output: null, rev: sql`${terminalSessions.rev} + 1`, deletedAt: now, updatedAt: now })
        .where(and(eq(terminalSessions.id, id), isNull(terminalSessions.deletedAt)))
        .returning(SESSION_COLUMNS)
        .prepare('delete session')
        .execute();
      if (buried) return sessionTombstone(buried);
      const stored = await find(db, id);
      if (stored === null || stored.deletedAt === null) throw unknownRecord();
      return stored;
    });
  }

  async put(states: readonly SessionState[]): Promise<void> {
    if (states.length === 0) return;
    const { deletedAt, rev, output } = terminalSessions;
    await this.#client.run((db) =>
      db
        .insert(terminalSessions)
        .values(lastStates(states).map(sessionRow))
        .onConflictDoUpdate({
          target: terminalSessions.id,
          set: {
            ...excluded(SESSION_COLUMNS),
            output: sql`case when excluded.deleted_at is null then ${output} end`,
          },
          setWhere: sql`${deletedAt} is null and (excluded.deleted_at is not null or excluded.rev > ${rev})`,
        })
        .prepare('put sessions')
        .execute(),
    );
  }

  async saveTail(id: string, epoch: number, lines: readonly string[]): Promise<void> {
    // What jsonb does not take: NUL, and halves of characters.
    const output = trimTail(lines).map((line) => line.replace(/\0|\p{Surrogate}/gu, '\uFFFD'));
    await this.#client.run((db) =>
      db
        .update(terminalSessions)
        .set({ output })
        .where(and(eq(terminalSessions.id, id), eq(terminalSessions.epoch, epoch), isNull(terminalSessions.deletedAt)))
        .prepare('save tail')
        .execute(),
    );
  }

  async tail(id: string): Promise<string[]> {
    const [row] = await this.#client.run((db) =>
      db
        .select({ output: terminalSessions.output })
        .from(terminalSessions)
        .where(eq(terminalSessions.id, id))
        .prepare('tail')
        .execute(),
    );
    return outputSchema.parse(row?.output ?? null) ?? [];
  }
}

async function find(db: Queries, id: string): Promise<SessionRecord | SessionTombstone | null> {
  const [row] = await db
    .select(SESSION_COLUMNS)
    .from(terminalSessions)
    .where(eq(terminalSessions.id, id))
    .prepare('get session')
    .execute();
  if (!row) return null;
  return row.deletedAt === null ? sessionRecord(row) : sessionTombstone(row);
}

async function add(db: Queries, record: SessionRecord): Promise<void> {
  const inserted = await db
    .insert(terminalSessions)
    .values(sessionRow(record))
    .onConflictDoNothing()
    .returning({ id: terminalSessions.id })
    .prepare('insert session')
    .execute();
  if (inserted.length === 0) throw idTaken();
}

async function replace(db: Queries, record: SessionRecord): Promise<SessionRecord> {
  const { id, rev, deletedAt } = terminalSessions;
  const next = { ...record, rev: record.rev + 1 };
  const updated = await db
    .update(terminalSessions)
    .set(sessionRow(next))
    .where(and(eq(id, record.id), eq(rev, record.rev), isNull(deletedAt)))
    .returning({ id })
    .prepare('update session')
    .execute();
  if (updated.length > 0) return next;
  const stored = await find(db, record.id);
  throw stored?.deletedAt === null ? revChanged(stored.rev) : unknownRecord();
}

function lockOf({ owner }: SessionRecord): { table: 'sessions'; owner: string } {
  return { table: 'sessions', owner };
}

type Counts = Readonly<Record<SessionLimit['limit'], number>>;

/** The sessions of the record's owner besides this one. */
async function count(db: Queries, record: SessionRecord): Promise<Counts> {
  const { userId, deletedAt, id, active, projectId } = terminalSessions;
  const [counts] = await db
    .select({
      records: sql<number>`count(*)::int`,
      user: sql<number>`(count(*) filter (where ${active}))::int`,
      project: sql<number>`(count(*) filter (where ${active} and ${projectId} = ${record.projectId}))::int`,
    })
    .from(terminalSessions)
    .where(and(eq(userId, record.owner), isNull(deletedAt), ne(id, record.id)))
    .prepare('count sessions')
    .execute();
  if (!counts) throw new Error('a count has one row');
  return counts;
}

function check(counts: Counts, limits: readonly SessionLimit[]): void {
  for (const each of limits) if (counts[each.limit] >= each.max) throw tooManySessions(each);
}
