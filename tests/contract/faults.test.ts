/** The fault tests themselves: that their checkers find what is wrong, and that their runner tells and keeps what became of a case. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Chance, type FaultCase } from '@/tests/faults/case';
import { CASES } from '@/tests/faults/cases/all';
import { readProgress } from '@/tests/faults/progress';
import { Runner } from '@/tests/faults/runner';
import { Typist } from '@/tests/faults/typist';
import { WrittenLines } from '@/tests/faults/written';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-faults-test-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('N5 the checker of output', () => {
  const line = (n: number) =>
    `w1 ${String(n).padStart(8, '0')} ${(Math.imul(n, 2_654_435_761) >>> 0).toString(16).padStart(8, '0')} --\r\n`;
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => line(from + index)).join('');
  const read = (...parts: (string | { isAnnounced: boolean })[]) => {
    const written = new WrittenLines('w1');
    written.snapshot(true);
    for (const part of parts) {
      if (typeof part === 'string') written.push(Buffer.from(part));
      else written.snapshot(part.isAnnounced);
    }
    return written.faults;
  };

  test('N5 takes every line once, in pieces, and an announced gap', () => {
    expect(read('hf% go\r\n', lines(1, 5).slice(0, -10), lines(1, 5).slice(-10), lines(6, 9))).toEqual([]);
    expect(read(lines(1, 5), { isAnnounced: true }, lines(100, 103).slice(7))).toEqual([]);
  });

  test('N5 finds a hole, a repeat, a changed byte, a torn line and a gap that nobody announced', () => {
    expect(read(lines(1, 5), lines(7, 8))).toEqual(['w1: line 7 comes right after line 5']);
    expect(read(lines(1, 5), lines(5, 6))).toEqual(['w1: line 5 comes after line 5']);
    expect(read(lines(1, 4), line(5).replace('00000005', '00000006'))).toContain('w1: line 6 is changed');
    expect(read(lines(1, 5), line(6).slice(5), lines(7, 8))).toHaveLength(2);
    expect(read(lines(1, 5), { isAnnounced: false }, lines(9, 10))).toHaveLength(1);
    expect(read(lines(1, 5), { isAnnounced: true }, lines(3, 10))).toHaveLength(1);
  });
});

describe('N5 the checker of input', () => {
  /** A typist with two lines sent, and the INPUT frames that carried them. */
  const typed = () => {
    const file = join(directory, 'canary.log');
    const typist = new Typist('t1', file, new Chance(1));
    const ids: string[] = [];
    const connection = { getSnapshot: () => ({ unsent: null }), sendUnsent() {}, discardUnsent() {} };
    typist.connect({
      connection,
      type(text) {
        ids.push(text.trim());
        typist.listener.onSent?.(ids.length, Buffer.from(text));
        return true;
      },
    });
    typist.line();
    typist.line();
    const [first = '', second = ''] = ids;
    return { typist, file, first, second };
  };

  test('N5 takes lines that arrived once, and asks nothing of a session that died', () => {
    const { typist, file, first, second } = typed();
    typist.listener.onReceipt?.(2);
    writeFileSync(file, `${first}\n${second}\n`);
    expect(typist.faults({ isLost: false })).toEqual([]);
    writeFileSync(file, `${first}\n`);
    expect(typist.faults({ isLost: true })).toEqual([]);
  });

  test('N5 finds lost, vanished, repeated, swapped and foreign lines', () => {
    const { typist, file, first, second } = typed();
    typist.listener.onReceipt?.(1);
    const faults = (content: string) => {
      writeFileSync(file, content);
      return typist.faults({ isLost: false }).join('\n');
    };
    expect(faults(`${second}\n`)).toContain(`${first} was receipted and is not in the canary`);
    expect(faults(`${first}\n`)).toContain(`${second} is neither delivered nor shown as unsent`);
    expect(faults(`${first}\n${first}\n${second}\n`)).toContain('delivered 2 times');
    expect(faults(`${second}\n${first}\n`)).toContain('out of order');
    expect(faults(`${first}\n${second}\nrm -rf\n`)).toContain('foreign bytes');
    expect(faults(`${first}\n${second}`)).toContain('ends inside a line');
  });
});

describe('the runner', () => {
  const alone = (id: string, run: () => Promise<void>, obstacle?: () => string | null): FaultCase => ({
    id,
    title: 'a case',
    group: 'engine',
    stage: 'alone',
    run,
    ...(obstacle && { obstacle }),
  });
  const start = (file: string | null, seeds: number[]) => {
    const progress = readProgress(file, seeds);
    const said: string[] = [];
    const runner = new Runner({
      ...progress,
      isQuick: false,
      slack: 1,
      isLong: false,
      shared: { engine: { plan: {}, load: {} }, stores: { plan: {}, load: {} } },
      say: (line) => said.push(line),
      onPassed: progress.save,
    });
    return { runner, said, progress };
  };

  test('N6 a failure tells its seed and how to repeat it, and what it did is undone', async () => {
    const { runner, said } = start(null, [4711]);
    let isUndone = false;
    const broken: FaultCase = {
      ...alone('x98', async () => undefined),
      stage: 'alone',
      run: async ({ onEnd }) => {
        onEnd(() => {
          isUndone = true;
        });
        throw new Error('it broke');
      },
    };
    await runner.run([broken, alone('x99', async () => undefined)]);
    expect(runner.counts).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(said.join('\n')).toContain('it broke');
    expect(said.slice(-4)).toEqual([
      'x98  0 of 1 seeds passed, 0 s  a case',
      '     seed 4711: it broke',
      '     npm run test:faults -- --case x98 --seed 4711',
      'x99  1 of 1 seeds passed, 0 s  a case',
    ]);
    expect(isUndone).toBe(true);
  });

  test('N6 what has passed is not run again, and the seeds stay', async () => {
    const file = join(directory, 'progress.json');
    const runs: string[] = [];
    let isBroken = true;
    const cases = [
      alone('x98', async () => void runs.push('x98')),
      alone('x99', async () => {
        runs.push('x99');
        if (isBroken) throw new Error('not yet');
      }),
    ];
    await start(file, [1, 2]).runner.run(cases);
    expect(runs).toEqual(['x98', 'x99', 'x98', 'x99']);
    isBroken = false;
    runs.length = 0;
    const again = start(file, [3, 4]);
    expect(again.progress.seeds).toEqual([1, 2]);
    await again.runner.run(cases);
    expect(runs).toEqual(['x99', 'x99']);
    expect(again.runner.counts).toEqual({ passed: 4, failed: 0, skipped: 0 });
    expect(again.said.at(-2)).toBe('x98  2 of 2 seeds passed, 0 s  a case');
    expect(start(file, [5, 6, 7]).progress.seeds).toEqual([1, 2, 5]);
  });

  test('N7 what cannot run here is skipped with its reason', async () => {
    const { runner, said } = start(null, [1]);
    const broken = async () => {
      throw new Error('it ran');
    };
    await runner.run([alone('x98', broken, () => 'it needs the moon'), alone('x99', async () => undefined)]);
    expect(runner.counts).toEqual({ passed: 1, failed: 0, skipped: 1 });
    expect(said).toContain('x98 skipped: it needs the moon');
    expect(said).toContain('x98  skipped: it needs the moon');
  });

  test('N7 every case of the engine is there once, and those of the short run need nothing special', () => {
    const ids = CASES.filter(({ group }) => group === 'engine').map(({ id }) => id);
    const named = 'C01 C02 C03 C04 C24 C25 C26 C27 C28 C29 C30 C31 C32 C33 C35 C36 C38 C40 C41 C42 C43 C44';
    expect(ids.join(' ')).toBe(named);
    expect(CASES.filter(({ isQuick, obstacle }) => isQuick && obstacle)).toEqual([]);
    expect(existsSync('tests/faults/programs/writer.sh')).toBe(true);
  });
});
