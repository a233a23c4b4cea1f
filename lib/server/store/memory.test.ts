/** The memory stores keep the contract of the stores. */
import { describe, expect, it } from 'vitest';
import { projectRecord, projectStoreContract, sessionStoreContract } from '@/tests/contract/stores';
import { MemoryProjectStore, MemorySessionStore } from './memory';

describe('projects in memory', () => projectStoreContract(async () => new MemoryProjectStore()));
describe('sessions in memory', () => sessionStoreContract(async () => new MemorySessionStore()));

it('keeps a bounded number of tombstones', async () => {
  const store = new MemoryProjectStore();
  const first = projectRecord();
  for (let i = 0; i <= 10_000; i++) {
    const record = i === 0 ? first : projectRecord();
    await store.insert(record, { isPathUnique: false, max: 10 });
    await store.delete(record.id);
  }
  expect(await store.get(first.id)).toBeNull();
});
