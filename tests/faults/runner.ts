/** Runs fault cases one after the other: a seed for each, a stage where they need one, and what became of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Alone, Chance, type FaultCase, type Group, type Scene } from './case';
import { Ledger } from './ledger';
import { Load, type LoadPlan } from './load';
import { Stack, type StackPlan } from './stack';
import { Summary } from './summary';

const CASE_DEADLINE_MS = 180_000;
/** Before each fault the load runs undisturbed for a time up to this (ms). */
const STEADY_MS = 1_500;

/** How cases are run. */
export type RunOptions = {
  seeds: readonly number[];
  /** Pairs of case and seed, `C01 4711`, that passed in an earlier run; the new ones are added. */
  finished: Set<string>;
  isQuick: boolean;
  isLong: boolean;
  slack: number;
  /** Of the stack that the cases of a group share. */
  shared: Readonly<Record<Group, { plan: StackPlan; load: LoadPlan }>>;
  say(line: string): void;
  /** Called after each case that passed. */
  onPassed(): void;
};

/** A stack and its load, for as long as cases can share it. */
type Stage = { stack: Stack; load: Load; ledger: Ledger };

async function openStage(plan: StackPlan, loadPlan: LoadPlan, chance: Chance): Promise<Stage> {
  const stack = await Stack.start(plan);
  try {
    const load = await Load.start(stack, loadPlan, chance);
    return { stack, load, ledger: new Ledger(stack, load) };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

async function closeStage({ stack, load, ledger }: Stage): Promise<void> {
  load.stop();
  ledger.close();
  await stack.stop();
}

function within<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${deadlineMs} ms`)), deadlineMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** One run. `undo` is for the case that it is interrupted. */
export class Runner {
  readonly counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #options: RunOptions;
  readonly #summary = new Summary();
  /** What the running case has to undo, the last one first. */
  readonly #undo: (() => unknown)[] = [];
  #shared: Stage | null = null;
  #sharedBy: Group | null = null;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  async run(cases: readonly FaultCase[]): Promise<void> {
    const able = cases.filter((each) => {
      const obstacle = each.obstacle?.() ?? null;
      if (obstacle === null) return true;
      this.counts.skipped += 1;
      this.#summary.skipped(each, obstacle);
      this.#options.say(`${each.id} skipped: ${obstacle}`);
      return false;
    });
    for (const seed of this.#options.seeds) {
      const open = able.filter(({ id }) => !this.#options.finished.has(`${id} ${seed}`));
      this.counts.passed += able.length - open.length;
      for (const each of able) if (!open.includes(each)) this.#summary.passedEarlier(each, 1);
      for (const each of open) await this.#one(each, seed);
      await this.#closeShared();
    }
    if (cases.length > 0) this.#options.say('');
    for (const line of this.#summary.lines()) this.#options.say(line);
  }

  /** Undoes what the running case has done to the machine. */
  async undo(): Promise<void> {
    for (let step = this.#undo.pop(); step; step = this.#undo.pop()) await step();
  }

  async #one(each: FaultCase, seed: number): Promise<void> {
    const { say, isQuick, isLong, slack, finished, onPassed } = this.#options;
    const startedAt = performance.now();
    say(`${each.id} ${each.title} (seed ${seed})`);
    // Each case has its own numbers, so that it repeats alone as it ran among the others.
    const chance = new Chance(seed ^ Math.imul(Number.parseInt(each.id.slice(1), 10), 0x9e3779b1));
    const alone: Alone = {
      chance,
      isQuick,
      isLong,
      slack,
      say: (line) => say(`  ${line}`),
      onEnd: (step) => this.#undo.push(step),
    };
    const elapsed = () => (performance.now() - startedAt) / 1000;
    let stage: Stage | null = null;
    try {
      if (each.stage !== 'alone') stage = await this.#stageOf(each, chance);
      await within((each.deadlineMs ?? CASE_DEADLINE_MS) + STEADY_MS, this.#perform(each, alone, stage));
      if (stage && each.stage === 'own') await closeStage(stage);
      this.counts.passed += 1;
      finished.add(`${each.id} ${seed}`);
      onPassed();
      this.#summary.add(each, { seed, seconds: elapsed() });
      say(`  passed in ${elapsed().toFixed(1)} s`);
    } catch (error) {
      await this.#failed(each, { seed, seconds: elapsed() }, stage, error);
    }
  }

  async #perform(each: FaultCase, alone: Alone, stage: Stage | null): Promise<void> {
    try {
      if (each.stage === 'alone') return await each.run(alone);
      if (!stage) throw new Error(`${each.id} has no stage`);
      const scene: Scene = { ...alone, ...stage };
      await scene.ledger.begin();
      await sleep(alone.chance.between(0.2, 1) * STEADY_MS);
      await each.run(scene);
    } finally {
      await this.undo();
    }
    await stage.ledger.settle(this.#options.slack);
    if (each.stage === 'shared') await stage.load.renew();
  }

  async #failed(
    each: FaultCase,
    { seed, seconds }: { seed: number; seconds: number },
    stage: Stage | null,
    error: unknown,
  ): Promise<void> {
    const { say, isQuick } = this.#options;
    this.counts.failed += 1;
    say(`  FAILED: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
    if (stage) say(`  logs: ${stage.stack.keepLogs(`${each.id}-${seed}`)}`);
    const repeat = `npm run test:faults -- --case ${each.id} --seed ${seed}${isQuick ? ' --quick' : ''}`;
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    this.#summary.add(each, { seed, seconds, failure: { reason, repeat } });
    say(`  repeat it with: ${repeat}`);
    await this.undo();
    // What a failure leaves behind is no ground for the next case.
    if (stage && each.stage === 'own') await closeStage(stage);
    else await this.#closeShared();
  }

  async #stageOf(each: Exclude<FaultCase, { stage: 'alone' }>, chance: Chance): Promise<Stage> {
    if (each.stage === 'own') return openStage(each.plan, each.load, chance);
    if (this.#sharedBy !== each.group) await this.#closeShared();
    const { plan, load } = this.#options.shared[each.group];
    this.#sharedBy = each.group;
    this.#shared ??= await openStage(plan, load, chance);
    return this.#shared;
  }

  async #closeShared(): Promise<void> {
    const stage = this.#shared;
    this.#shared = null;
    if (stage) await closeStage(stage);
  }
}
