/** The database and the Redis of a stack, throw-away servers that a case may break. */
import postgres from 'postgres';
import { PostgresServer } from '@/tests/harness/postgres';
import { RedisServer } from '@/tests/harness/redis';
import { Line } from './proxy';

/** What a stack needs beside itself. */
export type ServicesPlan = {
  postgres?: { maxConnections?: number; tmpfsMegabytes?: number };
  redis?: { maxmemory?: string; password?: string };
  /** The database is reached over a line that can be slow or silent. */
  isOverLine?: true;
  /** They are stopped again before the product starts. */
  isAwayAtStart?: true;
};

/** One row of the table of projects. */
type Row = { name: string; rev: number; isDeleted: boolean };

/** Those that are there. `stop` ends them. */
export class Services {
  readonly #postgres: PostgresServer | null;
  readonly #redis: RedisServer | null;
  readonly #line: Line | null;

  private constructor(database: PostgresServer | null, redis: RedisServer | null, line: Line | null) {
    this.#postgres = database;
    this.#redis = redis;
    this.#line = line;
  }

  static async start({ postgres: wanted, redis, isOverLine, isAwayAtStart }: ServicesPlan): Promise<Services> {
    const database = wanted ? await PostgresServer.start(wanted) : null;
    const cache = redis ? await RedisServer.start(redis) : null;
    const line = database && isOverLine ? await Line.open(() => database.port) : null;
    const services = new Services(database, cache, line);
    if (isAwayAtStart) {
      await database?.stop();
      cache?.kill();
    }
    return services;
  }

  get postgres(): PostgresServer {
    if (!this.#postgres) throw new Error('this stack has no database');
    return this.#postgres;
  }

  get redis(): RedisServer {
    if (!this.#redis) throw new Error('this stack has no Redis');
    return this.#redis;
  }

  get line(): Line {
    if (!this.#line) throw new Error('the database is not reached over a line');
    return this.#line;
  }

  /** The settings that lead to them. */
  get settings(): Record<string, string> {
    const url = this.#postgres && new URL(this.#postgres.url);
    if (url && this.#line) url.port = String(this.#line.port);
    return { ...(url && { DATABASE_URL: url.href }), ...(this.#redis && { REDIS_URL: this.#redis.url }) };
  }

  /** The projects that the database holds, by id; null without a database. */
  async rows(): Promise<Map<string, Row> | null> {
    if (!this.#postgres) return null;
    const sql = postgres(this.#postgres.url, { max: 1, onnotice: () => undefined });
    try {
      const rows = await sql<{ id: string; name: string; rev: number; deleted: boolean }[]>`
        select id, name, rev, deleted_at is not null as deleted from projects`;
      return new Map(rows.map(({ id, name, rev, deleted }) => [id, { name, rev, isDeleted: deleted }]));
    } finally {
      await sql.end({ timeout: 1 });
    }
  }

  async stop(): Promise<void> {
    this.#line?.close();
    await this.#redis?.stop();
    await this.#postgres?.remove();
  }
}
