/** Two instances with one truth and one cache, at random, while Redis and the way to it break: compared with the truth. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { describe, it } from 'vitest';
import { createLog } from '@/lib/log';
import { AppError } from '@/lib/protocol/errors';
import { sessionRecord } from '@/tests/contract/stores';
import { Line } from '@/tests/faults/proxy';
import { until } from '@/tests/harness/processes';
import { hasRedis, RedisServer } from '@/tests/harness/redis';
import { cache } from './cache';
import { memoryStores } from './memory';
import { RedisConnection } from './redis-connection';
import type { SessionState, SessionStore, Stores } from './store';

const LEASE_MS = 500;
/** A call of the truth or of Redis may take so long beside the lease (ms). */
const CALL_MS = 300;
const RECORDS = 6;
const STORM_MS = 2_000;
/** A machine that has more to do makes deadlines miss, and a breaker that flaps waits longer each time (ms). */
const PATIENCE_MS = 30_000;

/** What was acknowledged, and when, and to whom. */
type Acknowledged = { readonly rev: number; readonly at: number; readonly by: number };

function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** The truth, with a little latency before and behind each call, and every state that it ever had. */
function slowTruth(random: () => number): { stores: Stores; states: Map<string, SessionState> } {
  const inner = memoryStores();
  const states = new Map<string, SessionState>();
  const slowly = async <T>(call: () => Promise<T>): Promise<T> => {
    await sleep(random() * 4);
    const result = await call();
    await sleep(random() * 4);
    return result;
  };
  const noted = async <S extends SessionState>(state: S): Promise<S> => {
    states.set(`${state.id} ${state.rev}`, state);
    return state;
  };
  const sessions: SessionStore = {
    ...inner.sessions,
    durabilityOf: () => 'stored',
    insert: (record, limits) => slowly(async () => inner.sessions.insert(await noted(record), limits)),
    get: (id) => slowly(() => inner.sessions.get(id)),
    list: (filter) => slowly(() => inner.sessions.list(filter)),
    update: (record) => slowly(async () => noted(await inner.sessions.update(record))),
    delete: (id) => slowly(async () => noted(await inner.sessions.delete(id))),
  };
  return { stores: { ...inner, sessions, close: async () => undefined }, states };
}

/** Ways in which Redis, and the ways of two instances to it, break; and whether it finds again what it held. */
type Fault = {
  name: string;
  isPersistent?: boolean;
  strike: (server: RedisServer, lines: readonly [Line, Line]) => unknown;
};
const FAULTS: Fault[] = [
  { name: 'Redis is killed and remembers', isPersistent: true, strike: (server) => server.kill() },
  { name: 'Redis is killed and forgets', strike: (server) => server.kill() },
  { name: 'Redis freezes', strike: (server) => server.freeze() },
  { name: 'one instance is cut off', strike: (_, [line]) => line.cut() },
  { name: 'one instance hears nothing', strike: (_, [line]) => line.silence() },
  { name: 'Redis is emptied', strike: (server) => server.command('FLUSHALL') },
  { name: 'one is cut off and Redis is emptied', strike: cutAndFlush },
  { name: 'connections are ended', strike: endConnections },
];

function cutAndFlush(server: RedisServer, [line]: readonly [Line, Line]): void {
  line.cut();
  server.command('FLUSHALL');
}

async function endConnections(server: RedisServer): Promise<void> {
  for (let i = 0; i < 10; i++) {
    server.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await sleep(50);
  }
}

const SEEDS = [1];

describe.runIf(hasRedis())('cache at random', () => {
  const cases: (Fault & { seed: number })[] = FAULTS.flatMap((fault) => SEEDS.map((seed) => ({ ...fault, seed })));
  it.concurrent.for(cases)(
    'D28 D29 no copy is wrong for longer than a lease, nor ever to its writer: $name (seed $seed)',
    { timeout: 4 * PATIENCE_MS },
    async ({ isPersistent = false, strike, seed }, { expect, onTestFinished }) => {
      const random = randomFrom(seed);
      const pick = <T>(items: readonly T[]): T => {
        const item = items[Math.floor(random() * items.length)];
        if (item === undefined) throw new Error('nothing to pick from');
        return item;
      };
      const server = await RedisServer.start({ isPersistent });
      const lines = [await Line.open(() => server.port), await Line.open(() => server.port)] as const;
      const truth = slowTruth(random);
      const instances = lines.map((line, i) =>
        cache(truth.stores, {
          connection: new RedisConnection(`redis://127.0.0.1:${line.port}`),
          log: createLog('web', 'error'),
          instance: `web-${i}`,
          ttlMs: 60_000,
          leaseMs: LEASE_MS,
        }),
      );
      onTestFinished(async () => {
        for (const line of lines) line.close();
        await Promise.all(instances.map((instance) => instance.close()));
        await server.stop();
      });

      const acknowledged = new Map<string, Acknowledged[]>();
      const wrong: string[] = [];
      const add = (id: string, rev: number, by: number) =>
        acknowledged.set(id, [...(acknowledged.get(id) ?? []), { rev, at: performance.now(), by }]);
      let reads = 0;

      /** Reads through an instance, and compares with what was acknowledged before the read began. */
      async function read(by: number, id: string): Promise<SessionState | null> {
        const startedAt = performance.now();
        const known = (acknowledged.get(id) ?? []).slice();
        const state = (await instances[by]?.sessions.get(id)) ?? null;
        reads += 1;
        const rev = state?.rev ?? 0;
        const missed = known.filter((one) => one.rev > rev);
        const age = Math.max(0, ...missed.map(({ at }) => startedAt - at));
        if (missed.some((one) => one.by === by)) wrong.push(`${by} does not see its own write of ${id}`);
        if (age > LEASE_MS + CALL_MS) wrong.push(`${by} reads ${id} at ${rev}, ${Math.round(age)} ms too late`);
        if (state && !isDeepStrictEqual(truth.states.get(`${id} ${rev}`), state)) {
          wrong.push(`${by} reads what ${id} never was`);
        }
        return state;
      }

      const ids: string[] = [];
      const writers = new Map<string, number>();
      async function insert(by: number): Promise<void> {
        const record = sessionRecord();
        await instances[by]?.sessions.insert(record, []);
        ids.push(record.id);
        writers.set(record.id, by);
        add(record.id, 1, by);
      }

      async function change(by: number): Promise<void> {
        const id = pick(ids.slice(-RECORDS));
        const state = await read(by, id);
        // Mostly each changes its own, and not often, so that nothing later hides what was missed: a conflict and a list would.
        const share = writers.get(id) === by ? 0.1 : 0.0001;
        if (!state || state.deletedAt !== null || random() > share) return;
        if (random() < 0.1) {
          add(id, (await instances[by]?.sessions.delete(id))?.rev ?? 0, by);
          await insert(by);
          return;
        }
        add(id, (await instances[by]?.sessions.update({ ...state, tabName: `${by} ${random()}` }))?.rev ?? 0, by);
      }

      async function work(by: number, signal: AbortSignal): Promise<void> {
        while (!signal.aborted) {
          try {
            if (random() < 0.001) await instances[by]?.sessions.list({ limit: 100 });
            else await change(by);
          } catch (error) {
            // Somebody else was faster.
            if (!(error instanceof AppError)) throw error;
          }
        }
      }

      for (let i = 0; i < RECORDS; i++) await insert(i % 2);
      await until(
        'both use Redis',
        async () => {
          await Promise.all([0, 1].map((by) => read(by, pick(ids))));
          return instances.every((instance) => (instance.status().cache?.hits ?? 0) > 0);
        },
        PATIENCE_MS,
      );

      const stop = new AbortController();
      const workers = [0, 1, 0, 1].map((by) => work(by, stop.signal));
      await sleep(STORM_MS * 0.2 * random());
      await strike(server, lines);
      await sleep(LEASE_MS + CALL_MS + STORM_MS * 0.5 * random());
      server.thaw();
      await server.restart();
      for (const line of lines) line.heal();
      await until(
        'both have Redis',
        () => instances.every(({ status }) => !status().degraded.includes('redis')),
        PATIENCE_MS,
      );
      await sleep(STORM_MS * 0.3);
      stop.abort();
      await Promise.all(workers);

      // When all is calm, everything is as in the truth, also in the cache.
      await sleep(LEASE_MS + CALL_MS);
      for (const id of ids) {
        for (const by of [0, 1, 0, 1]) expect(await read(by, id)).toEqual(await truth.stores.sessions.get(id));
      }
      const hits = () => instances.map((instance) => instance.status().cache?.hits ?? 0);
      const before = hits();
      await until(
        'both are answered by Redis again',
        async () => {
          await Promise.all([0, 1].map((by) => read(by, ids.at(-1) ?? '')));
          return hits().every((now, by) => now > (before[by] ?? 0));
        },
        PATIENCE_MS,
      );
      expect(wrong).toEqual([]);
      expect(reads).toBeGreaterThan(40);
    },
  );
});
