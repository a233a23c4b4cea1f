import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '@/lib/log';
import { newId } from '@/lib/protocol/ids';
import { decodeViewerFrame, type ViewerFrame } from '@/lib/protocol/wire';
import { dumpTerminal } from '@/tests/harness/dump';
import { randomOutput, seededRandom } from '@/tests/harness/random-output';
import { FrameReader } from '@/ws-server/link';
import { Archive } from './archive';
import { describeWriter, lossOf } from './host-facts';
import { Journal } from './journal';
import { listSegments, readSegment } from './journal-files';
import { decodeRecords, encode, type Meta, tableCrc32 } from './journal-format';
import { JournalReader } from './journal-reader';
import { Output } from './output';
import { prefaceOf } from './preface';
import { Screen } from './screen';
import { screenOf, Tape } from './tape';

const SIZE = { cols: 80, rows: 24 };
const fault = (error: unknown) => {
  throw error;
};
const silent = { reply: () => undefined, title: () => undefined, fault };
const KEY = 0x12345678;
const EXIT = { exit: { code: 3, signal: 0, at: 1_700_000_000_000 }, lastActivity: 1_700_000_000_000 };
let directory = '';
const open = new Set<{ output: Output; journal: Journal }>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-journal-'));
});
afterEach(async () => {
  for (const { output, journal } of open) {
    await journal.close();
    output.dispose();
  }
  open.clear();
  rmSync(directory, { recursive: true, force: true });
});

function meta(change: Partial<Meta> = {}): Meta {
  const writer = describeWriter('testhost');
  return {
    id: newId('session'),
    epoch: 1,
    type: 'system',
    label: {},
    cwd: '/',
    title: '',
    createdAt: 1,
    writer,
    ...change,
  };
}

/** A stream with a journal, as a session has them. */
function recorded({ epoch = 1, bytesMax = 10_000_000, id = newId('session'), facts = meta({ id, epoch }) } = {}) {
  const output = new Output(SIZE, {
    ...silent,
    flush: () => journal.note(),
    pause: () => undefined,
    drained: () => undefined,
    unwritten: () => journal.waiting,
  });
  const faults: unknown[] = [];
  const journal = new Journal({
    directory: join(directory, id),
    epoch,
    bytesMax,
    source: output,
    meta: () => facts,
    onFault: (error) => faults.push(error),
  });
  open.add({ output, journal });
  return { id, output, journal, faults, path: join(directory, id) };
}

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

describe('records', () => {
  const records = [
    encode.meta(KEY, meta()),
    encode.key(KEY, { position: 0, ...SIZE, text: Buffer.from('frame') }, false),
    ...Array.from({ length: 20 }, (_, n) => encode.output(KEY, n * 10, [Buffer.from('01234'), Buffer.from('56789')])),
    encode.size(KEY, 200, { cols: 100, rows: 30 }),
    encode.end(KEY, EXIT),
  ].map((parts) => Buffer.concat(parts));
  const whole = Buffer.concat(records);

  it('J1 a journal cut off at any byte gives every record before the cut', () => {
    let count = 0;
    let end = 0;
    for (let length = 0; length <= whole.length; length++) {
      while (count < records.length && end + (records[count]?.length ?? 0) <= length)
        end += records[count++]?.length ?? 0;
      const cut = decodeRecords(whole.subarray(0, length), KEY);
      expect([cut.records.length, cut.damaged], `cut at ${length}`).toEqual([count, 0]);
    }
    expect(count).toBe(records.length);
  });

  it('J1 a flipped bit costs the record that it is in, and is counted', () => {
    const starts = records.map((_, n) => Buffer.concat(records.slice(0, n)).length);
    for (let offset = 0; offset < whole.length; offset++) {
      const flipped = Buffer.from(whole);
      flipped[offset] = (flipped[offset] ?? 0) ^ 0x10;
      const { records: left, damaged } = decodeRecords(flipped, KEY);
      const isInLast = offset >= (starts.at(-1) ?? 0);
      expect([left.length, damaged], `flipped at ${offset}`).toEqual([records.length - 1, isInLast ? 0 : 1]);
    }
  });

  it('J1 a whole record that makes no sense is passed over and counted', () => {
    const odd = Buffer.concat(encode.meta(KEY, meta({ epoch: 1.5 })));
    const { records: left, damaged } = decodeRecords(Buffer.concat([odd, ...records]), KEY);
    expect([left.length, damaged]).toEqual([records.length, 1]);
  });

  it('J1 output that looks like a record of another segment is output', () => {
    const forged = Buffer.concat(encode.end(KEY ^ 1, EXIT));
    const bytes = Buffer.concat(encode.output(KEY, 0, [forged]));
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    const { records: left } = decodeRecords(Buffer.concat([bytes, ...encode.end(KEY, EXIT)]), KEY);
    expect(left.map(({ kind }) => kind)).toEqual(['end']);
  });

  it('J1 the checksum in JavaScript is that of zlib', () => {
    expect(tableCrc32()(Buffer.from('123456789'), 0)).toBe(0xcbf43926);
    expect(tableCrc32()(Buffer.from('6789'), tableCrc32()(Buffer.from('12345'), 0))).toBe(0xcbf43926);
  });
});

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

describe('the archive', () => {
  const archive = (change: { keptMs?: number } = {}) =>
    new Archive({ directory, keptMs: 1_000_000, log: createLog('host', 'error'), ...change });
  const gone = { ...describeWriter('gone'), pid: 2, startTime: 'never' };

  async function journalled(facts: Meta, isEnded: boolean): Promise<string> {
    const { journal, output, id } = recorded({ id: facts.id, facts });
    output.append(Buffer.from('last words'));
    await (isEnded ? journal.end(EXIT) : journal.flush());
    return id;
  }

  it('J7 lists sessions that ended, and those whose host is gone with the reason, and none that lives', async () => {
    const ended = await journalled(meta(), true);
    const crashed = await journalled(meta({ writer: gone }), false);
    const rebooted = await journalled(meta({ writer: { ...gone, bootId: 'another' } }), false);
    await journalled(meta(), false);
    mkdirSync(join(directory, newId('session'), '1.1.0.00000001.log'), { recursive: true }); // not readable as a file
    const listed = new Map((await archive().list()).map(({ id, exit }) => [id, exit]));
    expect([...listed.keys()].sort()).toEqual([ended, crashed, rebooted].sort());
    expect(listed.get(ended)).toEqual(EXIT.exit);
    expect(listed.get(crashed)).toMatchObject({ code: -1, reason: 'host-crash' });
    expect(listed.get(rebooted)).toMatchObject({ code: -1, reason: 'reboot' });
    expect((await archive().open(crashed, 1)).rebuilt.lines).toEqual(['last words']);
    await expect(archive().open(crashed, 2)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('J7 a kill for memory is told from others by the count of the kernel', () => {
    const file = join(directory, 'memory.events');
    writeFileSync(file, 'low 0\noom 1\noom_kill 4\n');
    expect(lossOf({ ...gone, oomKills: { file, count: 3 } }, 0).reason).toBe('oom');
    expect(lossOf({ ...gone, oomKills: { file, count: 4 } }, 0).reason).toBe('host-crash');
    expect(lossOf({ ...gone, oomKills: { file: `${file}.gone`, count: 3 } }, 0).reason).toBe('host-crash');
  });

  it('J8 removes journals that are too old or too many, oldest first, and none of a session that lives', async () => {
    const ids = [meta(), meta({ writer: gone }), meta(), meta()];
    const [old = '', lost = '', newer = '', living = ''] = await Promise.all(
      ids.map((facts, n) => journalled(facts, n % 2 === 0)),
    );
    const age = async (id: string, seconds: number) => {
      for (const { path } of await listSegments(join(directory, id))) utimesSync(path, 0, Date.now() / 1_000 - seconds);
    };
    await age(old, 2_000);
    await age(living, 3_000);
    await age(lost, 500);
    await archive().sweep();
    expect(readdirSync(directory).sort()).toEqual([lost, newer, living].sort());
    const left = await Promise.all([lost, newer, living].map((id) => listSegments(join(directory, id))));
    const bytes = left.flat().reduce((sum, { path }) => sum + statSync(path).size, 0);
    await archive().sweep(Date.now(), bytes - 1);
    expect(readdirSync(directory).sort()).toEqual([newer, living].sort());
    await archive().forget(newer);
    expect(readdirSync(directory)).toEqual([living]);
  });

  it('J8 one that cannot be removed keeps no other', async () => {
    const ids = [meta(), meta(), meta()].map(({ id }) => id).sort();
    for (const id of ids) await journalled(meta({ id }), true);
    const [stuck = ''] = ids;
    const odd = join(directory, stuck, '1.9.0.00000001.log');
    mkdirSync(odd); // not readable as a file
    const paths = await Promise.all(ids.map((id) => listSegments(join(directory, id))));
    for (const { path } of paths.flat()) utimesSync(path, 0, path.includes(stuck) ? 1 : 2);
    await archive().sweep();
    expect(readdirSync(directory)).toEqual([stuck]);
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
