/** Counts events in sliding windows: what a user did in the last minute, failed logins of an address. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Config } from '@/lib/config';
import type { Logger } from '@/lib/log';
import { Guard, Unavailable } from './guard';
import { REDIS_PREFIX } from './redis';
import { RedisConnection, script } from './redis-connection';

/** Keys that memory keeps; the one that was used longest ago gives way. */
const KEYS_MAX = 10_000;
/** Events that are kept of one key; the oldest give way. */
const EVENTS_MAX = 1_000;
const REDIS_DEADLINE_MS = 150;

/** At most so many events within so long (ms). */
export type Rate = { readonly max: number; readonly windowMs: number };

/** Events by key. Times are milliseconds since 1970; an event leaves its window when it is exactly as old as that. */
export interface Windows {
  /** Notes an event; it is kept for `windowMs`. */
  add(key: string, windowMs: number, at: number): Promise<void>;
  /** Events of the last `windowMs`. */
  count(key: string, windowMs: number, now: number): Promise<number>;
  /** Notes an event if there is room for it, in the same step. Gives how long until there is room (ms): 0 when it is noted. */
  take(key: string, rate: Rate, now: number): Promise<number>;
  close(): Promise<void>;
}

/** Windows of one process. */
export class MemoryWindows implements Windows {
  readonly #events = new Map<string, number[]>();

  async add(key: string, windowMs: number, at: number): Promise<void> {
    this.#keep(key, [...this.#within(key, windowMs, at), at].slice(-EVENTS_MAX));
  }

  async count(key: string, windowMs: number, now: number): Promise<number> {
    return this.#within(key, windowMs, now).length;
  }

  async take(key: string, { max, windowMs }: Rate, now: number): Promise<number> {
    const events = this.#within(key, windowMs, now);
    const first = events.at(-max);
    if (events.length >= max && first !== undefined) return first + windowMs - now;
    this.#keep(key, [...events, now]);
    return 0;
  }

  async close(): Promise<void> {}

  #within(key: string, windowMs: number, now: number): number[] {
    return (this.#events.get(key) ?? []).filter((at) => at > now - windowMs);
  }

  #keep(key: string, events: number[]): void {
    this.#events.delete(key);
    this.#events.set(key, events);
    const oldest = this.#events.keys().next();
    if (this.#events.size > KEYS_MAX && !oldest.done) this.#events.delete(oldest.value);
  }
}

/** KEYS: the events, a sorted set by time. Arguments: now, window, maximum, a name for the event, whether it is noted in any case. */
const TAKE = script(`
local key, now, windowMs, max = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - windowMs)
if ARGV[5] == 'always' then
  redis.call('ZREMRANGEBYRANK', key, 0, -max)
elseif redis.call('ZCARD', key) >= max then
  return math.ceil(redis.call('ZRANGE', key, -max, -max, 'WITHSCORES')[2] + windowMs - now)
end
redis.call('ZADD', key, now, ARGV[4])
redis.call('PEXPIRE', key, windowMs)
return 0`);

const COUNT = script(`return redis.call('ZCOUNT', KEYS[1], '(' .. (ARGV[1] - ARGV[2]), '+inf')`);

/** Windows that several instances of web share: a sorted set for each key, which expires with its window. */
export class RedisWindows implements Windows {
  readonly #connection: RedisConnection;
  readonly #prefix: string;

  constructor(connection: RedisConnection, prefix: string = REDIS_PREFIX) {
    this.#connection = connection;
    this.#prefix = `${prefix}events:`;
  }

  async add(key: string, windowMs: number, at: number): Promise<void> {
    await this.#run(key, { windowMs, max: EVENTS_MAX }, { at, mode: 'always' });
  }

  async count(key: string, windowMs: number, now: number): Promise<number> {
    const reply = await this.#connection.run(COUNT, [this.#prefix + key], [String(now), String(windowMs)]);
    return z.number().parse(reply);
  }

  take(key: string, rate: Rate, now: number): Promise<number> {
    return this.#run(key, rate, { at: now, mode: 'if-room' });
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #run(key: string, { max, windowMs }: Rate, event: { at: number; mode: 'always' | 'if-room' }): Promise<number> {
    const args = [String(event.at), String(windowMs), String(max), randomUUID(), event.mode];
    return z.number().parse(await this.#connection.run(TAKE, [this.#prefix + key], args));
  }
}

/** Windows in Redis, and those of this process while Redis is away. */
class InsuredWindows implements Windows {
  readonly #guard: Guard;
  readonly #shared: RedisWindows;
  readonly #own = new MemoryWindows();

  constructor(url: string, log: Logger) {
    const connection = new RedisConnection(url);
    this.#shared = new RedisWindows(connection);
    this.#guard = new Guard({
      name: 'redis',
      driver: connection,
      deadlineMs: REDIS_DEADLINE_MS,
      connectMs: REDIS_DEADLINE_MS,
      log,
    });
  }

  add(key: string, windowMs: number, at: number): Promise<void> {
    return this.#ask('add', (windows) => windows.add(key, windowMs, at));
  }

  count(key: string, windowMs: number, now: number): Promise<number> {
    return this.#ask('count', (windows) => windows.count(key, windowMs, now));
  }

  take(key: string, rate: Rate, now: number): Promise<number> {
    return this.#ask('take', (windows) => windows.take(key, rate, now));
  }

  async close(): Promise<void> {
    this.#guard.close();
    await this.#shared.close();
  }

  async #ask<T>(operation: string, call: (windows: Windows) => Promise<T>): Promise<T> {
    try {
      return await this.#guard.run(operation, () => call(this.#shared));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      return call(this.#own);
    }
  }
}

/** The windows that the settings ask for: in Redis when there is one. */
export function openWindows({ config, log }: { config: Config; log: Logger }): Windows {
  return config.redisUrl === undefined ? new MemoryWindows() : new InsuredWindows(config.redisUrl, log);
}
