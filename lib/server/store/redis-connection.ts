/** One connection to Redis, through which scripts run. */
import { createHash } from 'node:crypto';
import { createClient } from 'redis';

/** The first attempt to connect, and each later one, may take this long (ms). */
const CONNECT_TIMEOUT_MS = 4_000;
/** Waits between attempts (ms): doubled from the first to the cap, and half of each drawn at random. */
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 2_000;
/** Commands on their way at most; more are refused at once. */
const QUEUE_MAX = 10_000;

/** A Lua script, which Redis knows by the hash of its text. */
export type Script = { readonly text: string; readonly sha: string };

/**
 * Names a script. It changes Redis in one step: nothing else runs in between. The first line makes a Redis that is full refuse it as
 * a whole (Redis 7.0): without, one that has changed something may go on beyond the limit.
 */
export function script(body: string): Script {
  const text = `#!lua\n${body}`;
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/**
 * A connection that comes back by itself. Nothing waits for it: without one a call fails at once, but for calls during the first
 * attempt to connect, which wait until that is over. Any answer that is not a result (`OOM`, `READONLY`, `LOADING`, `NOAUTH`,
 * `WRONGPASS`) is thrown like the want of a connection. Speaks RESP 2, which every version of Redis does.
 */
export class RedisConnection {
  readonly #url: string;
  #link: Link;
  #isClosed = false;

  /** @param url `redis://` or `rediss://`, with user, password and database if need be */
  constructor(url: string) {
    this.#url = url;
    this.#link = new Link(url);
  }

  /** Runs a script. Its reply is made of strings, numbers, arrays and nulls. */
  async run({ text, sha }: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.#link.send(['EVALSHA', sha, ...rest]);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return this.#link.send(['EVAL', text, ...rest]);
    }
  }

  /** Resolves when Redis answers. */
  async ping(): Promise<void> {
    await this.#link.send(['PING']);
  }

  /** Ends the connection with every call on it, and opens a new one. */
  reset(): void {
    this.#link.end();
    if (!this.#isClosed) this.#link = new Link(this.#url);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#link.end();
  }
}

/** A client of the package, from its first attempt to its end. */
class Link {
  readonly #client;
  /** Resolves when the first attempt is over, however it ended. */
  readonly #attempt: Promise<void>;
  #lastError: unknown = null;
  #isEnded = false;

  constructor(url: string) {
    this.#client = createClient({
      url,
      RESP: 2,
      disableOfflineQueue: true,
      commandsQueueMaxLength: QUEUE_MAX,
      maintNotifications: 'disabled',
      disableClientInfo: true,
      socket: {
        connectTimeout: CONNECT_TIMEOUT_MS,
        reconnectStrategy: (retries) => {
          const waitMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(retries, 10));
          return waitMs / 2 + (Math.random() * waitMs) / 2;
        },
      },
    });
    this.#attempt = new Promise((resolve) => {
      this.#client.once('ready', () => resolve());
      this.#client.once('end', () => resolve());
      this.#client.on('error', (error: unknown) => {
        this.#lastError = error;
        resolve();
      });
    });
    // A client that is destroyed while it connects would keep the connection that it gets.
    this.#client.on('connect', () => {
      if (this.#isEnded) this.#client.destroy();
    });
    // What went wrong was emitted, and the client goes on trying.
    this.#client.connect().catch(() => undefined);
  }

  async send(command: string[]): Promise<unknown> {
    if (!this.#client.isReady) await this.#attempt;
    if (!this.#client.isReady) throw new Error('Redis is not connected', { cause: this.#lastError });
    return this.#client.sendCommand(command);
  }

  end(): void {
    this.#isEnded = true;
    this.#client.destroy();
  }
}
