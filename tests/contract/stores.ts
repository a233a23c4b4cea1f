/** What every store must do, as one suite that each implementation runs through. */
import { expect, it } from 'vitest';
import { AppError, type ErrorCode } from '@/lib/protocol/errors';
import { newId } from '@/lib/protocol/ids';
import {
  type ProjectRecord,
  type ProjectStore,
  type SessionLimit,
  type SessionRecord,
  type SessionStore,
  TAIL_BYTES_MAX,
} from '@/lib/server/store/store';

const FREE = { isPathUnique: true, max: 1000 };

/** A project record for tests. */
export function projectRecord(change: Partial<ProjectRecord> = {}): ProjectRecord {
  const id = newId('project');
  return {
    id,
    owner: 'alice',
    name: 'A project',
    path: `/home/alice/${id}`,
    pinned: false,
    archived: false,
    createdAt: 1_700_000_000_000,
    rev: 1,
    deletedAt: null,
    ...change,
  };
}

/** A session record for tests: asked for, not opened yet. */
export function sessionRecord(change: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: newId('session'),
    projectId: 'project_1700000000000_aaaaaaaa',
    owner: 'alice',
    type: 'system',
    tabName: 'shell',
    position: 1,
    pinned: false,
    path: '/home/alice',
    lastPath: null,
    placement: null,
    epoch: 1,
    openingAt: 1_700_000_000_000,
    endedAt: null,
    exit: null,
    createdAt: 1_700_000_000_000,
    rev: 1,
    deletedAt: null,
    ...change,
  };
}

async function codeOf(work: Promise<unknown>): Promise<ErrorCode | 'none'> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

/** Declares the tests of a ProjectStore. `open` gives an empty one. */
export function projectStoreContract(open: () => Promise<ProjectStore>): void {
  putContract({ open, record: projectRecord });

  it('gives back what was inserted, as a copy', async () => {
    const store = await open();
    const record = projectRecord();
    await store.insert(record, FREE);
    expect(await store.get(record.id)).toEqual(record);
    expect(await store.get(record.id)).not.toBe(record);
    expect(await store.get(newId('project'))).toBeNull();
  });

  it('R7 lets one of two changes with the same rev through', async () => {
    const store = await open();
    const record = projectRecord();
    await store.insert(record, FREE);
    const codes = await Promise.all(
      ['one', 'two'].map((name) => codeOf(store.update({ ...record, name, owner: 'alice' }))),
    );
    expect(codes.sort()).toEqual(['conflict', 'none']);
    expect((await store.get(record.id))?.rev).toBe(2);
  });

  it('refuses a second project of the owner for the same path, also at once', async () => {
    const store = await open();
    const codes = await Promise.all(
      Array.from({ length: 5 }, () => codeOf(store.insert(projectRecord({ path: '/home/alice/same' }), FREE))),
    );
    expect(codes.filter((code) => code === 'none')).toHaveLength(1);
    expect(codes.filter((code) => code === 'conflict')).toHaveLength(4);
    expect(await codeOf(store.insert(projectRecord({ path: '/home/alice/same', owner: 'bob' }), FREE))).toBe('none');
  });

  it('frees the path of a deleted project, and never its id', async () => {
    const store = await open();
    const record = projectRecord();
    await store.insert(record, FREE);
    const tombstone = await store.delete(record.id);
    expect(tombstone).toMatchObject({ id: record.id, owner: 'alice', rev: 2 });
    expect(tombstone).not.toHaveProperty('path');
    expect(await store.delete(record.id)).toEqual(tombstone);
    expect(await store.get(record.id)).toEqual(tombstone);
    expect(await store.list({ limit: 10 })).toEqual([]);
    expect(await codeOf(store.update(record))).toBe('not_found');
    expect(await codeOf(store.insert(record, FREE))).toBe('conflict');
    expect(await codeOf(store.insert(projectRecord({ path: record.path }), FREE))).toBe('none');
  });

  it('keeps at most the given number for an owner', async () => {
    const store = await open();
    await store.insert(projectRecord(), { ...FREE, max: 1 });
    expect(await codeOf(store.insert(projectRecord(), { ...FREE, max: 1 }))).toBe('bad_request');
    expect(await codeOf(store.insert(projectRecord({ owner: 'bob' }), { ...FREE, max: 1 }))).toBe('none');
  });

  it('keeps any number for an owner when that is what the maximum says', async () => {
    const store = await open();
    const rule = { isPathUnique: false, max: Number.POSITIVE_INFINITY };
    expect(await codeOf(store.insert(projectRecord(), rule))).toBe('none');
    expect(await codeOf(store.insert(projectRecord(), rule))).toBe('none');
  });

  it('lists by owner, page by page, in the order of ids', async () => {
    const store = await open();
    const own = Array.from({ length: 5 }, () => projectRecord());
    for (const record of [...own, projectRecord({ owner: 'bob' })]) await store.insert(record, FREE);
    const ids = own.map(({ id }) => id).sort();
    const first = await store.list({ owner: 'alice', limit: 3 });
    const after = first.at(-1)?.id ?? '';
    const second = await store.list({ owner: 'alice', after, limit: 3 });
    expect([...first, ...second].map(({ id }) => id)).toEqual(ids);
  });

  it('answers not_found for the deletion of an unknown id', async () => {
    const store = await open();
    expect(await codeOf(store.delete(newId('project')))).toBe('not_found');
  });
}

/** Declares the tests of `put`, which projects and sessions have alike. */
function putContract<R extends { id: string; rev: number; deletedAt: null }, T extends { id: string; rev: number }>({
  open,
  record,
}: {
  open: () => Promise<{
    put(states: readonly (R | T)[]): Promise<void>;
    get(id: string): Promise<R | T | null>;
    update(record: R): Promise<R>;
    delete(id: string): Promise<T>;
    list(filter: { limit: number }): Promise<R[]>;
  }>;
  record: () => R;
}): void {
  it('put takes over what it does not know and what is newer, never what is older, and again without effect', async () => {
    const store = await open();
    const first = { ...record(), rev: 5 };
    const second = record();
    await store.put([first, second]);
    expect(await store.get(first.id)).toEqual(first);
    await store.put([
      { ...first, rev: 4 },
      { ...second, rev: 2 },
    ]);
    await store.put([
      { ...first, rev: 4 },
      { ...second, rev: 2 },
    ]);
    expect(await store.get(first.id)).toEqual(first);
    expect(await store.get(second.id)).toEqual({ ...second, rev: 2 });
    expect((await store.update(first)).rev).toBe(6);
  });

  it('put lets a tombstone replace every record, and no record a tombstone', async () => {
    const [store, other] = [await open(), await open()];
    const buried = record();
    await other.put([buried]);
    const tombstone = await other.delete(buried.id);
    await store.put([{ ...buried, rev: 9 }]);
    await store.put([tombstone]);
    expect(await store.get(buried.id)).toEqual(tombstone);
    await store.put([{ ...buried, rev: 99 }]);
    expect(await store.get(buried.id)).toEqual(tombstone);
    expect(await store.list({ limit: 10 })).toEqual([]);
  });
}

/** Declares the tests of a SessionStore. `open` gives an empty one. */
export function sessionStoreContract(open: () => Promise<SessionStore>): void {
  const three: SessionLimit[] = [{ limit: 'project', max: 3 }];

  putContract({ open, record: sessionRecord });

  it('keeps the last lines of a session within the bounds, as long as its record is there', async () => {
    const store = await open();
    const record = sessionRecord({ epoch: 2 });
    await store.insert(record, []);
    expect(await store.tail(record.id)).toEqual([]);
    await store.saveTail(record.id, 1, ['of an older epoch']);
    expect(await store.tail(record.id)).toEqual([]);
    await store.saveTail(record.id, 2, ['one', 'tabs\t, "quotes" and é', '']);
    expect(await store.tail(record.id)).toEqual(['one', 'tabs\t, "quotes" and é', '']);
    expect((await store.get(record.id))?.rev).toBe(1);
    await store.saveTail(record.id, 2, [...Array.from({ length: 2_000 }, () => 'x'.repeat(50)), 'last']);
    const tail = await store.tail(record.id);
    expect(tail.at(-1)).toBe('last');
    expect(tail.length).toBeGreaterThan(500);
    expect(Buffer.byteLength(tail.join('\n'))).toBeLessThanOrEqual(TAIL_BYTES_MAX);
    await store.delete(record.id);
    expect(await store.tail(record.id)).toEqual([]);
  });

  it('gives back what was inserted, as a copy', async () => {
    const store = await open();
    const record = sessionRecord({ placement: { nodeId: 'n', hostId: 'h' } });
    await store.insert(record, []);
    expect(await store.get(record.id)).toEqual(record);
    expect(await store.get(newId('session'))).toBeNull();
    expect(await codeOf(store.insert(record, []))).toBe('conflict');
  });

  it('R6 lets exactly the limit through when many are inserted at once', async () => {
    const store = await open();
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(store.insert(sessionRecord(), three))));
    expect(codes.filter((code) => code === 'none')).toHaveLength(3);
    expect(codes.filter((code) => code === 'session_limit_reached')).toHaveLength(47);
    expect(await store.list({ limit: 100 })).toHaveLength(3);
  });

  it('R6 names the limit: by project, by user, and of all that is kept', async () => {
    const store = await open();
    for (let i = 0; i < 3; i++) await store.insert(sessionRecord(), []);
    const other = { projectId: 'project_1700000000000_bbbbbbbb' };
    await expect(store.insert(sessionRecord(), three)).rejects.toMatchObject({
      code: 'session_limit_reached',
      details: { limit: 'project', max: 3 },
    });
    expect(await codeOf(store.insert(sessionRecord(other), three))).toBe('none');
    await expect(store.insert(sessionRecord(other), [{ limit: 'user', max: 4 }])).rejects.toMatchObject({
      details: { limit: 'user', max: 4 },
    });
    const ended = sessionRecord({ ...other, endedAt: 1 });
    expect(await codeOf(store.insert(sessionRecord({ ...other, owner: 'bob' }), three))).toBe('none');
    await store.insert(ended, []);
    await expect(store.insert(sessionRecord(other), [{ limit: 'records', max: 5 }])).rejects.toMatchObject({
      details: { limit: 'records', max: 5 },
    });
  });

  it('R6 an ended session frees its slot, and takes one again only within the limit', async () => {
    const store = await open();
    const records = Array.from({ length: 3 }, () => sessionRecord());
    for (const record of records) await store.insert(record, three);
    const [first] = records;
    if (!first) throw new Error('three records');
    const ended = await store.update({ ...first, endedAt: 5 });
    await store.insert(sessionRecord(), three);
    expect(await codeOf(store.update({ ...ended, endedAt: null }, three))).toBe('session_limit_reached');
    expect(await store.get(first.id)).toEqual(ended);
    expect(await codeOf(store.update({ ...ended, tabName: 'renamed' }, three))).toBe('none');
    expect(await store.list({ isOpen: true, limit: 10 })).toHaveLength(3);
  });

  it('R7 lets one of many changes with the same rev through', async () => {
    const store = await open();
    const record = sessionRecord();
    await store.insert(record, []);
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => codeOf(store.update({ ...record, tabName: `name ${i}` }))),
    );
    expect(codes.filter((code) => code === 'none')).toHaveLength(1);
    expect((await store.get(record.id))?.rev).toBe(2);
  });

  it('R4 keeps a tombstone without content, frees the slot, and never reuses the id', async () => {
    const store = await open();
    const record = sessionRecord({ tabName: 'secret plan', path: '/home/alice/secret' });
    await store.insert(record, [{ limit: 'project', max: 1 }]);
    const tombstone = await store.delete(record.id);
    expect(tombstone).toMatchObject({ id: record.id, owner: 'alice', projectId: record.projectId, rev: 2 });
    expect(JSON.stringify(tombstone)).not.toContain('secret');
    expect(await store.delete(record.id)).toEqual(tombstone);
    expect(await codeOf(store.update({ ...record, rev: tombstone.rev }))).toBe('not_found');
    expect(await codeOf(store.insert(record, []))).toBe('conflict');
    expect(await codeOf(store.insert(sessionRecord(), [{ limit: 'project', max: 1 }]))).toBe('none');
    expect(await codeOf(store.delete(newId('session')))).toBe('not_found');
  });

  it('lists by owner, project and page, in the order of ids', async () => {
    const store = await open();
    const own = Array.from({ length: 4 }, () => sessionRecord());
    const elsewhere = sessionRecord({ projectId: 'project_1700000000000_bbbbbbbb' });
    for (const record of [...own, elsewhere, sessionRecord({ owner: 'bob' })]) await store.insert(record, []);
    const ids = own.map(({ id }) => id).sort();
    const filter = { owner: 'alice', projectId: 'project_1700000000000_aaaaaaaa', limit: 3 };
    const first = await store.list(filter);
    const second = await store.list({ ...filter, after: first.at(-1)?.id ?? '' });
    expect([...first, ...second].map(({ id }) => id)).toEqual(ids);
    expect(await store.list({ owner: 'alice', limit: 10 })).toHaveLength(5);
  });
}
