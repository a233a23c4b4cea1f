/** The table at the end: medians of each case beside the naive baseline, and whether the target is reached. */
import { median, shown } from './statistics';

/** What one run of a case measured, by name. Shares, times and sizes have their unit in the row that shows them. */
export type Values = Record<string, number>;

/** Medians of the two peers; NaN where one did not take part. */
export type Pair = { naive: number; holdfast: number };

/** One line of the table. */
export type Row = {
  label: string;
  unit: string;
  /** The name of the value. */
  value: string;
  /** How Holdfast is set beside naive. */
  beside: 'ratio' | 'difference' | 'nothing';
  /** What is to be reached, in words; absent where a row only informs. */
  target?: { text: string; isReached: (pair: Pair, all: Values) => boolean };
};

/** A filled line. */
export type Line = {
  label: string;
  naive: string;
  holdfast: string;
  beside: string;
  target: string;
  reached: 'yes' | 'NO' | '';
};

const HEAD: Line = {
  label: 'case',
  naive: 'naive',
  holdfast: 'Holdfast',
  beside: 'ratio or difference',
  target: 'target',
  reached: '',
};

/** The median of each value over the rounds. */
export function mediansOf(rounds: readonly Values[]): Values {
  const names = new Set(rounds.flatMap((values) => Object.keys(values)));
  return Object.fromEntries(
    [...names].map((name) => [name, median(rounds.map((values) => values[name] ?? Number.NaN))]),
  );
}

/** Fills a row with the medians of both peers. */
export function fill(row: Row, naive: Values, holdfast: Values): Line {
  const pair = { naive: naive[row.value] ?? Number.NaN, holdfast: holdfast[row.value] ?? Number.NaN };
  return {
    label: `${row.label}, ${row.unit}`,
    naive: shown(pair.naive),
    holdfast: shown(pair.holdfast),
    beside: besideOf(row.beside, pair),
    target: row.target?.text ?? '',
    reached: row.target ? (row.target.isReached(pair, holdfast) ? 'yes' : 'NO') : '',
  };
}

function besideOf(kind: Row['beside'], { naive, holdfast }: Pair): string {
  if (kind === 'nothing' || Number.isNaN(naive) || Number.isNaN(holdfast)) return '';
  if (kind === 'ratio') return naive === 0 ? '' : `× ${(holdfast / naive).toFixed(2)}`;
  const difference = holdfast - naive;
  return `${difference < 0 ? '−' : '+'} ${shown(Math.abs(difference))}`;
}

/** The lines as text in columns, Markdown that also reads well in a terminal. */
export function format(lines: readonly Line[]): string {
  const cells = [HEAD, ...lines].map(({ label, naive, holdfast, beside, target, reached }, n) => [
    label,
    naive,
    holdfast,
    beside,
    target,
    n === 0 ? 'reached' : reached,
  ]);
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const text = cells.map((row) => `| ${row.map((cell, column) => padded(cell, column, widths)).join(' | ')} |`);
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}${column < 4 ? ':' : '-'}`)).join('|')}|`;
  return [text[0], rule, ...text.slice(1)].join('\n');
}

function padded(cell: string, column: number, widths: readonly number[]): string {
  const width = widths[column] ?? 0;
  return column > 0 && column < 4 ? cell.padStart(width) : cell.padEnd(width);
}
