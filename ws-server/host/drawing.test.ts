import { execFileSync } from 'node:child_process';
import { describe, expect, it, vi } from 'vitest';
import { dumpTerminal } from '@/tests/harness/dump';
import { FLOOD_KINDS, floodOutput } from '@/tests/harness/flood-output';
import { randomOutput, seededRandom } from '@/tests/harness/random-output';
import { Drawing } from './drawing';
import { Ring } from './ring';
import { Screen } from './screen';
import { SizeMarks } from './size-marks';

const silent = {
  reply: () => undefined,
  title: () => undefined,
  fault: (error: unknown) => {
    throw error;
  },
};

const RING_BYTES = 4 * 1024 * 1024;

/** A drawing that leaves out, beside a screen that parses every byte. */
class Pair {
  readonly ring = new Ring(RING_BYTES);
  readonly marks = new SizeMarks();
  readonly drawing: Drawing;
  readonly plain: Screen;

  constructor(size = { cols: 80, rows: 24 }) {
    this.drawing = new Drawing(this.ring, this.marks, size, silent);
    this.plain = new Screen(size, silent);
  }

  append(bytes: Uint8Array): void {
    this.ring.append(bytes);
    this.plain.write(bytes);
  }

  resize(size: { cols: number; rows: number }): void {
    this.marks.add(this.ring.end, size);
    this.plain.resize(size);
  }

  expectSame(what: string): void {
    expect(dumpTerminal(this.drawing.drawAll().terminal), what).toEqual(dumpTerminal(this.plain.terminal));
    expect(this.drawing.drawAll().position, what).toBe(this.plain.position);
  }

  dispose(): void {
    this.drawing.dispose();
    this.plain.dispose();
  }
}

/** Cuts a stream at random places and draws what is needed in between, at times also what could wait. */
function feed(pair: Pair, random: () => number, bytes: Buffer): void {
  for (let from = 0; from < bytes.length; ) {
    const length = 1 + Math.floor(random() ** 4 * 70_000);
    pair.append(bytes.subarray(from, from + length));
    from += length;
    if (random() < 0.8) while (pair.drawing.drawNeeded());
    else if (random() < 0.1) pair.drawing.drawSome();
  }
}

describe('Drawing', () => {
  for (const kind of FLOOD_KINDS) {
    it(`S8 what scrolls out need not be drawn: ${kind}`, () => {
      for (let seed = 1; seed <= 4; seed++) {
        const random = seededRandom(seed);
        const size = { cols: 2 + Math.floor(random() * 120), rows: 1 + Math.floor(random() * 40) };
        const pair = new Pair(size);
        pair.append(randomOutput(random, 40, size));
        feed(pair, random, floodOutput(random, kind, 1500 + Math.floor(random() * 4000)));
        pair.expectSame(`${kind}, seed ${seed}`);
        pair.append(randomOutput(random, 40, size));
        pair.expectSame(`${kind}, seed ${seed}, and more`);
        pair.dispose();
      }
    });
  }

  it('S8 random streams of floods, escape sequences and changes of size', () => {
    const leftOut = vi.spyOn(Screen.prototype, 'leaveOut');
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed);
      const size = () => ({ cols: 2 + Math.floor(random() * 120), rows: 1 + Math.floor(random() * 40) });
      let current = size();
      const pair = new Pair(current);
      for (let part = 0; part < 5; part++) {
        feed(pair, random, randomOutput(random, Math.floor(random() ** 2 * 60), current));
        // Most states that forbid to leave something out are rare in random output.
        if (random() < 0.3) pair.append(Buffer.from('\x1b[!p\x1b[?1049l\x1b[r\x1b[?45l\x1b]8;;\x1b\\'));
        const kind = FLOOD_KINDS[Math.floor(random() * FLOOD_KINDS.length)] ?? '';
        feed(pair, random, floodOutput(random, kind, Math.floor(random() * 4000)));
        if (random() < 0.3) {
          current = size();
          pair.resize(current);
        }
        if (random() < 0.3) pair.expectSame(`seed ${seed}, part ${part}`);
      }
      pair.expectSame(`seed ${seed}`);
      pair.dispose();
    }
    expect(leftOut.mock.calls.length).toBeGreaterThan(60);
  });

  const lines = (count: number, text = 'line') =>
    Buffer.from(Array.from({ length: count }, (_, n) => `${text} ${n}\r\n`).join(''));
  const before: Record<string, { text: string; leavesOut: boolean }> = {
    nothing: { text: '', leavesOut: true },
    'a colour': { text: '\x1b[1;31m', leavesOut: true },
    'a saved cursor': { text: '\x1b[3;7H\x1b[35m\x1b7\x1b[H', leavesOut: true },
    'rows below the cursor': { text: `${'below\r\n'.repeat(30)}\x1b[H`, leavesOut: true },
    'line drawing': { text: '\x1b(0', leavesOut: true },
    'insert mode without wraparound': { text: '\x1b[4h\x1b[?7l', leavesOut: true },
    'the alternate screen': { text: 'shell\x1b[?1049h', leavesOut: false },
    'a scroll region at the top': { text: 'top\x1b[1;10r', leavesOut: false },
    'a scroll region at the bottom': { text: 'top\x1b[5r\x1b[24H', leavesOut: false },
    'reverse wraparound': { text: '\x1b[?45h', leavesOut: false },
    'an open link': { text: '\x1b]8;;https://example.org\x1b\\', leavesOut: false },
    'an unfinished sequence': { text: '\x1b[3', leavesOut: false },
    'an unfinished string': { text: '\x1bPq', leavesOut: false },
  };
  for (const [name, { text, leavesOut }] of Object.entries(before)) {
    it(`S8 ${leavesOut ? 'leaves out' : 'draws everything'} behind ${name}`, () => {
      const spy = vi.spyOn(Screen.prototype, 'leaveOut');
      const pair = new Pair();
      pair.append(Buffer.from(text));
      while (pair.drawing.drawSome());
      pair.append(lines(6000));
      pair.drawing.drawNeeded();
      pair.append(lines(10, 'last'));
      pair.expectSame(name);
      expect(spy.mock.calls.length > 0).toBe(leavesOut);
      pair.append(Buffer.from('\x1b8z\x1b[?1049l\x1b]8;;\x1b\\\x1b\\'));
      pair.append(lines(3, 'after'));
      pair.expectSame(`${name}, and more`);
      pair.dispose();
    });
  }

  it('S8 what is not plain is drawn at once, wherever a read cuts it', () => {
    const special = [
      '\x1b[6n',
      '\x1b]2;title\x07',
      '\x1b[?25l',
      '\u009b?25l',
      '\x0e',
      '\x1b7',
      '\x1b[2J',
      '\x1b[A',
      '\x0b',
      '\x7f\x00',
    ];
    for (const text of special) {
      const bytes = Buffer.from(text);
      for (let cut = 0; cut <= bytes.length; cut++) {
        const pair = new Pair();
        pair.append(lines(3000));
        while (pair.drawing.drawNeeded());
        expect(pair.drawing.waiting, text).toBeGreaterThan(0);
        for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
          pair.append(part);
          while (pair.drawing.drawNeeded());
        }
        expect(pair.drawing.waiting, `${JSON.stringify(text)} cut at ${cut}`).toBe(0);
        pair.append(lines(3000));
        pair.expectSame(`${JSON.stringify(text)} cut at ${cut}`);
        pair.dispose();
      }
    }
  });

  it('S8 what follows begins in the first column, also when no line returns to it', () => {
    const spy = vi.spyOn(Screen.prototype, 'leaveOut');
    const pair = new Pair();
    pair.append(Buffer.from('a prompt'));
    while (pair.drawing.drawSome());
    pair.append(Buffer.from(`${'x'.repeat(20_000)}\r\n${'ab\n'.repeat(3000)}`));
    while (pair.drawing.drawNeeded());
    pair.expectSame('stairs');
    expect(spy).toHaveBeenCalledTimes(1);
    while (pair.drawing.drawSome());
    pair.append(Buffer.from('abc\n'.repeat(20_000)));
    while (pair.drawing.drawNeeded());
    pair.expectSame('stairs only');
    expect(spy, 'no place in them is known to be in the first column').toHaveBeenCalledTimes(1);
  });

  const pens = [
    '\x1b[31m\x1b[32m\x1b[31m',
    '\x1b[1m\x1b[22;2m\x1b[1m\x1b[4:3m\x1b[58;5;3m\x1b[24m\x1b[4m',
    '\x1b[38;2;1;2;3m\x1b[m\x1b[44m',
    '\x1b[44m\x1b[0;31m\x1b[01;34m',
    '\x1b[7m\x1b[01;34m\x1b[27m\x1b[7m\x1b[39m',
    '\x1b[3m\x1b[00m\x1b[9m\x1b[;35m',
  ];
  for (const pen of pens) {
    it(`S8 the pen is as it was left: ${JSON.stringify(pen)}`, () => {
      const spy = vi.spyOn(Screen.prototype, 'leaveOut');
      const pair = new Pair();
      pair.append(Buffer.from('\x1b[45;53m'));
      while (pair.drawing.drawSome());
      pair.append(lines(10));
      pair.append(Buffer.from(pen));
      pair.append(lines(6000));
      while (pair.drawing.drawNeeded());
      pair.expectSame(pen);
      expect(spy).toHaveBeenCalled();
    });
  }

  it('S8 a change of size is made on the rows that were there', () => {
    const size = { cols: 250, rows: 10 };
    const pair = new Pair(size);
    pair.append(lines(3000, 'x'.repeat(190)));
    while (pair.drawing.drawNeeded());
    pair.resize({ ...size, rows: 200 });
    pair.append(lines(100));
    pair.expectSame('more rows');
  });

  it('S8 lines so long that nothing can be left out are drawn', () => {
    const pair = new Pair();
    for (let n = 0; n < 60; n++) {
      pair.append(Buffer.from(`${'x'.repeat(50_000)}\r\n`));
      while (pair.drawing.drawNeeded());
      expect(pair.drawing.waiting).toBeLessThanOrEqual(1024 * 1024);
    }
    pair.expectSame('long lines');
  });

  it('S8 recorded output', () => {
    const options = { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 } as const;
    const recorded = [
      execFileSync('git', ['log', '--color=always', '--stat', '-p', '-n', '40'], options),
      execFileSync('ls', ['--color=always', '-lR', 'node_modules/zod', 'node_modules/ws'], options),
      execFileSync('grep', ['-rn', '--color=always', 'export', 'ws-server', 'lib'], options),
    ];
    const spy = vi.spyOn(Screen.prototype, 'leaveOut');
    for (const [n, bytes] of recorded.entries()) {
      const pair = new Pair();
      const random = seededRandom(n);
      const onTerminal = Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
      for (let turn = 0; turn < 2; turn++) feed(pair, random, onTerminal);
      pair.expectSame(`recording ${n}`);
      pair.dispose();
    }
    expect(spy.mock.calls.length).toBeGreaterThanOrEqual(recorded.length);
  });
});
