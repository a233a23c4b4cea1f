/** Connections to Postgres that can be given up. */
import { connect, type Socket } from 'node:net';
import { DrizzleQueryError, sql } from 'drizzle-orm';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres, { type Sql } from 'postgres';
import { AppError } from '@/lib/protocol/errors';

/** Connections of one web process. */
const CONNECTIONS = 5;
const CONNECTIONS_MAX = 10;
const CONNECT_TIMEOUT_MS = 4_000;
/** How long calls may go on that run when another connection is lost, and at a close. */
const LAST_CALLS_SECONDS = 5;
const CLOSE_SECONDS = 1;
/** Codes of Postgres: those that begin with 22 and 23 find fault with a value. */
const UNIQUE_VIOLATION = '23505';
const LOCK_SETTINGS = {
  wait: sql`set_config('lock_timeout', '5s', true)`,
  idle: sql`set_config('idle_in_transaction_session_timeout', '5s', true)`,
};

/**
 * Where the database is and how to connect.
 *
 * `url` is `postgres://user:password@host:port/database`. A unix socket is named by its directory, as libpq has it:
 * `postgres://user:password@localhost:port/database?host=/directory` means `/directory/.s.PGSQL.port`, and the name before the
 * port does not count. `sslmode` (`disable`, `prefer`, `require`, `verify-full`) and `prepare=false` (for poolers that mix up
 * prepared statements) are understood; every other parameter, such as `search_path`, becomes a setting of the connection.
 */
export type PostgresOptions = { url: string; connections?: number; connectTimeoutMs?: number };

/** The queries of the pool, or of one transaction. */
export type Queries = Omit<PostgresJsDatabase, '$client'>;

/**
 * A pool of connections that is replaced as a whole. postgres.js cannot end a connection to a server that does not answer, and
 * after a lost connection it may write to none, or send what is left of an old message on a new one. So its sockets are ours to
 * destroy, and a pool that has lost one takes no more calls.
 */
export class PostgresClient {
  readonly #options: PostgresOptions;
  #pool: Pool;

  constructor(options: PostgresOptions) {
    this.#options = options;
    this.#pool = this.#openPool();
  }

  /** Runs statements. @throws AppError for values that the tables do not take; else what Postgres or the system says */
  async run<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    try {
      return await work(this.#pool.db);
    } catch (error) {
      throw translated(error);
    }
  }

  /** Runs statements as one transaction. */
  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return this.run((db) =>
      db.transaction(async (queries) => {
        try {
          return await work(queries);
        } catch (error) {
          // On a lost connection postgres.js would write a rollback to no socket, outside of any promise. It rejects the
          // transaction in another way too, so it need not hear of the failure.
          if (isConnectionError(error)) return new Promise<never>(() => undefined);
          throw error;
        }
      }),
    );
  }

  /** Destroys all connections, with every call on them. */
  reset(): void {
    const pool = this.#pool;
    if (!pool.isOver) this.#pool = this.#openPool();
    pool.destroy();
    void pool.retire(0); // whoever waits for a call on it is told
  }

  /** Ends all connections; calls that run have a second. */
  async close(): Promise<void> {
    await this.#pool.retire(CLOSE_SECONDS);
  }

  #openPool(): Pool {
    const pool = new Pool(this.#options, () => {
      if (this.#pool !== pool || pool.isOver) return;
      this.#pool = this.#openPool();
      void pool.retire(LAST_CALLS_SECONDS); // as above
    });
    return pool;
  }
}

/** Lets a transaction see what others have committed before each of its statements; its first one. */
export const SEE_COMMITTED = sql.raw('set transaction isolation level read committed');

/**
 * Reads what others who do the same with this owner and table have committed, and holds them back until the transaction is over. A
 * process that is stopped in the middle of it does so for a bounded time.
 */
export async function readAlone<T>(
  db: Queries,
  { table, owner }: { table: 'projects' | 'sessions'; owner: string },
  read: () => Promise<T>,
): Promise<T> {
  const lock = sql`pg_advisory_xact_lock(hashtextextended(${`holdfast ${table} ${owner}`}, 0))`;
  // Sent at once, one behind the other: the server takes them in this order, and each sees what was committed before it.
  const [, , result] = await Promise.all([
    db.execute(SEE_COMMITTED).execute(),
    db
      .select({ ...LOCK_SETTINGS, lock })
      .from(sql`(values (1)) as one`)
      .prepare('lock owner')
      .execute(),
    read(),
  ]);
  return result;
}

/** Where postgres.js wants to connect to. */
type Target = { readonly path: string | false; readonly host: readonly string[]; readonly port: readonly number[] };

/** One client of postgres.js and its sockets. */
class Pool {
  readonly db: PostgresJsDatabase;
  readonly #sql: Sql;
  readonly #sockets = new Set<Socket>();
  #isOver = false;
  #connects = 0;

  constructor(
    { url, connections = CONNECTIONS, connectTimeoutMs = CONNECT_TIMEOUT_MS }: PostgresOptions,
    onLost: () => void,
  ) {
    const { href, socketDirectory } = splitUrl(url);
    const options = {
      ...(socketDirectory !== null && { host: socketDirectory }),
      max: Math.min(connections, CONNECTIONS_MAX),
      connect_timeout: connectTimeoutMs / 1000,
      // When to try again is the caller's business.
      backoff: () => 0,
      fetch_types: false,
      onnotice: () => undefined,
      connection: { application_name: 'holdfast', TimeZone: 'UTC', DateStyle: 'ISO' },
      onclose: onLost,
      // Of postgres.js, though not of its types.
      socket: (target: Target) => this.#connect(target),
    };
    this.#sql = postgres(href, options);
    this.db = drizzle(this.#sql);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Takes no more calls and connects no more; ends the connections when those that run have ended, or after a time. */
  async retire(seconds: number): Promise<void> {
    this.#isOver = true;
    await this.#sql.end({ timeout: seconds });
    this.destroy();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #connect({ path, host, port }: Target): Socket {
    if (this.#isOver) throw Object.assign(new Error('The connection was given up.'), { code: 'CONNECTION_ENDED' });
    const turn = this.#connects++;
    const place = { host: host[turn % host.length] ?? 'localhost', port: port[turn % port.length] ?? 5432 };
    const socket = path === false ? connect(place) : connect(path);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.once('error', () => undefined); // postgres.js listens a moment later
    return Object.assign(socket, place); // where postgres.js looks for the name that TLS verifies
  }
}

/** Not by `URL`, which does not know addresses with several hosts, and whose error holds the password. */
function splitUrl(url: string): { href: string; socketDirectory: string | null } {
  const [address = '', query = ''] = url.split('?');
  const parameters = new URLSearchParams(query);
  const socketDirectory = parameters.get('host');
  parameters.delete('host');
  return { href: `${address}?${parameters}`, socketDirectory };
}

/** Without the statement and the values that drizzle puts around it: they are nobody else's business. */
function translated(error: unknown): unknown {
  const cause = error instanceof DrizzleQueryError ? (error.cause ?? error) : error;
  if (!(cause instanceof postgres.PostgresError)) return cause;
  if (cause.code === UNIQUE_VIOLATION) return new AppError('conflict', 'This id is taken.', { cause });
  if (!/^2[23]/.test(cause.code)) return cause;
  return new AppError('bad_request', 'The database cannot keep this value.', {
    details: { reason: 'not_storable' },
    cause,
  });
}

/** Whether the connection has failed, so that nobody knows what became of the statement. */
function isConnectionError(error: unknown): boolean {
  const cause = error instanceof DrizzleQueryError ? error.cause : error;
  if (!(cause instanceof Error) || cause instanceof postgres.PostgresError || !('code' in cause)) return false;
  return typeof cause.code === 'string' && /^(CONNECT|E(?!RR_INVALID))/.test(cause.code);
}
