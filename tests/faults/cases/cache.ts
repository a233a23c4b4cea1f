/** Faults of Redis while people work on records, with the database behind it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@/tests/harness/processes';
import { check, type FaultCase, quantile, type Scene } from '../case';
import { Records } from '../records';
import { balanced, degradedParts, isHealed } from './stores';

const SLOW_CALLS_MAX = 3;
const OUTAGE_P95_MS = 50;
/** While Redis answers with errors only (ms). */
const FAULTY_P95_MS = 300;
/** Calls that take so many times as long are noticed. */
const NOTICED = 1.5;
const HOLD_MS = 4_000;

/** People work for some seconds of the fault; nobody may notice. */
async function unnoticed(scene: Scene, fault: () => unknown, heal: () => unknown): Promise<void> {
  const { stack, chance, slack, say } = scene;
  const records = new Records(stack, chance);
  scene.onEnd(heal);
  records.start();
  await sleep(HOLD_MS / 2);
  const { p95Ms: before } = records.speed(0);
  const since = performance.now();
  await fault();
  await sleep(HOLD_MS);
  await records.stop();
  const { slow, p95Ms, count } = records.speed(since);
  say(`${count} calls, ${slow} over 300 ms, then p95 ${Math.round(p95Ms)} ms; before ${Math.round(before)} ms`);
  check(slow <= SLOW_CALLS_MAX * slack, `${slow} calls took over 300 ms`);
  const limitMs = Math.max(OUTAGE_P95_MS, before * NOTICED);
  check(p95Ms <= limitMs * slack, `the p95 is ${Math.round(p95Ms)} ms, before it was ${Math.round(before)} ms`);
  const refused = records.calls.filter(({ status }) => status >= 400);
  check(refused.length === 0, `${refused.length} calls were refused: ${JSON.stringify(refused[0])}`);
  const parts = await degradedParts(stack);
  check(parts.includes('redis'), `web says that it does without ${parts.join(', ') || 'nothing'}`);
  await heal();
  await balanced(scene, records);
}

/** Lines of web's log that warn of something. */
function warnings({ stack }: Scene): number {
  const names = readdirSync(stack.logsDir).filter((name) => name.startsWith('web'));
  const lines = names.flatMap((name) => readFileSync(join(stack.logsDir, name), 'utf8').split('\n'));
  return lines.filter((line) => /"level":(40|50)/.test(line)).length;
}

export const cacheCases: FaultCase[] = [
  {
    id: 'C15',
    title: 'Redis is killed in use, and comes back',
    group: 'stores',
    stage: 'shared',
    isQuick: true,
    async run(scene) {
      const { redis } = scene.stack.services;
      await unnoticed(
        scene,
        () => redis.kill(),
        () => redis.restart(),
      );
    },
  },
  {
    id: 'C16',
    title: 'Redis forgets everything',
    group: 'stores',
    stage: 'shared',
    async run(scene) {
      const { stack, chance } = scene;
      const records = new Records(stack, chance);
      records.start();
      for (let round = 0; round < 5; round++) {
        await sleep(chance.between(200, 800));
        stack.services.redis.command('FLUSHALL');
      }
      await records.stop();
      await balanced(scene, records);
    },
  },
  {
    id: 'C18',
    title: 'Redis hangs',
    group: 'stores',
    stage: 'shared',
    async run(scene) {
      const { redis } = scene.stack.services;
      await unnoticed(
        scene,
        () => redis.freeze(),
        () => redis.thaw(),
      );
    },
  },
  {
    id: 'C19',
    title: 'Redis answers that it is full, read-only, or closed to us',
    group: 'stores',
    stage: 'shared',
    async run(scene) {
      const { stack, chance, slack, say } = scene;
      const { redis } = stack.services;
      const faults = [
        { begin: ['CONFIG', 'SET', 'maxmemory', '1'], end: ['CONFIG', 'SET', 'maxmemory', '0'] },
        { begin: ['REPLICAOF', '127.0.0.1', '1'], end: ['REPLICAOF', 'NO', 'ONE'] },
      ];
      for (const { begin, end } of faults) {
        const records = new Records(stack, chance);
        scene.onEnd(() => redis.command(...end));
        const before = warnings(scene);
        redis.command(...begin);
        records.start();
        await until(
          'web does without Redis',
          async () => (await degradedParts(stack)).includes('redis'),
          10_000 * slack,
        );
        await sleep(HOLD_MS);
        await records.stop();
        const p95 = quantile(
          records.calls.map(({ ms }) => ms),
          0.95,
        );
        const told = warnings(scene) - before;
        say(`${begin.join(' ')}: ${records.calls.length} calls, p95 ${Math.round(p95)} ms, ${told} warnings`);
        check(p95 <= FAULTY_P95_MS * slack, `the p95 is ${Math.round(p95)} ms`);
        check(told <= 5, `${told} lines of the log warn of one fault`);
        redis.command(...end);
        await until('all is normal', () => isHealed(stack), 15_000 * slack);
        await balanced(scene, records);
      }
    },
  },
];
