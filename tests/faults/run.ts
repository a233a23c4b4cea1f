/**
 * `npm run test:faults`: breaks a running Holdfast in every named way and checks the ledger after each. Options:
 * `--group engine` or `stores`, `--case C01` (several, or with commas), `--seeds 3`, `--seed 4711` (one seed, to repeat a failure), `--quick`,
 * `--long` (faults last as long as the fault list says: an hour and more), `--slack 3` (figures that depend on the machine may be so much worse), `--resume file` (what has passed is kept there, and not
 * run again), `--report file` (JSON: passed, failed, skipped). The last line is `N passed, N failed`.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type FaultCase, GROUPS } from './case';
import { CASES } from './cases/all';
import { SMALL_LOAD } from './cases/stores';
import type { LoadPlan } from './load';
import { readProgress } from './progress';
import { Runner } from './runner';
import { running } from './stack';

const SEEDS = 3;
const SEED_END = 2 ** 31;
/** A machine of two cores that does other things as well. */
const QUICK_SLACK = 5;
const FULL_LOAD: LoadPlan = { writers: 5, typists: 5, idle: 5, screens: 3, builds: 2 };
const QUICK_LOAD: LoadPlan = { writers: 4, typists: 3, idle: 2, screens: 2, builds: 1 };
const STORES = { services: { postgres: {}, redis: {}, isOverLine: true } } as const;
const STOP_DEADLINE_MS = 60_000;

const { values: given } = parseArgs({
  options: {
    group: { type: 'string' },
    case: { type: 'string', multiple: true },
    seeds: { type: 'string' },
    seed: { type: 'string' },
    slack: { type: 'string' },
    resume: { type: 'string' },
    report: { type: 'string' },
    quick: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
  },
});

/** A whole number of an option, or its default. */
function whole(name: 'seeds' | 'seed' | 'slack', otherwise: number): number {
  const text = given[name];
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new Error(`--${name} must be a whole number, not ${text}`);
  return number;
}

function chooseCases(): FaultCase[] {
  const { group } = given;
  if (group !== undefined && !GROUPS.some((name) => name === group)) {
    throw new Error(`--group must be one of ${GROUPS.join(', ')}, not ${group}`);
  }
  const ids = (given.case ?? []).flatMap((text) => text.split(','));
  const unknown = ids.filter((id) => !CASES.some((each) => each.id === id));
  if (unknown.length > 0) {
    throw new Error(`--case: there is no ${unknown.join(', ')}; there are ${CASES.map(({ id }) => id).join(' ')}`);
  }
  return CASES.filter((each) => {
    if (group !== undefined && each.group !== group) return false;
    return ids.length > 0 ? ids.includes(each.id) : !given.quick || each.isQuick;
  });
}

function chooseSeeds(): number[] {
  if (given.seed !== undefined) return [whole('seed', 0)];
  return Array.from({ length: whole('seeds', given.quick ? 1 : SEEDS) }, () => randomInt(SEED_END));
}

const progress = readProgress(given.resume ?? null, chooseSeeds());
const runner = new Runner({
  seeds: progress.seeds,
  finished: progress.finished,
  isQuick: given.quick,
  slack: whole('slack', given.quick ? QUICK_SLACK : 1),
  isLong: given.long,
  shared: {
    engine: { plan: {}, load: given.quick ? QUICK_LOAD : FULL_LOAD },
    stores: { plan: STORES, load: SMALL_LOAD },
  },
  say: (line) => console.log(line),
  onPassed: progress.save,
});
let isStopping = false;

/** Ctrl-C: everything that was started is ended. */
async function interrupted(): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  console.log('\nInterrupted: ending what was started.');
  const ended = Promise.allSettled([runner.undo(), ...[...running].map((stack) => stack.stop())]);
  await Promise.race([ended, sleep(STOP_DEADLINE_MS)]);
  process.exit(130);
}

async function main(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void interrupted());
  const startedAt = performance.now();
  await runner.run(chooseCases());
  if (isStopping) return;
  const { passed, failed, skipped } = runner.counts;
  if (given.report !== undefined) {
    mkdirSync(dirname(given.report), { recursive: true });
    writeFileSync(given.report, JSON.stringify(runner.counts));
  }
  console.log(`in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

await main();
