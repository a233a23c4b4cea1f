/**
 * Copies of records in Redis that several instances of web share, and what keeps them from being wrong.
 *
 * A copy carries the rev of its record and the **generation** of the cache in which it was written; it is readable only while that
 * is the current one. All rules are inside the scripts, each one step of Redis:
 *
 * - A copy is replaced by one with a higher rev, or by one with the same rev when its own generation is over. A tombstone replaces
 *   every copy, is readable in every generation, and is never replaced.
 * - `fill` (what a reader found in the truth) is refused when the generation is another than before the reader asked the truth.
 *   `put` (what a writer has just written there) is then taken without being readable: it keeps older ones out.
 * - An instance whose write did not reach Redis begins a new generation before it reads or writes there again: the guard lets its
 *   calls through only after `join` has done so. Redis begins one by itself when it has lost the old.
 * - Every instance holds a lease. When one runs out, its instance may be writing without saying so, or may have died between the
 *   truth and Redis: a new generation begins, and as long as that instance stays away, but for an hour at most, copies live 5 s.
 *
 * So a copy that is older than an acknowledged write is read for 5 s at most (the lease), and only if the writer could not reach
 * Redis; by the writer itself never. An instance that is cut off for more than an hour is forgotten, and the bound with it; so it is
 * when Redis loses its content and is joined first by an instance that does not know of one that is cut off. Leases are measured by
 * the clock of Redis alone. Assumed: one node of Redis that does not evict what is younger than 5 s.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Logger } from '@/lib/log';
import { Guard, Unavailable } from './guard';
import { type RedisConnection, script } from './redis-connection';

/** Redis must answer within this (ms), its first connection within the second. */
const DEADLINE_MS = 150;
const CONNECT_MS = 4_100;
/** An instance is there for so long after it said so (ms). Copies live as long while one is away, so that the bound is the same. */
const LEASE_MS = 5_000;
/** How often it says so, as a share of the lease. */
const RENEWALS = 3;
/** After this an instance that is away is forgotten (ms). */
const FORGET_MS = 3_600_000;
/** How long a tombstone is kept (ms). */
const TOMBSTONE_TTL_MS = 3_600_000;

/** KEYS: generation, present (instances by the end of their lease), absent (by when that was seen). ARGV[1]: a fresh name. */
const SHARED = `
local generation, present, absent = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function begin()
  redis.call('SET', generation, ARGV[1])
  return ARGV[1]
end
local function current()
  local lapsed = redis.call('ZRANGEBYSCORE', present, '-inf', now)
  for _, instance in ipairs(lapsed) do
    redis.call('ZREM', present, instance)
    redis.call('ZADD', absent, now, instance)
  end
  redis.call('ZREMRANGEBYSCORE', absent, '-inf', now - ${FORGET_MS})
  if #lapsed > 0 then return begin() end
  return redis.call('GET', generation) or begin()
end
`;

/**
 * Arguments from 2: instance; whether it `starts`, `renews` its lease, or `owes` a new generation; its lease; the others that it
 * knows of. Gives the generation and all instances. One that starts and is known died without settling what it owed.
 */
const JOIN = script(`${SHARED}
local id = ARGV[2]
local isKnown = redis.call('ZSCORE', present, id) or redis.call('ZSCORE', absent, id)
local name = current()
local wasHere = redis.call('ZSCORE', present, id)
redis.call('ZADD', present, now + ARGV[4], id)
redis.call('ZREM', absent, id)
-- Redis has lost its content: whoever does not come back by itself is away.
for i = 5, isKnown and 4 or #ARGV do
  if not redis.call('ZSCORE', present, ARGV[i]) then redis.call('ZADD', absent, 'NX', now, ARGV[i]) end
end
local mode = ARGV[3]
if mode == 'owes' or (mode == 'starts' and isKnown) or (mode == 'renews' and not wasHere) then name = begin() end
local reply = {name}
for _, key in ipairs({present, absent}) do
  for _, instance in ipairs(redis.call('ZRANGE', key, 0, -1)) do reply[#reply + 1] = instance end
end
return reply`);

const LEAVE = script(`${SHARED} redis.call('ZREM', present, ARGV[2])`);

/** KEYS[4]: the copy. Gives the generation, and the state if it is readable. */
const READ = script(`${SHARED}
local name = current()
local copy = redis.call('HMGET', KEYS[4], 'generation', 'state', 'deletedAt')
if copy[3] or copy[1] == name then return {name, copy[2]} end
return {name, false}`);

/**
 * KEYS from 4: copies. Arguments from 2: generation, fill or put, time to live, the same while somebody is away; then rev, state and
 * deletedAt of each.
 */
const WRITE = script(`${SHARED}
local name = current()
local isSeen = ARGV[2] == name
if ARGV[3] == 'fill' and not isSeen then return name end
local ttlMs = tonumber(ARGV[4])
if redis.call('ZCARD', absent) > 0 then ttlMs = math.min(ttlMs, tonumber(ARGV[5])) end
for i = 4, #KEYS do
  local key, at = KEYS[i], 6 + (i - 4) * 3
  local rev, state, deletedAt = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local copy = redis.call('HMGET', key, 'rev', 'generation', 'deletedAt')
  local copied = tonumber(copy[1] or 0)
  if copy[3] then
    -- A tombstone is final.
  elseif deletedAt ~= '' then
    redis.call('DEL', key)
    redis.call('HSET', key, 'rev', rev, 'state', state, 'deletedAt', deletedAt)
    redis.call('PEXPIRE', key, ${TOMBSTONE_TTL_MS})
  elseif copied < tonumber(rev) or (copied == tonumber(rev) and copy[2] ~= name) then
    redis.call('HSET', key, 'rev', rev, 'state', state, 'generation', isSeen and name or '')
    redis.call('PEXPIRE', key, ttlMs)
  end
end
return name`);

/** KEYS[4]: the copy, which is not readable any more. */
const DROP = script(`if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('HSET', KEYS[4], 'generation', '') end`);

const joinReplySchema = z.tuple([z.string()], z.string());
const readReplySchema = z.tuple([z.string(), z.string().nullable()]);

/** A state to be copied. */
type State = { readonly id: string; readonly rev: number; readonly deletedAt: number | null };

export type ShelfOptions = {
  readonly connection: RedisConnection;
  readonly log: Logger;
  /** Names this instance of web among those that share the cache. */
  readonly instance: string;
  /** What all keys begin with. */
  readonly prefix: string;
  /** How long copies live (ms). */
  readonly ttlMs: number;
  /** For how long an instance counts as there (ms); the same for all of them. */
  readonly leaseMs?: number | undefined;
};

/** The copies, as one instance of web reaches them. Nothing is thrown while Redis is away: reads find nothing, writes are owed. */
export class CacheShelf {
  readonly guard: Guard;
  readonly #options: ShelfOptions;
  readonly #keys: readonly string[];
  readonly #renewal: NodeJS.Timeout;
  #generation = '';
  #others: readonly string[] = [];
  /** Raised by each write that may not have reached Redis. */
  #owed = 0;

  constructor(options: ShelfOptions) {
    const { connection, log, prefix, leaseMs = LEASE_MS } = options;
    this.#options = options;
    this.#keys = ['generation', 'present', 'absent'].map((name) => `${prefix}${name}`);
    this.guard = new Guard({
      name: 'redis',
      driver: connection,
      deadlineMs: DEADLINE_MS,
      connectMs: CONNECT_MS,
      log,
      resume: async (attempt, close) => {
        let settled: number;
        do {
          settled = this.#owed;
          await attempt(DEADLINE_MS, () => this.#join(this.#generation === '' && settled === 0 ? 'starts' : 'owes'));
        } while (settled < this.#owed);
        close();
      },
    });
    this.#renewal = setInterval(() => void this.#call('lease', () => this.#join('renews')), leaseMs / RENEWALS).unref();
  }

  /** The generation as this instance knows it, to be taken before the truth is asked or changed. */
  get generation(): string {
    return this.#generation;
  }

  /** The readable copy, or null, and the generation for a later `fill`; null while Redis is away. */
  async read(key: string): Promise<{ generation: string; state: string | null } | null> {
    const reply = await this.#call('read', async () => readReplySchema.parse(await this.#run(READ, [key], [])));
    if (reply === null) return null;
    const [generation, state] = reply;
    this.#generation = generation;
    return { generation, state };
  }

  /** Copies what was found in the truth. */
  async fill(kind: string, generation: string, states: readonly State[]): Promise<void> {
    await this.#call('fill', () => this.#write('fill', { kind, generation, states }));
  }

  /** Copies what was just written to the truth; with `generation: ''` it only keeps older states out. */
  async put(kind: string, generation: string, states: readonly State[]): Promise<void> {
    // The debt is written down in the step in which it is seen that calls do not go through: they might the next moment.
    const isDone = this.guard.isClosed && this.#call('put', () => this.#write('put', { kind, generation, states }));
    if (isDone === false || (await isDone) === null) this.#owed += 1;
  }

  /** Makes a copy unreadable, because the truth did not agree with it. */
  async drop(key: string): Promise<void> {
    await this.#call('drop', () => this.#run(DROP, [key], []));
  }

  /** Says good-bye, unless there is something that the others do not know: then they are to miss this instance. */
  async close(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#call('leave', () => this.#run(LEAVE, [], [this.#options.instance]));
    this.guard.close();
    await this.#options.connection.close();
  }

  async #join(mode: 'starts' | 'renews' | 'owes'): Promise<true> {
    const { instance: own, leaseMs = LEASE_MS } = this.#options;
    const reply = await this.#run(JOIN, [], [own, mode, String(leaseMs), ...this.#others]);
    const [generation, ...instances] = joinReplySchema.parse(reply);
    this.#generation = generation;
    this.#others = instances.filter((instance) => instance !== own);
    return true;
  }

  async #write(
    how: 'fill' | 'put',
    { kind, generation, states }: { kind: string; generation: string; states: readonly State[] },
  ): Promise<true> {
    if (states.length === 0) return true;
    const texts = states.flatMap((state) => [
      String(state.rev),
      JSON.stringify(state),
      state.deletedAt === null ? '' : String(state.deletedAt),
    ]);
    const keys = states.map(({ id }) => `${kind}:${id}`);
    const { ttlMs, leaseMs = LEASE_MS } = this.#options;
    const name = await this.#run(WRITE, keys, [generation, how, String(ttlMs), String(leaseMs), ...texts]);
    this.#generation = z.string().parse(name);
    return true;
  }

  #run(which: typeof READ, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const { connection, prefix } = this.#options;
    const own = keys.map((key) => `${prefix}${key}`);
    return connection.run(which, [...this.#keys, ...own], [randomUUID(), ...args]);
  }

  /** The result of a call, or null while Redis is away. */
  async #call<T>(operation: string, call: () => Promise<T>): Promise<T | null> {
    try {
      return await this.guard.run(operation, call);
    } catch (error) {
      if (error instanceof Unavailable) return null;
      throw error;
    }
  }
}
