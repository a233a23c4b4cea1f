/**
 * Records of one kind in Redis. For each there is one hash, `session:{id}` or `project:{id}`; deleted, it holds the tombstone and
 * expires some time after that. Every list that can be asked for is a sorted set of ids, all with the score 0, so that Redis sorts
 * them by name and counts them at once. Every change is one script.
 */
import { z } from 'zod';
import type { AppError } from '@/lib/protocol/errors';
import { type RedisConnection, type Script, script } from './redis-connection';
import { idTaken, revChanged, unknownRecord } from './refusals';
import type { ListFilter } from './store';

/** How long a tombstone is kept (ms). */
const TOMBSTONE_TTL_MS = 25 * 3_600_000;

/**
 * What the scripts share. KEYS[1] is the record's hash, KEYS[2] its tail; ARGV[1] is what the names of indexes begin with, ARGV[2]
 * the id. Fields: `rev`, `state` (JSON), `epoch`, `within` (its indexes, one a line), `remains` (JSON of what a tombstone keeps,
 * but for rev and deletedAt), and `deletedAt` in a tombstone only.
 */
const SHARED = `
local key, tail, prefix, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local function each(names, command, ...)
  for name in string.gmatch(names or '', '[^\\n]+') do redis.call(command, prefix .. name, ...) end
end
-- The first limit that is reached, of pairs of an index and a maximum. What is in \`gate\` already takes no new place.
local function reached(gate, limits)
  if redis.call('ZSCORE', prefix .. gate, id) then return nil end
  for i, limit in ipairs(cjson.decode(limits)) do
    local count = redis.call('ZCARD', prefix .. limit[1])
    if redis.call('ZSCORE', prefix .. limit[1], id) then count = count - 1 end
    if count >= limit[2] then return i end
  end
end
local function write(rev, state, epoch, within, remains)
  local before = redis.call('HGET', key, 'within')
  if before ~= within then
    each(before, 'ZREM', id)
    each(within, 'ZADD', 0, id)
  end
  redis.call('HSET', key, 'rev', rev, 'state', state, 'epoch', epoch, 'within', within, 'remains', remains)
end
local function bury(rev, state, deletedAt, ttlMs)
  each(redis.call('HGET', key, 'within'), 'ZREM', id)
  redis.call('DEL', key, tail)
  redis.call('HSET', key, 'rev', rev, 'state', state, 'deletedAt', deletedAt)
  redis.call('PEXPIRE', key, ttlMs)
end
`;

/** Arguments from 3: rev, state, epoch, within, remains, gate, limits. */
const INSERT = script(`${SHARED}
local limit = reached(ARGV[8], ARGV[9])
if limit then return {'reached', limit} end
if redis.call('EXISTS', key) == 1 then return {'taken'} end
write(ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
return {'done'}`);

/** Arguments from 3: rev, state, epoch, within, remains, gate, limits, and the rev that is to be replaced. */
const UPDATE = script(`${SHARED}
local stored = redis.call('HMGET', key, 'rev', 'deletedAt')
if not stored[1] or stored[2] then return {'unknown'} end
if stored[1] ~= ARGV[10] then return {'changed', tonumber(stored[1])} end
local limit = reached(ARGV[8], ARGV[9])
if limit then return {'reached', limit} end
write(ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
return {'done'}`);

/** Arguments from 3: deletedAt, how long to keep the tombstone. Gives the tombstone, or nothing when there is no record. */
const DELETE = script(`${SHARED}
local stored = redis.call('HMGET', key, 'rev', 'deletedAt', 'state', 'remains')
if not stored[1] then return false end
if stored[2] then return stored[3] end
local rev = string.format('%.0f', stored[1] + 1)
local state = string.sub(stored[4], 1, -2) .. ',"rev":' .. rev .. ',"deletedAt":' .. ARGV[3] .. '}'
bury(rev, state, ARGV[3], ARGV[4])
return state`);

/** Arguments from 3: rev, state, epoch, within, remains; of a tombstone: rev, state, deletedAt, how long to keep it. */
const PUT = script(`${SHARED}
local stored = redis.call('HMGET', key, 'rev', 'deletedAt')
if stored[2] then return end
if #ARGV == 6 then
  bury(ARGV[3], ARGV[4], ARGV[5], ARGV[6])
elseif not stored[1] or tonumber(stored[1]) < tonumber(ARGV[3]) then
  write(ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
end`);

/** KEYS: the index. Arguments: what the keys of records begin with, from where, how many. */
const LIST = script(`
local states = {}
for i, id in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], '+', 'LIMIT', 0, ARGV[3])) do
  local state = redis.call('HGET', ARGV[1] .. id, 'state')
  if state then states[#states + 1] = state end
end
return states`);

const GET = script(`return redis.call('HGET', KEYS[1], 'state')`);

/** KEYS: record, tail. Arguments: epoch, lines. */
const SAVE_TAIL = script(`
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'deletedAt')
if stored[1] == ARGV[1] and not stored[2] then redis.call('SET', KEYS[2], ARGV[2]) end`);

const TAIL = script(`return redis.call('GET', KEYS[1])`);

const textSchema = z.string().nullable();
const changeReplySchema = z.union([
  z.tuple([z.enum(['done', 'taken', 'unknown'])]),
  z.tuple([z.literal('reached'), z.number()]),
  z.tuple([z.literal('changed'), z.number()]),
]);
const linesSchema = z.array(z.string());

type Row = { readonly id: string; readonly owner: string; readonly rev: number; readonly deletedAt: null };
type Grave = { readonly id: string; readonly rev: number; readonly deletedAt: number };
type Index = {
  readonly owner?: string | undefined;
  readonly projectId?: string | undefined;
  readonly isOpen?: boolean;
};
/** At most so many ids in an index, and what is thrown beyond that. */
export type Bound = { readonly index: string; readonly max: number; readonly refusal: () => AppError };

/** Which index: of an owner, of a project, of what is open, or of all three at once. */
export function indexName({ owner, projectId, isOpen = false }: Index): string {
  const parts = [
    ...(owner === undefined ? [] : [`owner:${JSON.stringify(owner)}`]),
    ...(projectId === undefined ? [] : [`project:${projectId}`]),
    ...(isOpen ? ['open'] : []),
  ];
  return parts.join(':') || 'all';
}

/** What a kind of record needs: how to read it, in which indexes it is, and what stays of it when it is deleted. */
type Kind<R extends Row, T extends Grave> = {
  readonly name: 'project' | 'session';
  readonly schema: z.ZodType<R | T>;
  readonly epochOf: (row: R) => number;
  readonly indexesOf: (row: R) => readonly string[];
  readonly remainsOf: (row: R) => Omit<T, 'rev' | 'deletedAt'>;
};

function isGrave<R extends Row, T extends Grave>(state: R | T): state is T {
  return state.deletedAt !== null;
}

/** Records of one kind under a prefix. */
export class RedisTable<R extends Row, T extends Grave> {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #kind: Kind<R, T>;

  constructor(connection: RedisConnection, prefix: string, kind: Kind<R, T>) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#kind = kind;
  }

  async insert(row: R, bounds: readonly Bound[]): Promise<void> {
    const reply = await this.#change(INSERT, row, ['all', boundsJson(bounds)]);
    if (reply[0] === 'taken') throw idTaken();
    if (reply[0] === 'reached') throw refusalOf(bounds, reply[1]);
  }

  async get(id: string): Promise<R | T | null> {
    const text = textSchema.parse(await this.#connection.run(GET, [this.#key(id)], []));
    return text === null ? null : this.#parse(text);
  }

  async list(index: string, { after, limit }: ListFilter): Promise<R[]> {
    const from = after === undefined ? '-' : `(${after}`;
    const args = [this.#key(''), from, String(limit)];
    const reply = await this.#connection.run(LIST, [this.#indexKey(index)], args);
    return linesSchema.parse(reply).flatMap((text) => {
      const state = this.#parse(text);
      return isGrave<R, T>(state) ? [] : [state];
    });
  }

  /** @param gate bounds do not count for a row that is in this index already */
  async update(row: R, { bounds, gate }: { bounds: readonly Bound[]; gate: string }): Promise<R> {
    const next = { ...row, rev: row.rev + 1 };
    const reply = await this.#change(UPDATE, next, [gate, boundsJson(bounds), String(row.rev)]);
    if (reply[0] === 'unknown') throw unknownRecord();
    if (reply[0] === 'changed') throw revChanged(reply[1]);
    if (reply[0] === 'reached') throw refusalOf(bounds, reply[1]);
    return next;
  }

  async delete(id: string): Promise<T> {
    const args = [String(Date.now()), String(TOMBSTONE_TTL_MS)];
    const text = textSchema.parse(await this.#run(DELETE, id, args));
    if (text === null) throw unknownRecord();
    const state = this.#parse(text);
    if (!isGrave<R, T>(state)) throw new Error(`a record stands where the tombstone of ${id} should be`);
    return state;
  }

  async put(states: readonly (R | T)[]): Promise<void> {
    await Promise.all(
      states.map((state) =>
        this.#run(
          PUT,
          state.id,
          isGrave<R, T>(state)
            ? [String(state.rev), JSON.stringify(state), String(state.deletedAt), String(TOMBSTONE_TTL_MS)]
            : this.#rowArgs(state),
        ),
      ),
    );
  }

  async saveTail(id: string, epoch: number, lines: readonly string[]): Promise<void> {
    await this.#connection.run(SAVE_TAIL, [this.#key(id), this.#tailKey(id)], [String(epoch), JSON.stringify(lines)]);
  }

  async tail(id: string): Promise<string[]> {
    const text = textSchema.parse(await this.#connection.run(TAIL, [this.#tailKey(id)], []));
    return text === null ? [] : linesSchema.parse(JSON.parse(text));
  }

  #key(id: string): string {
    return `${this.#prefix}${this.#kind.name}:${id}`;
  }

  #tailKey(id: string): string {
    return `${this.#prefix}tail:${id}`;
  }

  #indexKey(index: string): string {
    return `${this.#prefix}${this.#kind.name}s:${index}`;
  }

  #rowArgs(row: R): string[] {
    const { epochOf, indexesOf, remainsOf } = this.#kind;
    const remains = JSON.stringify(remainsOf(row));
    return [String(row.rev), JSON.stringify(row), String(epochOf(row)), indexesOf(row).join('\n'), remains];
  }

  async #change(change: Script, row: R, args: readonly string[]): Promise<z.infer<typeof changeReplySchema>> {
    return changeReplySchema.parse(await this.#run(change, row.id, [...this.#rowArgs(row), ...args]));
  }

  #run(change: Script, id: string, args: readonly string[]): Promise<unknown> {
    return this.#connection.run(change, [this.#key(id), this.#tailKey(id)], [this.#indexKey(''), id, ...args]);
  }

  #parse(text: string): R | T {
    return this.#kind.schema.parse(JSON.parse(text));
  }
}

/** JSON has no infinity. */
function boundsJson(bounds: readonly Bound[]): string {
  return JSON.stringify(bounds.map(({ index, max }) => [index, Math.min(max, Number.MAX_SAFE_INTEGER)]));
}

function refusalOf(bounds: readonly Bound[], position: number): Error {
  return bounds[position - 1]?.refusal() ?? new Error(`there is no bound ${position}`);
}
