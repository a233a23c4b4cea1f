/** Faults of the database while people work on records. */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { until } from '@/tests/harness/processes';
import { check, type FaultCase, quantile, type Scene } from '../case';
import { Records } from '../records';
import { balanced, degradedParts, isHealed, SMALL_LOAD, whenWeb } from './stores';

const CREATE_P95_MS = 300;
const SLOW_CALLS_MAX = 3;
const CALL_MS_MAX = 1_000;
const OUTAGE_P95_MS = 50;
const NORMAL_MS = 5_000;
const FLAP_MS = 3_000;

/** People work while `fault` lasts; the answers must be as quick as a store that is away allows. */
async function undergo(scene: Scene, records: Records, fault: () => Promise<unknown>): Promise<void> {
  const { slack, say } = scene;
  records.start();
  await sleep(500);
  const since = performance.now();
  await fault();
  await records.stop();
  const { slow, maxMs, p95Ms, count } = records.speed(since);
  say(`${count} calls, ${slow} over 300 ms, slowest ${Math.round(maxMs)} ms, then p95 ${Math.round(p95Ms)} ms`);
  check(slow <= SLOW_CALLS_MAX * slack, `${slow} calls took over 300 ms`);
  check(maxMs <= CALL_MS_MAX * slack, `the slowest call took ${Math.round(maxMs)} ms`);
  check(p95Ms <= OUTAGE_P95_MS * slack, `the p95 after that is ${Math.round(p95Ms)} ms`);
}

/** Runs statements as the owner of the database. */
async function withSql<T>({ stack }: Scene, run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(stack.services.postgres.url(), { max: 1, onnotice: () => undefined });
  try {
    return await run(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

export const databaseCases: FaultCase[] = [
  {
    id: 'C06',
    title: 'the database is absent at the start, and comes later',
    group: 'stores',
    stage: 'own',
    plan: { services: { postgres: {}, isAwayAtStart: true } },
    load: SMALL_LOAD,
    async run(scene) {
      const { stack, chance, slack, say } = scene;
      check((await degradedParts(stack)).includes('db'), 'web does not say that the database is away');
      const records = new Records(stack, chance);
      await records.perform({ creates: 30, renames: 8, deletes: 4 });
      const p95 = quantile(
        records.calls.map(({ ms }) => ms),
        0.95,
      );
      say(`p95 without a database ${Math.round(p95)} ms`);
      check(p95 <= CREATE_P95_MS * slack, `the p95 without a database is ${Math.round(p95)} ms`);
      const { durability } = await stack.terminal(scene.load.members[0]?.id ?? '');
      check(durability === 'outbox', `a terminal is ${durability} without a database`);
      await stack.services.postgres.start();
      await balanced(scene, records);
    },
  },
  {
    id: 'C07',
    title: 'the database is killed in the middle of an insert',
    group: 'stores',
    stage: 'shared',
    isQuick: true,
    async run(scene) {
      const { stack, chance } = scene;
      const records = new Records(stack, chance);
      await withSql(scene, async (sql) => {
        await sql`create or replace function slow_insert() returns trigger language plpgsql as
          $$ begin perform pg_sleep(0.2); return new; end $$`;
        await sql`create trigger slow_insert before insert on projects for each row execute function slow_insert()`;
      });
      const creating = records.perform({ creates: 1, renames: 0, deletes: 0 });
      await sleep(chance.between(20, 200));
      await stack.services.postgres.kill();
      await creating;
      await stack.services.postgres.start();
      await withSql(scene, async (sql) => {
        await sql`drop trigger if exists slow_insert on projects`;
        await sql`drop function if exists slow_insert`;
      });
      await balanced(scene, records);
    },
  },
  {
    id: 'C08',
    title: 'the database hangs: frozen, then behind a line that is silent',
    group: 'stores',
    stage: 'shared',
    async run(scene) {
      const { stack, chance, slack, isQuick, say } = scene;
      const { postgres: database, line } = stack.services;
      const holdMs = isQuick ? 4_000 : 15_000;
      for (const fault of [
        { begin: () => database.freeze(), end: () => database.thaw() },
        { begin: () => line.silence(), end: () => line.heal() },
      ]) {
        const records = new Records(stack, chance);
        scene.onEnd(fault.end);
        await undergo(scene, records, async () => {
          fault.begin();
          await sleep(holdMs);
        });
        check((await degradedParts(stack)).includes('db'), 'web does not say that the database hangs');
        const thawedAt = performance.now();
        fault.end();
        await until('all is normal', () => isHealed(stack), NORMAL_MS * slack);
        say(`normal ${Math.round(performance.now() - thawedAt)} ms later`);
        await balanced(scene, records);
      }
    },
  },
  {
    id: 'C09',
    title: 'the database is down while 200 records are made, 50 renamed and 30 deleted',
    group: 'stores',
    stage: 'shared',
    isQuick: true,
    async run(scene) {
      const { stack, chance, isLong } = scene;
      const before = new Records(stack, chance);
      await before.perform({ creates: 20, renames: 5, deletes: 5 });
      await stack.services.postgres.stop();
      scene.onEnd(() => stack.services.postgres.start());
      const stoppedAt = performance.now();
      const records = new Records(stack, chance);
      await records.perform({ creates: 200, renames: 50, deletes: 30 });
      await sleep(Math.max(0, (isLong ? 600_000 : 6_000) - (performance.now() - stoppedAt)));
      await stack.services.postgres.start();
      await balanced(scene, records);
      await balanced(scene, before);
    },
    deadlineMs: 900_000,
  },
  {
    id: 'C10',
    title: 'everything is killed while the database is down',
    group: 'stores',
    stage: 'own',
    plan: { services: { postgres: {} } },
    load: { idle: 1 },
    async run(scene) {
      const { stack, chance, ledger, slack } = scene;
      const records = new Records(stack, chance);
      await records.perform({ creates: 10, renames: 3, deletes: 2 });
      await stack.services.postgres.kill();
      await records.perform({ creates: 30, renames: 10, deletes: 6 });
      await whenWeb(scene, 'is killed with its launcher and the gateway', () => {
        for (const pid of [stack.app.launcherPid, stack.webPid, stack.gatewayPid]) process.kill(pid, 'SIGKILL');
      });
      await stack.app.launch();
      ledger.webIsBack();
      const records2 = new Records(stack, chance);
      await records2.perform({ creates: 5, renames: 1, deletes: 1 });
      await stack.services.postgres.start();
      await until('the outbox is empty', () => isHealed(stack), 30_000 * slack);
      await balanced(scene, records);
      await balanced(scene, records2);
    },
  },
  {
    id: 'C11',
    title: 'the database flaps every three seconds',
    group: 'stores',
    stage: 'shared',
    async run(scene) {
      const { stack, chance, slack, isQuick, say } = scene;
      const { line } = stack.services;
      const records = new Records(stack, chance);
      scene.onEnd(() => line.heal());
      records.start();
      const since = performance.now();
      for (let round = 0; round < (isQuick ? 2 : 5); round++) {
        line.silence();
        await sleep(FLAP_MS);
        line.heal();
        await sleep(FLAP_MS);
      }
      await records.stop();
      const times = records.calls.filter(({ endedAt }) => endedAt >= since).map(({ ms }) => ms);
      const p95 = quantile(times, 0.95);
      say(`${times.length} calls, p95 ${Math.round(p95)} ms, slowest ${Math.round(Math.max(...times))} ms`);
      check(p95 <= CREATE_P95_MS * slack, `the p95 is ${Math.round(p95)} ms`);
      await balanced(scene, records);
    },
  },
  {
    id: 'C12',
    title: 'others take every connection of the database',
    group: 'stores',
    stage: 'own',
    plan: { services: { postgres: { maxConnections: 12 } } },
    load: { idle: 1 },
    async run(scene) {
      const { stack, chance, slack } = scene;
      const records = new Records(stack, chance);
      const others: postgres.Sql[] = [];
      const free = () => Promise.all(others.splice(0).map((sql) => sql.end({ timeout: 1 })));
      scene.onEnd(free);
      const takeAll = async () => {
        for (let isFull = false; !isFull; ) {
          const sql = postgres(stack.services.postgres.url(), { max: 1, idle_timeout: 0, onnotice: () => undefined });
          try {
            await sql`select pg_terminate_backend(pid) from pg_stat_activity
              where backend_type = 'client backend' and application_name <> 'other' and pid <> pg_backend_pid()`;
            await sql`set application_name = 'other'`;
            others.push(sql);
          } catch {
            isFull = true; // that is the fault
            await sql.end({ timeout: 1 });
          }
        }
      };
      records.start();
      await takeAll();
      await until(
        'web does without the database',
        async () => (await degradedParts(stack)).includes('db'),
        15_000 * slack,
      );
      const since = performance.now();
      await sleep(4_000);
      await records.stop();
      const { p95Ms, maxMs } = records.speed(since);
      check(maxMs <= CALL_MS_MAX * slack, `the slowest call took ${Math.round(maxMs)} ms`);
      check(p95Ms <= OUTAGE_P95_MS * slack, `the p95 is ${Math.round(p95Ms)} ms`);
      await free();
      await balanced(scene, records);
    },
  },
  {
    id: 'C13',
    title: 'the database takes no writes',
    group: 'stores',
    stage: 'shared',
    async run(scene) {
      const { stack, chance } = scene;
      const records = new Records(stack, chance);
      const { postgres: database } = stack.services;
      scene.onEnd(() => database.setReadOnly(false));
      await records.perform({ creates: 5, renames: 2, deletes: 1 });
      await database.setReadOnly(true);
      await records.perform({ creates: 20, renames: 5, deletes: 3 });
      await database.setReadOnly(false);
      await balanced(scene, records);
    },
  },
  {
    id: 'C14',
    title: 'the schema of the database is newer than the code',
    group: 'stores',
    stage: 'own',
    plan: { services: { postgres: {} } },
    load: { idle: 1 },
    async run(scene) {
      const { stack, chance, ledger, slack } = scene;
      const records = new Records(stack, chance);
      await records.perform({ creates: 5, renames: 1, deletes: 1 });
      const table = 'holdfast_migrations';
      await withSql(scene, (sql) =>
        sql.unsafe(`insert into ${table} (hash, created_at) values ('of a later version', 9999999999999)`),
      );
      await whenWeb(scene, 'is killed', () => process.kill(stack.webPid, 'SIGKILL'));
      await until('web refuses the database', async () => (await degradedParts(stack)).includes('db'), 15_000 * slack);
      ledger.webIsBack();
      const before = await stack.services.rows();
      const after = new Records(stack, chance);
      await after.perform({ creates: 5, renames: 1, deletes: 1 });
      check(
        JSON.stringify([...((await stack.services.rows()) ?? [])]) === JSON.stringify([...(before ?? [])]),
        'rows have changed',
      );
      await withSql(scene, (sql) => sql.unsafe(`delete from ${table} where hash = 'of a later version'`));
      await whenWeb(scene, 'is killed', () => process.kill(stack.webPid, 'SIGKILL'));
      await until('web takes the database', () => isHealed(stack), 30_000 * slack);
      ledger.webIsBack();
      await balanced(scene, records);
      await balanced(scene, after);
    },
  },
];
