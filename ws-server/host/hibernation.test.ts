import { describe, expect, it } from 'vitest';
import { dumpTerminal } from '@/tests/harness/dump';
import { FLOOD_KINDS, floodOutput } from '@/tests/harness/flood-output';
import { randomOutput, seededRandom } from '@/tests/harness/random-output';
import { Drawing } from './drawing';
import { Output } from './output';
import { Ring } from './ring';
import { Screen } from './screen';
import { SizeMarks } from './size-marks';

const RING_BYTES = 4 * 1024 * 1024;

/** A drawing that is put away between the parts of a stream, beside a screen that never is; both tell what they answer. */
class Pair {
  readonly told: string[] = [];
  readonly expected: string[] = [];
  readonly ring = new Ring(RING_BYTES);
  readonly marks = new SizeMarks();
  readonly drawing: Drawing;
  readonly plain: Screen;

  constructor(size = { cols: 80, rows: 24 }) {
    this.drawing = new Drawing(this.ring, this.marks, size, eventsInto(this.told));
    this.plain = new Screen(size, eventsInto(this.expected));
  }

  append(bytes: Uint8Array): void {
    this.ring.append(bytes);
    this.plain.write(bytes);
    while (this.drawing.drawSome());
  }

  resize(size: { cols: number; rows: number }): void {
    this.marks.add(this.ring.end, size);
    this.plain.resize(size);
    this.drawing.drawSome();
  }

  differs(): boolean {
    const screen = this.drawing.drawAll();
    try {
      expect(dumpTerminal(screen.terminal)).toEqual(dumpTerminal(this.plain.terminal));
      expect(screen.title).toBe(this.plain.title);
      expect(this.told).toEqual(this.expected);
      return false;
    } catch {
      return true;
    }
  }

  dispose(): void {
    this.drawing.dispose();
    this.plain.dispose();
  }
}

function eventsInto(told: string[]) {
  return {
    reply: (text: string) => told.push(`reply ${text}`),
    title: (text: string) => told.push(`title ${text}`),
    fault: (error: unknown) => {
      throw error;
    },
  };
}

const QUERIES =
  '\x1b[6n\x1b[?6n\x1b]4;1;?\x07\x1b]11;?\x07\x1b[?25$p\x1b[?7$p\x1b[c\x1b[18t\x1bP$qm\x1b\\\x1bP$qr\x1b\\';

const STATES: Record<string, string> = {
  'an empty screen': '',
  'a prompt': '\x1b]0;user@host: ~\x07\x1b[?2004h\x1b[01;32muser@host\x1b[00m:\x1b[01;34m~\x1b[00m$ ',
  'a prompt behind a long build log': `${'\x1b[32m✓\x1b[39m built src/index.ts in 12 ms\r\n'.repeat(1500)}$ `,
  'wrapped lines, the first of which began above': `${'0123456789'.repeat(30)}\r\n`.repeat(600),
  'wide characters, clusters and combining characters': '漢字かな\r\n👩‍👩‍👧‍👦 🇫🇷 e\u0301\r\n'.repeat(40),
  'a program on the alternate screen':
    'shell$ vim\r\n\x1b[?1049h\x1b[?1h\x1b=\x1b[2;24r\x1b[?25l\x1b[1;1H\x1b[7m title \x1b[m\x1b[3;3Htext\x1b[?25h\x1b[?1002h\x1b[?1006h',
  'attributes of all kinds':
    '\x1b[1;3;4:3;58;5;9;7mbold\x1b[m \x1b[38;2;1;2;3;48;5;200mcolours\x1b[0m\x1b[44m\x1b[K\x1b[m',
  'a scroll region, origin mode and tab stops': '\x1b[3g\x1b[5G\x1bH\x1b[2;9r\x1b[?6h\x1b[3;3H',
  'a saved cursor and line drawing': '\x1b[3;7H\x1b[35m\x1b7\x1b[m\x1b(0lqk\x1b)0\x0e',
  links:
    '\x1b]8;;https://example.org\x1b\\here\x1b]8;;\x1b\\ and \x1b]8;id=7;https://example.org\x1b\\there\x1b]8;;\x1b\\\r\n',
  'its own colours': '\x1b]4;1;rgb:12/34/56\x1b\\\x1b]11;#102030\x07\x1b]2;a title\x07',
};

describe('hibernation', () => {
  for (const [name, text] of Object.entries(STATES)) {
    it(`S9 puts away and brings back: ${name}`, () => {
      const pair = new Pair();
      pair.append(Buffer.from(text));
      expect(pair.drawing.hibernate()).toBe(true);
      expect(pair.drawing.isHibernated).toBe(true);
      expect(pair.drawing.bytes).toBeLessThan(32 * 1024);
      expect(pair.drawing.snapshot().snapshot).toMatchObject(pair.plain.snapshot(0));
      expect(pair.drawing.isHibernated, 'a snapshot wakes nothing').toBe(true);
      expect(pair.differs()).toBe(false);
      expect(pair.drawing.hibernate()).toBe(true);
      pair.append(Buffer.from(QUERIES));
      expect(pair.told.length).toBeGreaterThan(5);
      pair.append(Buffer.from('Ab\u0301\x1b[2bé漢\r\n\tnext\x1b[?1049l\x1b8z\x1b[?6l\x1b[r\x1b[99;99H\r\nend'));
      expect(pair.differs()).toBe(false);
      pair.dispose();
    });
  }

  it('S9 random streams: put away anywhere, then more output and other sizes, gives the same screen', () => {
    const differing: number[] = [];
    let [hibernated, refused] = [0, 0];
    for (let seed = 1; seed <= 150; seed++) {
      const random = seededRandom(seed);
      const size = () => ({ cols: 2 + Math.floor(random() * 100), rows: 1 + Math.floor(random() * 30) });
      let current = size();
      const pair = new Pair(current);
      for (let part = 0; part < 4; part++) {
        pair.append(randomOutput(random, Math.floor(random() * 80), current));
        const kind = FLOOD_KINDS[Math.floor(random() * FLOOD_KINDS.length)] ?? '';
        if (random() < 0.3) pair.append(floodOutput(random, kind, Math.floor(random() * 1500)));
        if (pair.drawing.hibernate()) hibernated++;
        else refused++;
        if (random() < 0.5) {
          current = size();
          pair.resize(current);
        }
      }
      pair.append(Buffer.from(QUERIES));
      if (pair.differs()) differing.push(seed);
      pair.dispose();
    }
    expect(differing).toEqual([]);
    // The rest is in states that a snapshot cannot bring back, as a pen that underlines in a style but not at all.
    expect(hibernated).toBeGreaterThan(refused);
  });

  it('S9 a character or sequence under way keeps the screen awake', () => {
    for (const text of ['\x1b', '\x1b[3', '\x1b]2;ti', '\x1bPq', '\u00e9', '漢']) {
      const pair = new Pair();
      const bytes = Buffer.from(text);
      pair.append(bytes[0] === 0x1b ? bytes : bytes.subarray(0, -1));
      expect(pair.drawing.hibernate(), JSON.stringify(text)).toBe(false);
      expect(pair.drawing.isHibernated).toBe(false);
      pair.dispose();
    }
  });

  it('S9 H11 an idle session hibernates within 10 s, and keeps at most 64 KiB of raw output after 30 s', async () => {
    const told: string[] = [];
    const flushed = { count: 0 };
    const output = new Output(
      { cols: 80, rows: 24 },
      {
        ...eventsInto(told),
        flush: () => {
          flushed.count++;
        },
        pause: () => undefined,
        drained: () => undefined,
        unwritten: () => 0,
      },
    );
    const text = 'some output\r\n'.repeat(20_000);
    output.append(Buffer.from(text));
    await expect.poll(() => flushed.count).toBeGreaterThan(0);
    const now = Date.now();
    expect(output.rest(now + 1_000)).toBe(false);
    expect(output.isHibernated).toBe(false);
    expect(output.bytes).toBeGreaterThan(text.length);
    expect(output.rest(now + 10_000)).toBe(true);
    expect(output.isHibernated).toBe(true);
    expect(output.rest(now + 11_000), 'there is nothing more to do').toBe(false);
    while (output.rest(now + 40_000));
    expect(output.ring.end - output.ring.start).toBeLessThanOrEqual(64 * 1024);
    expect(output.bytes).toBeLessThan(80 * 1024);
    output.append(Buffer.from('awake'));
    expect(output.lines(1)).toEqual(['awake']);
    expect(output.isHibernated).toBe(false);
    // Memory may be short in the middle of a flood: what is not drawn yet stays.
    const flood = Array.from({ length: 50_000 }, (_, n) => `line ${n}\r\n`).join('');
    output.append(Buffer.from(`\r\n${flood}end`));
    output.trim();
    expect(output.lines(3)).toEqual(['line 49998', 'line 49999', 'end']);
    output.dispose();
  });
});
