import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Config, loadConfig } from '@/lib/config';
import { migrate } from '@/lib/server/store/migrate';
import { PostgresDriver } from '@/lib/server/store/postgres';
import { removeEmbedded } from '@/tests/harness/embedded';
import { endRecordedChildren } from './child-record';
import { prepareDirectories } from './directories';
import { EmbeddedDatabase } from './embedded';
import { embeddedPlace, type Place } from './embedded-place';
import { processFacts, signal } from './processes';

const DEADLINE_MS = 30_000;

let directory: string;
let config: Config;
let place: Place;
let said: string[];
let started: EmbeddedDatabase[];
let stranger: ChildProcess | null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-pg-'));
  config = loadConfig({ HOLDFAST_DATA_DIR: join(directory, 'data') }, directory);
  prepareDirectories(config);
  place = embeddedPlace(config);
  said = [];
  started = [];
  stranger = null;
});

afterEach(async () => {
  await Promise.all(started.map((database) => database.stop()));
  stranger?.kill('SIGKILL');
  removeEmbedded(config.dataDir);
  rmSync(directory, { recursive: true });
});

async function start(): Promise<{ database: EmbeddedDatabase; config: Config }> {
  const database = new EmbeddedDatabase({ config, say: (line) => said.push(line) });
  started.push(database);
  return { database, config: await database.start(new AbortController().signal) };
}

/** Runs one statement on a connection of its own. */
async function query(databaseUrl = '', text = 'select 1'): Promise<readonly unknown[]> {
  const url = new URL(databaseUrl);
  const sql = postgres({
    host: url.searchParams.get('host') ?? '',
    user: url.username,
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
  });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end();
  }
}

test(
  'L34 the launcher runs a database for its data directory, and what was acknowledged is there at the next start',
  async () => {
    const first = await start();
    expect(first.config).toMatchObject({ store: 'embedded', storeNote: undefined });
    await query(first.config.databaseUrl, 'create table notes as select 42 as value');
    await first.database.stop();
    const second = await start();
    expect(await query(second.config.databaseUrl, 'select value from notes')).toEqual([{ value: 42 }]);
    expect(await query(second.config.databaseUrl, 'show fsync')).toEqual([{ fsync: 'on' }]);
    expect(said).toEqual([]);
  },
  DEADLINE_MS,
);

test(
  'L34 the driver of web makes its tables in it, by the address that the launcher gives',
  async () => {
    const url = (await start()).config.databaseUrl ?? '';
    await migrate({ url });
    const driver = new PostgresDriver({ url });
    try {
      expect(await driver.projects.list({ limit: 10 })).toEqual([]);
    } finally {
      await driver.close();
    }
  },
  DEADLINE_MS,
);

test(
  'L35 nobody else reaches the database: no port, and directories for its owner only',
  async () => {
    const { config: settled } = await start();
    expect(await query(settled.databaseUrl, 'show listen_addresses')).toEqual([{ listen_addresses: '' }]);
    for (const path of [place.data, place.sockets]) expect(statSync(path).mode & 0o777).toBe(0o700);
  },
  DEADLINE_MS,
);

test(
  'D56 who has no password or another one is refused, whoever runs Holdfast and its database',
  async () => {
    const url = new URL((await start()).config.databaseUrl ?? '');
    expect(await query(url.href)).toHaveLength(1);
    for (const password of ['', 'postgres', 'x'.repeat(43)]) {
      url.password = password;
      await expect(query(url.href)).rejects.toThrow(/password/i);
    }
  },
  DEADLINE_MS,
);

test(
  'D56 the password is in a file of who runs Holdfast, kept for the next start, and in no log and no command line',
  async () => {
    const seen = new Set<string>();
    const watch = setInterval(() => {
      for (const line of commandLines()) seen.add(line);
    }, 5);
    const { database, config: settled } = await start().finally(() => clearInterval(watch));
    for (const line of commandLines()) seen.add(line);
    const { password } = new URL(settled.databaseUrl ?? '');
    const file = join(config.dataDir, 'database.password');
    expect(password).toMatch(/^[\w-]{43}$/);
    expect(readFileSync(file, 'utf8').trim()).toBe(password);
    expect(statSync(file)).toMatchObject({ uid: process.getuid?.(), mode: 0o100600 });
    expect(statSync(config.dataDir).mode & 0o777).toBe(0o700);
    await query(settled.databaseUrl?.replace(password, 'wrong')).catch(() => undefined);
    const passwordFile = [...seen].flatMap((line) => /--pwfile=([^\0]+)/.exec(line)?.[1] ?? []);
    expect(passwordFile.map((path) => existsSync(path))).toContain(false);
    expect([...seen].filter((line) => line.includes(password))).toEqual([]);
    const logs = join(config.dataDir, 'logs');
    for (const name of readdirSync(logs)) expect(readFileSync(join(logs, name), 'utf8')).not.toContain(password);
    expect(said).toEqual([]);
    await database.stop();
    expect((await start()).config.databaseUrl).toBe(settled.databaseUrl);
  },
  DEADLINE_MS,
);

/** Those of all processes that run. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')];
      } catch {
        return []; // it has ended
      }
    });
}

test(
  'L37 D56 data whose password is missing is left as it is: records are in memory, which is said in one line',
  async () => {
    const first = await start();
    await first.database.stop();
    const file = join(config.dataDir, 'database.password');
    for (const breakFile of [() => writeFileSync(file, ''), () => rmSync(file)]) {
      breakFile();
      said = [];
      const { config: settled, database } = await start();
      expect(settled).toMatchObject({ store: 'memory', databaseUrl: undefined });
      expect(said).toEqual([expect.stringMatching(/^Projects and tabs are kept in memory only: [^\n]*$/)]);
      expect(said[0]).toContain(`${file} holds no password for ${place.data}`);
      expect(database.pid).toBeUndefined();
    }
    expect(existsSync(file)).toBe(false);
    expect(existsSync(join(place.data, 'PG_VERSION'))).toBe(true);
  },
  DEADLINE_MS,
);

test(
  'L36 a killed database is there again soon, with all that was acknowledged',
  async () => {
    const { database, config: settled } = await start();
    await query(settled.databaseUrl, 'create table notes as select 42 as value');
    const killed = database.pid ?? 0;
    signal(killed, 'SIGKILL');
    await expect
      .poll(() => query(settled.databaseUrl, 'select value from notes').catch(() => null), { timeout: 15_000 })
      .toEqual([{ value: 42 }]);
    expect(database.pid).not.toBe(killed);
    expect(said).toEqual(['The database process was ended by SIGKILL; it is started again.']);
  },
  DEADLINE_MS,
);

test(
  'L8 L36 a stranger with the number of a database that crashed neither stops the start nor is signalled',
  async () => {
    const first = await start();
    await first.database.stop();
    stranger = spawn('sleep', ['1000'], { stdio: 'ignore', cwd: '/', ...place.owner });
    await once(stranger, 'spawn');
    const lock = [stranger.pid, place.data, 1, 5432, place.sockets, '', '', 'ready', ''].join('\n');
    writeFileSync(join(place.data, 'postmaster.pid'), lock, { mode: 0o600 });
    const second = await start();
    expect(second.config.store).toBe('embedded');
    expect(await query(second.config.databaseUrl)).toHaveLength(1);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  },
  DEADLINE_MS,
);

test(
  'L37 a database of another major version is left untouched: records are in memory, which is said in one line',
  async () => {
    const first = await start();
    await first.database.stop();
    writeFileSync(join(place.data, 'PG_VERSION'), '17\n');
    const before = readdirSync(place.data);
    const { config: settled, database } = await start();
    expect(settled).toMatchObject({ store: 'memory', databaseUrl: undefined });
    expect(settled.storeNote).toMatch(
      /was written by Postgres 17 and this Holdfast brings \d+; the data is left as it is\.$/,
    );
    expect(said).toEqual([
      expect.stringMatching(/^Projects and tabs are kept in memory only: [^\n]*Postgres 17[^\n]*$/),
    ]);
    expect(database.pid).toBeUndefined();
    expect(readdirSync(place.data)).toEqual(before);
    expect(readFileSync(join(place.data, 'PG_VERSION'), 'utf8')).toBe('17\n');
  },
  DEADLINE_MS,
);

test(
  'L37 a database that cannot start is given up, and the reason names its log',
  async () => {
    const first = await start();
    await first.database.stop();
    writeFileSync(join(place.data, 'postgresql.conf'), 'no_such_setting = 1\n');
    const { config: settled, database } = await start();
    expect(settled.store).toBe('memory');
    expect(said).toEqual([expect.stringContaining(join(config.dataDir, 'logs', 'database.log'))]);
    expect(database.pid).toBeUndefined();
  },
  DEADLINE_MS,
);

test(
  'L37 nothing is started where memory is asked for',
  async () => {
    config = { ...config, wantsEmbedded: false };
    const { config: settled, database } = await start();
    expect(settled).toEqual(config);
    expect(database.pid).toBeUndefined();
    expect(said).toEqual([]);
  },
  DEADLINE_MS,
);

test(
  'L11 the record of a database ends it in order, and no other process of its number',
  async () => {
    const { database } = await start();
    const pid = database.pid ?? 0;
    const ended = endRecordedChildren(config.runDir, 5_000);
    await database.stop();
    expect(await ended).toEqual(['database']);
    expect(processFacts(pid)).toBeNull();
    expect(readFileSync(join(config.dataDir, 'logs', 'database.log'), 'utf8')).toContain(
      'received fast shutdown request',
    );
    expect(await endRecordedChildren(config.runDir, 5_000)).toEqual([]);
  },
  DEADLINE_MS,
);
