/** What became of each case, as a table at the end of a run. */
import type { FaultCase } from './case';

/** How one case ended with one seed. A failure has its reason, and the command that repeats it. */
export type Outcome = { seed: number; seconds: number; failure?: { reason: string; repeat: string } };

/** Outcomes by case, in the order in which the cases came. */
export class Summary {
  readonly #rows = new Map<string, { title: string; note: string; earlier: number; outcomes: Outcome[] }>();

  add(each: FaultCase, outcome: Outcome): void {
    this.#row(each).outcomes.push(outcome);
  }

  /** It passed with so many seeds in an earlier run that this one goes on with. */
  passedEarlier(each: FaultCase, seeds: number): void {
    this.#row(each).earlier += seeds;
  }

  skipped(each: FaultCase, obstacle: string): void {
    this.#row(each).note = `skipped: ${obstacle}`;
  }

  /** A line for each case, and for one that failed its first reason and how to repeat it. */
  lines(): string[] {
    return [...this.#rows].flatMap(([id, { title, note, earlier, outcomes }]) => {
      if (note !== '') return [`${id}  ${note}`];
      const failed = outcomes.filter(({ failure }) => failure);
      const passed = outcomes.length - failed.length + earlier;
      const seconds = outcomes.map((each) => each.seconds.toFixed(0)).join(' + ') || '0';
      const line = `${id}  ${passed} of ${passed + failed.length} seeds passed, ${seconds} s  ${title}`;
      const first = failed[0];
      if (!first?.failure) return [line];
      return [line, `     seed ${first.seed}: ${first.failure.reason}`, `     ${first.failure.repeat}`];
    });
  }

  #row({ id, title }: FaultCase) {
    const row = this.#rows.get(id) ?? { title, note: '', earlier: 0, outcomes: [] };
    this.#rows.set(id, row);
    return row;
  }
}
