import { closeSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeViewerFrame, type ViewerFrame } from '@/lib/protocol/wire';
import { dumpTerminal } from '@/tests/harness/dump';
import { EXIT, journalsPerTest, meta, SIZE, silent } from '@/tests/harness/journals';
import { randomOutput, seededRandom } from '@/tests/harness/random-output';
import { FrameReader } from '@/ws-server/link';
import { listSegments, readSegment } from './journal-files';
import { JournalReader } from './journal-reader';
import { prefaceOf } from './preface';
import { Screen } from './screen';
import { screenOf, Tape } from './tape';

const { recorded } = journalsPerTest();

async function readerOf(path: string): Promise<JournalReader> {
  const reader = await JournalReader.open(path);
  if (!reader) throw new Error('no journal');
  return reader;
}

/** A screen after the whole stream. */
function played(parts: readonly Uint8Array[]): Screen {
  const screen = new Screen(SIZE, silent);
  for (const part of parts) screen.write(part);
  return screen;
}

function framesOf(bytes: Buffer): ViewerFrame[] {
  const frames: ViewerFrame[] = [];
  new FrameReader((frame) => {
    const decoded = decodeViewerFrame(frame);
    if (decoded) frames.push(decoded);
  }).push(bytes);
  return frames;
}

function numbered(from: number, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, n) => `line ${from + n} of the log\r\n`).join(''));
}

describe('a journal', () => {
  it('J2 gives back screen, scrollback, facts and end of a session', async () => {
    const { output, journal, path } = recorded({ facts: meta({ title: 'my title', cwd: '/tmp' }) });
    const parts = [numbered(0, 3_000), Buffer.from('\x1b[31mred\x1b[m and 漢字 and \x1b[7mmore')];
    for (const part of parts) output.append(part);
    output.resize({ cols: 60, rows: 20 });
    output.append(Buffer.from('narrow'));
    await journal.flush();
    const expected = played(parts);
    expected.resize({ cols: 60, rows: 20 });
    expected.write(Buffer.from('narrow'));
    const reader = await readerOf(path);
    const rebuilt = await reader.screen(1_000);
    if (!rebuilt) throw new Error('no screen');
    expect(dumpTerminal(screenOf(rebuilt.snapshot).terminal)).toEqual(dumpTerminal(expected.terminal));
    expect(rebuilt.snapshot.position).toBe(output.ring.end);
    expect(rebuilt.lines).toEqual(expected.lines(1_000));
    expect(await reader.facts()).toMatchObject({
      exit: null,
      session: { title: 'my title', cwd: '/tmp', cols: 60, rows: 20, start: 0, position: output.ring.end },
    });

    output.close();
    output.keepLast();
    await journal.end(EXIT);
    expect(await (await readerOf(path)).facts()).toMatchObject({ exit: EXIT.exit });
    const last = await (await readerOf(path)).screen(1_000);
    expect(last?.lines).toEqual(expected.lines(1_000));
  });

  it('J2 directories have mode 0700, files 0600', async () => {
    const { journal, path } = recorded();
    await journal.flush();
    expect(statSync(path).mode & 0o777).toBe(0o700);
    const names = readdirSync(path);
    expect(names).toHaveLength(1);
    for (const name of names) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600);
  });

  it('J3 keeps the last bytes within its bound, and every segment can be read alone', async () => {
    const { output, journal, path } = recorded({ bytesMax: 500_000 });
    const all: Buffer[] = [];
    for (let n = 0; n < 60; n++) {
      all.push(numbered(n * 2_000, 2_000));
      output.append(all.at(-1) ?? Buffer.alloc(0));
      await journal.flush();
    }
    const raw = Buffer.concat(all);
    const segments = await listSegments(path);
    const stored = segments.reduce((sum, segment) => sum + statSync(segment.path).size, 0);
    expect(stored).toBeLessThan(1_500_000);
    const reader = await readerOf(path);
    expect(raw.length - reader.start).toBeGreaterThan(350_000);
    expect(await reader.read(reader.start, raw.length)).toEqual(raw.subarray(reader.start));
    expect(
      (await reader.read(reader.start + 12_345, 54_321)).equals(
        raw.subarray(reader.start + 12_345, reader.start + 66_666),
      ),
    ).toBe(true);
    const expected = played(all);
    for (const segment of segments) {
      const tape = new Tape((await readSegment(segment)).records);
      expect(tape.meta?.epoch).toBe(1);
      expect((await tape.screen(10))?.snapshot.position).toBe(tape.end);
    }
    const rebuilt = await reader.screen(1_000);
    if (!rebuilt) throw new Error('no screen');
    expect(dumpTerminal(screenOf(rebuilt.snapshot).terminal)).toEqual(dumpTerminal(expected.terminal));
  });

  it.each([1, 2, 3, 4])(
    'J3 replay from any frame gives the screen of a full replay (random output %i)',
    async (seed) => {
      const random = seededRandom(seed);
      const { output, journal, path } = recorded({ bytesMax: 60_000 });
      const all: Buffer[] = [];
      for (let n = 0; n < 40; n++) {
        const bytes = randomOutput(random, 400, SIZE);
        for (let at = 0; at < bytes.length; ) {
          const length = 1 + Math.floor(random() * 900);
          all.push(bytes.subarray(at, at + length));
          output.append(bytes.subarray(at, at + length));
          at += length;
        }
        await journal.flush();
      }
      const expected = dumpTerminal(played(all).terminal);
      const segments = await listSegments(path);
      expect(segments.length).toBeGreaterThan(2);
      for (const [n] of segments.entries()) {
        const parts = await Promise.all(segments.slice(n).map(readSegment));
        const rebuilt = await new Tape(parts.flatMap(({ records }) => records)).screen(10);
        if (!rebuilt) throw new Error('no screen');
        const seen = dumpTerminal(screenOf(rebuilt.snapshot).terminal);
        // A frame of a flood leaves the scrollback out, and what its first row continued.
        const visible = (dump: typeof seen) => ({
          ...dump,
          normal: dump.normal.slice(-SIZE.rows).map((row) => row.slice(1)),
        });
        expect(visible(seen)).toEqual(visible(expected));
      }
    },
  );

  it('J4 pages of history, from the newest to the oldest, hold every byte that is kept once', async () => {
    const { output, journal, path } = recorded({ bytesMax: 1_000_000 });
    const all: Buffer[] = [];
    for (let n = 0; n < 50; n++) {
      all.push(numbered(n * 1_000, 1_000));
      output.append(all.at(-1) ?? Buffer.alloc(0));
      if (n % 10 === 5) output.resize({ cols: 70 + n, rows: 24 });
      await journal.flush();
    }
    const raw = Buffer.concat(all);
    const reader = await readerOf(path);
    const pages: Buffer[] = [];
    let sizes = 0;
    let before: number | undefined;
    do {
      const page = await reader.page({ before, limit: 100_000 });
      const [first, ...rest] = framesOf(page.bytes);
      expect(first).toMatchObject({ type: 'snapshot', position: page.position });
      expect(page.end).toBe(before ?? raw.length);
      expect(page.end - page.position >= 100_000 || page.position === page.start).toBe(true);
      let at = page.position;
      for (const frame of rest) {
        if (frame.type === 'event' && frame.message.event === 'resized') {
          sizes += 1;
          expect(frame.message.position).toBe(at);
        }
        if (frame.type !== 'output') continue;
        expect(frame.position).toBe(at);
        at += frame.data.length;
      }
      expect(at).toBe(page.end);
      pages.unshift(Buffer.concat(rest.flatMap((frame) => (frame.type === 'output' ? [frame.data] : []))));
      before = page.position;
    } while (before > reader.start);
    expect(pages.length).toBeGreaterThan(3);
    expect(Buffer.concat(pages).equals(raw.subarray(reader.start))).toBe(true);
    expect(sizes).toBeGreaterThan(0);
    await expect(reader.page({ before: reader.start, limit: 1 })).rejects.toMatchObject({
      code: 'range_not_satisfiable',
    });
  });

  it('J4 a page shows no scrollback from before it, but for the oldest page', async () => {
    const { output, journal, path } = recorded({ bytesMax: 400_000 });
    for (let n = 0; n < 30; n++) {
      output.append(numbered(n * 1_000, 1_000));
      await journal.flush();
    }
    const reader = await readerOf(path);
    const [newest] = framesOf((await reader.page({ limit: 10_000 })).bytes);
    if (newest?.type !== 'snapshot') throw new Error('no snapshot');
    expect(Buffer.from(newest.data).toString().split('\r\n').length).toBeLessThanOrEqual(SIZE.rows);
  });

  it('J5 damage in the middle costs little: the screen is right, and the page ends at the hole', async () => {
    const { output, journal, path } = recorded({ bytesMax: 10_000_000 });
    const all: Buffer[] = [];
    for (let n = 0; n < 30; n++) {
      all.push(numbered(n * 10_000, 10_000));
      output.append(all.at(-1) ?? Buffer.alloc(0));
      await journal.flush();
    }
    const segments = await listSegments(path);
    expect(segments.length).toBeGreaterThan(2);
    const damagedSegment = segments[1]?.path ?? '';
    const fd = openSync(damagedSegment, 'r+');
    writeSync(fd, Buffer.from('\xff'), 0, 1, 1_000_000);
    closeSync(fd);
    truncateSync(segments.at(-1)?.path ?? '', statSync(segments.at(-1)?.path ?? '').size - 4_096);
    const reader = await readerOf(path);
    const rebuilt = await reader.screen(1_000);
    expect(rebuilt?.lines.at(-2)).toMatch(/^line \d+ of the log$/);
    const from = segments[1]?.start ?? 0;
    const hole = from + (await reader.read(from, 5_000_000)).length;
    expect(hole).toBeGreaterThan(from);
    const next = await reader.read(hole, 10).catch((error: { details: { start: number } }) => error.details.start);
    expect(next).toBeGreaterThan(hole);
    expect(next).toBeLessThanOrEqual(hole + 128 * 1024);
    const page = await reader.page({ before: segments[2]?.start, limit: 1 });
    expect(page.end).toBe(hole);
    expect(reader.damaged).toBeGreaterThan(0);
  });

  it('J13 after a fault that outlasts the ring it goes on with a frame, and the hole is not hidden', async () => {
    const { output, journal, faults, path } = recorded();
    writeFileSync(path, 'in the way');
    const all: Buffer[] = [];
    const print = (bytes: Buffer) => {
      all.push(bytes);
      output.append(bytes);
      output.lines(1); // parsed, before more comes
    };
    for (let n = 0; n < 30; n++) print(numbered(n * 10_000, 10_000));
    await journal.flush();
    expect([journal.fault, faults.length > 0]).toEqual(['EEXIST', true]);
    rmSync(path);
    await journal.flush();
    expect(journal.fault).toBeNull();
    print(numbered(300_000, 100));
    await journal.flush();
    const reader = await readerOf(path);
    expect(reader.start).toBeGreaterThan(4_000_000);
    expect(await reader.read(reader.start, 10_000_000)).toEqual(Buffer.concat(all).subarray(reader.start));
    const rebuilt = await reader.screen(1_000);
    if (!rebuilt) throw new Error('no screen');
    expect(dumpTerminal(screenOf(rebuilt.snapshot).terminal)).toEqual(dumpTerminal(played(all).terminal));
    await expect(reader.read(0, 10)).rejects.toMatchObject({ details: { start: reader.start } });
  });

  it('J16 many flushes at once are one that is under way and one that waits', async () => {
    let asked = 0;
    const facts = {
      ...meta(),
      get title() {
        asked += 1;
        return '';
      },
    };
    const { journal } = recorded({ id: facts.id, facts });
    await journal.flush();
    asked = 0;
    await Promise.all(Array.from({ length: 1_000 }, () => journal.flush()));
    expect(asked).toBeLessThan(10);
  });

  it('J14 output that is not written yet is not given back, of a living session and of one that has ended', async () => {
    for (const isEnded of [false, true]) {
      const { output, journal, path } = recorded();
      const printed = numbered(0, 20_000);
      output.append(printed);
      if (isEnded) output.keepLast();
      output.trim();
      await (isEnded ? journal.end(EXIT) : journal.flush());
      const kept = await (await readerOf(path)).read(0, printed.length);
      expect(kept.equals(printed), `${kept.length} of ${printed.length} bytes are kept`).toBe(true);
      expect(output.trim()).toBeGreaterThan(0);
    }
  });

  it('J6 the next epoch replaces the segments of the older one', async () => {
    const first = recorded();
    first.output.append(Buffer.from('old'));
    await first.journal.end(EXIT);
    const second = recorded({ id: first.id, epoch: 2 });
    await second.journal.flush();
    expect((await listSegments(first.path)).map(({ epoch }) => epoch)).toEqual([2]);
  });
});

it('J9 a preface holds the last lines of the older screen, wrapped anew, and a line that says when it was started again', () => {
  const older = played([
    Buffer.from(`${'x'.repeat(100)}\r\n\x1b[31mred\x1b[m plain\r\n\x1b[?1000h\x1b[?2004h\x1b]2;title\x07$ `),
  ]);
  const text = prefaceOf(older.snapshot(0), { cols: 60, rows: 10 }, new Date(2026, 10, 20, 21, 5));
  const titles: string[] = [];
  const screen = new Screen({ cols: 60, rows: 10 }, { ...silent, title: (title) => titles.push(title) });
  screen.draw(Buffer.from(text));
  expect(screen.lines(10)).toEqual([
    'x'.repeat(60),
    'x'.repeat(40),
    'red plain',
    '$ ',
    '── restarted 2026-11-20 21:05 ──',
  ]);
  expect(dumpTerminal(screen.terminal)).toMatchObject({
    cursor: [0, 5],
    mouse: ['NONE', 'DEFAULT'],
    modes: { bracketedPasteMode: false },
  });
  expect([screen.position, titles]).toEqual([0, []]);
});
