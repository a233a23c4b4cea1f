/** The database and the Redis of a stack, throw-away servers that a case may break. */
import { z } from 'zod';
import { type PostgresOptions, TestPostgres } from '@/tests/harness/postgres';
import { RedisServer } from '@/tests/harness/redis';
import { Line } from './proxy';

/** What a stack needs beside itself. */
export type ServicesPlan = {
  postgres?: PostgresOptions;
  redis?: { maxmemory?: string; password?: string };
  /** The database is reached over a line that can be slow or silent. */
  isOverLine?: true;
  /** They are stopped again before the product starts. */
  isAwayAtStart?: true;
};

const rowSchema = z.object({ id: z.string(), name: z.string(), rev: z.number(), deleted: z.boolean() });
/** One row of the table of projects. */
type Row = { name: string; rev: number; isDeleted: boolean };

/** Those that are there. `stop` ends them. */
export class Services {
  readonly #postgres: TestPostgres | null;
  readonly #redis: RedisServer | null;
  readonly #line: Line | null;

  private constructor(database: TestPostgres | null, redis: RedisServer | null, line: Line | null) {
    this.#postgres = database;
    this.#redis = redis;
    this.#line = line;
  }

  static async start({ postgres: wanted, redis, isOverLine, isAwayAtStart }: ServicesPlan): Promise<Services> {
    const database = wanted ? await TestPostgres.start(wanted) : null;
    const cache = redis ? await RedisServer.start(redis) : null;
    const line = database && isOverLine ? await Line.open(() => database.port) : null;
    const services = new Services(database, cache, line);
    if (isAwayAtStart) {
      await database?.stop();
      cache?.kill();
    }
    return services;
  }

  get postgres(): TestPostgres {
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
    const url = this.#postgres && new URL(this.#postgres.url());
    if (url && this.#line) url.port = String(this.#line.port);
    return { ...(url && { DATABASE_URL: url.href }), ...(this.#redis && { REDIS_URL: this.#redis.url }) };
  }

  /** The projects that the database holds, by id; null without a database. */
  async rows(): Promise<Map<string, Row> | null> {
    if (!this.#postgres) return null;
    const rows = await this.#postgres.query('select id, name, rev, deleted_at is not null as deleted from projects');
    const known = z.array(rowSchema).parse(rows);
    return new Map(known.map(({ id, name, rev, deleted }) => [id, { name, rev, isDeleted: deleted }]));
  }

  async stop(): Promise<void> {
    this.#line?.close();
    await this.#redis?.stop();
    await this.#postgres?.dispose();
  }
}
