/** Migrations run on a real server, from every state that a database can be in. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { projectRecord, sessionRecord } from '@/tests/contract/stores';
import { HAS_POSTGRES, TestPostgres } from '@/tests/harness/postgres';
import { LOCK_KEY, MIGRATIONS_DIR, migrate, SchemaTooNewError } from './migrate';
import { PostgresDriver } from './postgres';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-migrate-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** A copy of the migrations, and of how they would go on. */
function migrationsWith(...later: string[]): string {
  const copy = join(directory, `with-${later.length}`);
  cpSync(MIGRATIONS_DIR, copy, { recursive: true });
  const file = join(copy, 'meta', '_journal.json');
  const journal: { entries: { idx: number; version: string; when: number; tag: string; breakpoints: boolean }[] } =
    JSON.parse(readFileSync(file, 'utf8'));
  for (const [n, statement] of later.entries()) {
    writeFileSync(join(copy, `later_${n}.sql`), statement);
    journal.entries.push({
      idx: 100 + n,
      version: '7',
      when: 4_000_000_000_000 + n,
      tag: `later_${n}`,
      breakpoints: true,
    });
  }
  writeFileSync(file, JSON.stringify(journal));
  return copy;
}

it('D8 the migrations make exactly the tables of the schema', () => {
  const inMigrations = (out: string) => readdirSync(out).filter((name) => name.endsWith('.sql'));
  const generate = (out: string) => {
    const program = join('node_modules', 'drizzle-kit', 'bin.cjs');
    // drizzle-kit takes relative paths only.
    const args = ['--dialect=postgresql', '--schema=./drizzle/schema.ts', `--out=${relative('.', out)}`];
    spawnSync(process.execPath, [program, 'generate', ...args], { timeout: 60_000 });
    return inMigrations(out);
  };
  const copy = migrationsWith();
  expect(generate(copy)).toEqual(inMigrations(MIGRATIONS_DIR));
  const empty = join(directory, 'empty');
  mkdirSync(empty);
  // It does say so when there is something to do, here everything.
  expect(generate(empty)).toHaveLength(1);
});

describe.skipIf(!HAS_POSTGRES)('on Postgres', () => {
  let server: TestPostgres;

  beforeAll(async () => {
    server = await TestPostgres.start();
  });

  afterAll(async () => {
    await server?.dispose();
  });

  async function tablesOf(url: string): Promise<unknown[]> {
    const rows = await server.query(
      'select table_name as name from information_schema.tables where table_schema = current_schema() order by 1',
      url,
    );
    return rows.map(({ name }) => name);
  }

  it('D8 an empty database gets the tables, and a second time nothing', async () => {
    const url = await server.schemaUrl();
    await migrate({ url });
    await migrate({ url });
    expect(await tablesOf(url)).toEqual(['holdfast_migrations', 'projects', 'terminal_sessions']);
    expect(await server.query('table holdfast_migrations', url)).toHaveLength(
      readdirSync(MIGRATIONS_DIR).filter((name) => name.endsWith('.sql')).length,
    );
  });

  it('D8 the tables have the columns and indexes that tools expect', async () => {
    const url = await server.schemaUrl();
    await migrate({ url });
    const columns = await server.query(
      `select column_name || ' ' || data_type || coalesce(' ' || column_default, '') as line from information_schema.columns
       where table_schema = current_schema() and table_name = 'terminal_sessions'`,
      url,
    );
    expect(columns.map(({ line }) => line)).toEqual(
      expect.arrayContaining([
        'id text',
        'project_id text',
        'user_id text',
        'type text',
        'tab_name text',
        'active boolean true',
        'output jsonb',
        'current_path text',
        'pid integer',
        'created_at timestamp with time zone',
        'updated_at timestamp with time zone',
        "metadata jsonb '{}'::jsonb",
      ]),
    );
    const indexes = await server.query('select indexdef from pg_indexes where schemaname = current_schema()', url);
    for (const column of ['project_id', 'user_id', 'active']) {
      expect(
        indexes.filter(({ indexdef }) => new RegExp(`terminal_sessions.*\\(${column}\\b`).test(String(indexdef))),
      ).toHaveLength(1);
    }
    await expect(
      server.query(
        `insert into terminal_sessions (id, user_id, created_at, updated_at, rev, project_id, type, tab_name, path, position, epoch, opening_at)
         values ('x', 'u', now(), now(), 1, 'p', 'other', '', '', 1, 1, now())`,
        url,
      ),
    ).rejects.toThrow('terminal_sessions_type');
  });

  it('D8 an older database is brought up to date with its data, several steps at once', async () => {
    const url = await server.schemaUrl();
    await migrate({ url });
    const driver = new PostgresDriver({ url });
    try {
      const [project, session] = [projectRecord(), sessionRecord()];
      await driver.projects.insert(project, { isPathUnique: true, max: 9 });
      await driver.sessions.insert(session, []);
      const newer = migrationsWith(
        "alter table projects add colour text default 'red'",
        'create table third (id text)',
      );
      await migrate({ url }, { directory: newer });
      expect(await tablesOf(url)).toEqual(['holdfast_migrations', 'projects', 'terminal_sessions', 'third']);
      expect(await server.query('select id, colour from projects', url)).toEqual([{ id: project.id, colour: 'red' }]);
      expect(await driver.sessions.get(session.id)).toEqual(session);
    } finally {
      await driver.close();
    }
  });

  it('D8 a migration that fails leaves the database as it was', async () => {
    const url = await server.schemaUrl();
    await expect(
      migrate({ url }, { directory: migrationsWith('create table fine (id text)', 'create tabel wrong') }),
    ).rejects.toThrow();
    expect(await tablesOf(url)).toEqual([]);
    await migrate({ url });
  });

  it('D9 a newer database is refused, and untouched', async () => {
    const url = await server.schemaUrl();
    await migrate({ url }, { directory: migrationsWith('create table third (id text)') });
    const before = await server.query('table holdfast_migrations', url);
    await expect(migrate({ url })).rejects.toThrow(SchemaTooNewError);
    expect(await server.query('table holdfast_migrations', url)).toEqual(before);
    expect(await tablesOf(url)).toContain('third');
  });

  it('D10 of several that migrate at once one does, the others wait for it', async () => {
    const url = await server.schemaUrl();
    const slow = migrationsWith('select pg_sleep(0.3); create table third (id text)');
    await Promise.all(Array.from({ length: 4 }, () => migrate({ url }, { directory: slow })));
    expect(await server.query('table holdfast_migrations', url)).toHaveLength(
      readdirSync(slow).filter((name) => name.endsWith('.sql')).length,
    );
    expect(await tablesOf(url)).toContain('third');
  });

  it('D10 another one that migrates is waited for in vain for a bounded time', async () => {
    const url = await server.schemaUrl();
    const holder = postgres(url, { max: 1, onnotice: () => undefined });
    try {
      await holder.unsafe(`select pg_advisory_lock(${LOCK_KEY})`);
      await expect(migrate({ url }, { waitMs: 100 })).rejects.toMatchObject({ code: '55P03' });
      expect(await tablesOf(url)).toEqual([]);
    } finally {
      await holder.end();
    }
    await migrate({ url }, { waitMs: 100 });
  });

  it('D10 a migration on a database that is stopped can be given up', async () => {
    const url = await server.schemaUrl();
    const stop = new AbortController();
    server.freeze();
    try {
      const migration = expect(migrate({ url }, { signal: stop.signal })).rejects.toMatchObject({
        code: expect.stringMatching(/^CONN/),
      });
      stop.abort();
      await migration;
    } finally {
      server.thaw();
    }
    await expect(migrate({ url }, { signal: stop.signal })).rejects.toThrow('aborted');
    await migrate({ url });
  });

  it('D10 a database that can only be read is fine when there is nothing to do', async () => {
    const url = await server.schemaUrl();
    await migrate({ url });
    await migrate({ url: `${url}&default_transaction_read_only=on` });
    const empty = await server.schemaUrl();
    await expect(migrate({ url: `${empty}&default_transaction_read_only=on` })).rejects.toThrow('read-only');
  });
});
