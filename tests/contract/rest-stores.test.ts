/** The REST API over each composition of stores, with real servers behind it. */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readyAnswerSchema, type StoreKind } from '@/lib/protocol/rest';
import { getContext } from '@/lib/server/context';
import { TestPostgres } from '@/tests/harness/postgres';
import { until } from '@/tests/harness/processes';
import { RedisServer } from '@/tests/harness/redis';
import { Rest } from '@/tests/harness/rest';

const WAIT = { timeout: 20_000, interval: 50 };

let database: TestPostgres;
let redis: RedisServer;
beforeAll(async () => {
  database = await TestPostgres.start();
  redis = await RedisServer.start();
}, 60_000);
afterAll(async () => {
  await redis?.stop();
  await database?.dispose();
});

const KINDS: readonly StoreKind[] = ['postgres', 'redis', 'redis+postgres'];

describe.each(KINDS)('%s', (kind) => {
  let rest: Rest;
  beforeAll(async () => {
    redis.command('FLUSHALL');
    rest = await Rest.start({
      HOLDFAST_STORE: 'auto',
      DATABASE_URL: kind === 'redis' ? '' : await database.schemaUrl(),
      REDIS_URL: kind === 'postgres' ? '' : redis.url,
    });
    await until('web is ready', async () => (await ready()).status === 'ready');
  }, 60_000);
  afterAll(() => rest?.stop());

  async function ready() {
    return readyAnswerSchema.parse((await rest.web.call('GET /api/ready')).json);
  }

  it('D70 ready names the kind of store, and what is acknowledged is stored', async () => {
    expect(await ready()).toMatchObject({ status: 'ready', degraded: [], store: { kind } });
    const opened = await rest.create(await rest.makeProject());
    expect(opened.session.durability).toBe('stored');
    await rest.clear();
  });

  it('D71 projects and tabs without a process are there after a restart of web, and deleted ones are not', async () => {
    const empty = await rest.makeProject('Without a terminal');
    const project = await rest.makeProject('With terminals');
    const first = await rest.create(project, { tabName: 'first' });
    const second = await rest.create(project, { tabName: 'second' });
    const deleted = await rest.create(project, { tabName: 'deleted' });
    const { rev } = await rest.read(second.session.id);
    const line = `/api/terminal/${second.session.id}`;
    expect((await rest.web.call(`PATCH ${line}`, { body: { tabName: 'renamed', position: -1, rev } })).status).toBe(
      200,
    );
    await rest.web.call(`DELETE /api/terminal/${deleted.session.id}`);
    rest.web.restart();
    await expect.poll(ready, WAIT).toMatchObject({ status: 'ready' });
    expect((await rest.projects()).map(({ name }) => name)).toEqual(['Without a terminal', 'With terminals']);
    expect((await rest.tabs(project)).map(({ tabName }) => tabName)).toEqual(['renamed', 'first']);
    expect(await rest.read(first.session.id)).toMatchObject({ status: 'active', pid: first.session.pid });
    expect((await rest.web.call(`DELETE /api/terminal/${deleted.session.id}`)).status).toBe(200);
    expect(await rest.refused(`GET /api/terminal/${deleted.session.id}`)).toMatchObject({ status: 404 });
    expect(empty.rev).toBe(1);
    await rest.clear();
  });

  it('D72 a store that has lost everything has what runs again some seconds later', async () => {
    const project = await rest.makeProject('Survives');
    const { session } = await rest.create(project, { tabName: 'runs' });
    if (kind !== 'postgres') redis.command('FLUSHALL');
    const url = rest.web.config.databaseUrl;
    if (url) await database.query('delete from terminal_sessions; delete from projects', url);
    const names = async () => (await rest.projects()).map(({ name }) => name);
    await expect.poll(names, WAIT).toEqual(['Survives']);
    expect((await rest.tabs(project)).map(({ id, tabName }) => [id, tabName])).toEqual([[session.id, 'runs']]);
    await rest.clear();
  });

  it('D55 what is being answered when web is told to end is done, and kept', async () => {
    const project = await rest.makeProject();
    const body = rest.creation(project);
    const creations = Array.from({ length: 5 }, () => rest.web.call('POST /api/terminal/create', { body }));
    await until('they are under way', () => getContext().requests.size === 5);
    rest.web.restart();
    expect((await Promise.all(creations)).map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    const isLocked = () => readdirSync(rest.web.config.dataDir).some((name) => /^outbox-.*\.lock$/.test(name));
    await until('the store is closed', () => !isLocked());
    expect(await rest.tabs(project)).toHaveLength(5);
    await rest.clear();
  });

  it('R6 of 50 creates at once exactly 10 succeed', async () => {
    const body = rest.creation(await rest.makeProject());
    const create = () => rest.web.call('POST /api/terminal/create', { body });
    const answers = await Promise.all(Array.from({ length: 50 }, create));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(10);
    expect(statuses.filter((status) => status === 409)).toHaveLength(40);
    await rest.clear();
  });

  it('R7 of many changes with the same rev one is made', async () => {
    const project = await rest.makeProject();
    const change = (name: string) =>
      rest.web.call(`PATCH /api/workspace/projects/${project.id}`, { body: { name, rev: project.rev } });
    const statuses = (await Promise.all(['a', 'b', 'c', 'd'].map(change))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 409, 409, 409]);
    expect((await rest.projects())[0]).toMatchObject({ rev: 2 });
    await rest.clear();
  });

  it('R13 a lost session keeps its last lines and restarts with the next epoch', async () => {
    const opened = await rest.create(await rest.makeProject());
    await rest.run(opened, 'echo kept-$((2*3)); exit 3', 'kept-6');
    const { id } = opened.session;
    await expect.poll(async () => (await rest.read(id)).status, WAIT).toBe('ended');
    const { rev, output } = await rest.read(id);
    expect(output.join('\n')).toContain('kept-6');
    const again = await rest.web.call(`POST /api/terminal/${id}/restart`, { body: { rev } });
    expect(again.status).toBe(201);
    expect(await rest.read(id)).toMatchObject({ epoch: 2, status: 'active' });
    await rest.clear();
  });
});

it('L37 records in memory that were to be in the embedded database are told as degraded, to browsers too', async () => {
  const note = 'The embedded database cannot run, because of a test.';
  const rest = await Rest.start({ HOLDFAST_STORE: 'auto', HOLDFAST_STORE_NOTE: note });
  try {
    const ready = readyAnswerSchema.parse((await rest.web.call('GET /api/ready')).json);
    expect(ready).toMatchObject({ status: 'degraded', degraded: ['store'], store: { kind: 'memory', note } });
    const events = await rest.web.fetch('GET /api/events');
    const { value } = (await events.body?.getReader().read()) ?? {};
    expect(new TextDecoder().decode(value)).toContain('"degraded":["store"]');
  } finally {
    await rest.stop();
  }
});
