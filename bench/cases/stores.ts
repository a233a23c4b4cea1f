/** The stores of records, each alone: what one operation takes. */
import { newId } from '@/lib/protocol/ids';
import { MemoryDriver } from '@/lib/server/store/memory';
import { migrate } from '@/lib/server/store/migrate';
import { PostgresDriver } from '@/lib/server/store/postgres';
import { RedisDriver } from '@/lib/server/store/redis';
import { RedisConnection } from '@/lib/server/store/redis-connection';
import type { Driver, SessionLimit, SessionRecord } from '@/lib/server/store/store';
import { TestPostgres } from '@/tests/harness/postgres';
import { RedisServer } from '@/tests/harness/redis';
import { percentile } from '../statistics';
import type { Row, Values } from '../table';
import { OURS, type PartCase } from './case';

/** Records of one owner, as many as there may be. */
const RECORDS = 1_000;
const LIMITS: readonly SessionLimit[] = [
  { limit: 'project', max: 1e6 },
  { limit: 'user', max: 1e6 },
  { limit: 'records', max: 1e6 },
];

/** A driver with what it stands on. */
type Place = { name: string; target: number; open(): Promise<{ driver: Driver; end(): Promise<void> }> };

const PLACES: readonly Place[] = [
  {
    name: 'memory',
    target: 0.1,
    open: async () => ({ driver: new MemoryDriver(), end: async () => undefined }),
  },
  {
    name: 'redis',
    target: 2,
    open: async () => {
      const server = await RedisServer.start({ isPersistent: true });
      const driver = new RedisDriver(new RedisConnection(server.url));
      const end = async () => {
        await driver.close();
        await server.stop();
      };
      return { driver, end };
    },
  },
  {
    name: 'postgres',
    target: 5,
    open: async () => {
      // As it would be installed: what it confirms is on the disk.
      const server = await TestPostgres.start({ isDurable: true });
      const driver = new PostgresDriver({ url: server.url() });
      const end = async () => {
        await driver.close();
        await server.dispose();
      };
      try {
        await migrate({ url: server.url() });
        return { driver, end };
      } catch (error) {
        await end();
        throw error;
      }
    },
  },
];
const OPERATIONS = ['insert', 'get', 'update', 'list'] as const;

type Operation = (typeof OPERATIONS)[number];

function newRecord(): SessionRecord {
  const now = Date.now();
  return {
    id: newId('session', now),
    projectId: 'project_1700000000000_aaaaaaaa',
    owner: 'local',
    type: 'system',
    tabName: 'shell',
    position: 1,
    pinned: false,
    path: '/home/user/project',
    lastPath: null,
    placement: { nodeId: 'node', hostId: 'host' },
    epoch: 1,
    openingAt: now,
    endedAt: null,
    exit: null,
    createdAt: now,
    rev: 1,
    deletedAt: null,
  };
}

async function timesOf({ sessions }: Driver, rounds: number): Promise<Record<Operation, number[]>> {
  const times: Record<Operation, number[]> = { insert: [], get: [], update: [], list: [] };
  const timed = async (operation: Operation, work: () => Promise<unknown>) => {
    const startedAt = performance.now();
    await work();
    times[operation].push(performance.now() - startedAt);
  };
  for (let n = 0; n < RECORDS; n += 100) await sessions.put(Array.from({ length: 100 }, newRecord));
  for (let round = 0; round < rounds; round++) {
    const record = newRecord();
    await timed('insert', () => sessions.insert(record, LIMITS));
    await timed('get', () => sessions.get(record.id));
    await timed('update', () => sessions.update({ ...record, tabName: 'renamed' }));
    if (round % 10 === 0) await timed('list', () => sessions.list({ owner: record.owner, limit: RECORDS }));
    // As many as there may be, and no more.
    await sessions.delete(record.id);
  }
  return times;
}

export const stores: PartCase = {
  name: 'stores',
  layout: 'none',
  peers: OURS,
  async measure({ storeRounds }) {
    const values: Values = {};
    for (const { name, open } of PLACES) {
      const { driver, end } = await open();
      try {
        const times = await timesOf(driver, storeRounds);
        for (const operation of OPERATIONS) values[`${name} ${operation}`] = percentile(times[operation], 0.95);
      } finally {
        await end();
      }
    }
    return values;
  },
  rows: () => PLACES.flatMap(({ name, target }) => OPERATIONS.map((operation) => rowOf(name, operation, target))),
};

function rowOf(name: string, operation: Operation, target: number): Row {
  const isList = operation === 'list';
  const most = isList ? 200 : target;
  return {
    label: `${name}: ${isList ? `list of ${RECORDS}` : operation === 'insert' ? 'insert with limits' : operation}, p95`,
    unit: 'ms',
    value: `${name} ${operation}`,
    beside: 'nothing',
    target: {
      text: `${isList ? '≤' : '<'} ${most}`,
      isReached: ({ holdfast }) => (isList ? holdfast <= most : holdfast < most),
    },
  };
}
