/** Projects in Postgres. */
import { and, asc, eq, gt, isNull, ne, sql } from 'drizzle-orm';
import { projects } from '@/drizzle/schema';
import { type PostgresClient, type Queries, readAlone } from './postgres-client';
import {
  excluded,
  lastStates,
  NO_PROJECT,
  PROJECT_COLUMNS,
  projectRecord,
  projectRow,
  projectTombstone,
} from './postgres-rows';
import { idTaken, pathTaken, revChanged, tooManyProjects, unknownRecord } from './refusals';
import type { ListFilter, ProjectRecord, ProjectState, ProjectStore, ProjectTombstone } from './store';

export class PostgresProjectStore implements ProjectStore {
  readonly #client: PostgresClient;

  constructor(client: PostgresClient) {
    this.#client = client;
  }

  async insert(record: ProjectRecord, rule: { isPathUnique: boolean; max: number }): Promise<void> {
    await this.#client.transaction(async (db) => {
      const own = and(eq(projects.userId, record.owner), isNull(projects.deletedAt), ne(projects.id, record.id));
      const [counts] = await readAlone(db, { table: 'projects', owner: record.owner }, () =>
        db
          .select({
            all: sql<number>`count(*)::int`,
            there: sql<number>`(count(*) filter (where ${projects.path} = ${record.path}))::int`,
          })
          .from(projects)
          .where(own)
          .prepare('count projects')
          .execute(),
      );
      if (rule.isPathUnique && counts && counts.there > 0) throw pathTaken(record.path);
      if (!counts || counts.all >= rule.max) throw tooManyProjects(rule.max);
      const inserted = await db
        .insert(projects)
        .values(projectRow(record))
        .onConflictDoNothing()
        .returning({ id: projects.id })
        .prepare('insert project')
        .execute();
      if (inserted.length === 0) throw idTaken();
    });
  }

  async get(id: string): Promise<ProjectRecord | ProjectTombstone | null> {
    return this.#client.run((db) => find(db, id));
  }

  async list({ owner, after, limit }: ListFilter): Promise<ProjectRecord[]> {
    const rows = await this.#client.run((db) =>
      db
        .select(PROJECT_COLUMNS)
        .from(projects)
        .where(
          and(
            isNull(projects.deletedAt),
            owner === undefined ? undefined : eq(projects.userId, owner),
            after === undefined ? undefined : gt(projects.id, after),
          ),
        )
        .orderBy(asc(projects.id))
        .limit(limit)
        .prepare('list projects')
        .execute(),
    );
    return rows.map(projectRecord);
  }

  async update(record: ProjectRecord): Promise<ProjectRecord> {
    const next = { ...record, rev: record.rev + 1 };
    return this.#client.run(async (db) => {
      const updated = await db
        .update(projects)
        .set(projectRow(next))
        .where(and(eq(projects.id, record.id), eq(projects.rev, record.rev), isNull(projects.deletedAt)))
        .returning({ id: projects.id })
        .prepare('update project')
        .execute();
      if (updated.length > 0) return next;
      const stored = await find(db, record.id);
      throw stored?.deletedAt === null ? revChanged(stored.rev) : unknownRecord();
    });
  }

  async delete(id: string): Promise<ProjectTombstone> {
    return this.#client.run(async (db) => {
      const now = new Date();
      const [buried] = await db
        .update(projects)
        .set({ ...NO_PROJECT, rev: sql`${projects.rev} + 1`, deletedAt: now, updatedAt: now })
        .where(and(eq(projects.id, id), isNull(projects.deletedAt)))
        .returning(PROJECT_COLUMNS)
        .prepare('delete project')
        .execute();
      if (buried) return projectTombstone(buried);
      const stored = await find(db, id);
      if (stored === null || stored.deletedAt === null) throw unknownRecord();
      return stored;
    });
  }

  async put(states: readonly ProjectState[]): Promise<void> {
    if (states.length === 0) return;
    await this.#client.run((db) =>
      db
        .insert(projects)
        .values(lastStates(states).map(projectRow))
        .onConflictDoUpdate({
          target: projects.id,
          set: excluded(PROJECT_COLUMNS),
          setWhere: sql`${projects.deletedAt} is null and (excluded.deleted_at is not null or excluded.rev > ${projects.rev})`,
        })
        .prepare('put projects')
        .execute(),
    );
  }
}

async function find(db: Queries, id: string): Promise<ProjectRecord | ProjectTombstone | null> {
  const [row] = await db
    .select(PROJECT_COLUMNS)
    .from(projects)
    .where(eq(projects.id, id))
    .prepare('get project')
    .execute();
  if (!row) return null;
  return row.deletedAt === null ? projectRecord(row) : projectTombstone(row);
}
