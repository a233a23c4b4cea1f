/** What a fault case is made of, and what it may use. */
import { seededRandom } from '@/tests/harness/random-output';
import type { Ledger } from './ledger';
import type { Load, LoadPlan } from './load';
import type { Stack, StackPlan } from './stack';

/** Groups of cases; each case belongs to one. */
export const GROUPS = ['engine', 'stores'] as const;
export type Group = (typeof GROUPS)[number];

/** Chance that repeats: the same seed gives the same choices in the same order. */
export class Chance {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
  }

  /** A number from `from` to `to`, without `to`. */
  between(from: number, to: number): number {
    return from + this.#next() * (to - from);
  }

  /** A whole number below `end`. */
  below(end: number): number {
    return Math.floor(this.#next() * end);
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.below(list.length)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }

  /** True in that share of the times. */
  happens(share: number): boolean {
    return this.#next() < share;
  }
}

/** What every case has. */
export type Alone = {
  chance: Chance;
  /** The short run, which is part of `npm test`. */
  isQuick: boolean;
  /** The run of a night: as many rounds and as much time as the fault list says. */
  isLong: boolean;
  /** A figure that depends on the machine's speed is multiplied by this before it is asserted. */
  slack: number;
  /** One line in the report, mostly a figure. */
  say(line: string): void;
  /** Run at the end of the case, also when it fails, the last one first. */
  onEnd(undo: () => unknown): void;
};

/** What a case has that runs on a loaded product. */
export type Scene = Alone & { stack: Stack; load: Load; ledger: Ledger };

type About = {
  id: string;
  title: string;
  group: Group;
  /** Part of the short run. */
  isQuick?: true;
  /** Why it cannot run on this machine, or null. */
  obstacle?: () => string | null;
  /** It fails when it takes longer (ms). */
  deadlineMs?: number;
};

/**
 * One fault. `shared`: on the stack and the load that all cases of a group use; `own`: on a stack with settings of its own;
 * `alone`: it starts by itself what it needs.
 */
export type FaultCase = About &
  (
    | { stage: 'shared'; run(scene: Scene): Promise<void> }
    | { stage: 'own'; plan: StackPlan; load: LoadPlan; run(scene: Scene): Promise<void> }
    | { stage: 'alone'; run(scene: Alone): Promise<void> }
  );

/** Fails the case unless the condition holds. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** The value below which that share of the values lies; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
