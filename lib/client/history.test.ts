import { describe, expect, it } from 'vitest';
import { AppError } from '@/lib/protocol/errors';
import { HISTORY_BYTES_MAX } from '@/lib/protocol/limits';
import { encodeEvent, encodeOutput, encodeSnapshot, type Size, type ViewerFrame } from '@/lib/protocol/wire';
import type { TerminalSink } from './feed';
import { decodeFrames, History, type HistoryPage, type ReadHistory } from './history';

const SIZE = { cols: 80, rows: 24 };
const encoder = new TextEncoder();

function withLengths(...frames: Uint8Array[]): Uint8Array {
  const body = new Uint8Array(frames.reduce((sum, frame) => sum + 4 + frame.length, 0));
  let offset = 0;
  for (const frame of frames) {
    new DataView(body.buffer).setUint32(offset, frame.length);
    body.set(frame, offset + 4);
    offset += 4 + frame.length;
  }
  return body;
}

type Mark = { position: number; size: Size };

/** A page of a stream whose byte at position n is `digit(n)`; its key frame says where it is. */
function page(range: { position: number; end: number; start?: number; size?: Size }, ...marks: Mark[]): HistoryPage {
  const { position, end, start = 0, size = SIZE } = range;
  const text = Array.from({ length: end - position }, (_, index) => digit(position + index)).join('');
  const half = Math.floor(text.length / 2);
  const body = withLengths(
    encodeSnapshot(position, size, encoder.encode(`[screen at ${position}]`)),
    encodeOutput(position, encoder.encode(text.slice(0, half))),
    ...marks.map((mark) => encodeEvent({ event: 'resized', ...mark.size, position: mark.position })),
    encodeOutput(position + half, encoder.encode(text.slice(half))),
  );
  return { position, end, start, frames: decodeFrames(body) };
}

function digit(position: number): string {
  return String.fromCharCode(97 + (position % 26));
}

function stream(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, index) => digit(from + index)).join('');
}

/** Answers from a list of pages, and remembers what was asked for. */
function answering(...pages: HistoryPage[]): { read: ReadHistory; asked: (number | null)[] } {
  const asked: (number | null)[] = [];
  return {
    asked,
    read: ({ before }) => {
      asked.push(before);
      const next = pages.shift();
      return next ? Promise.resolve(next) : Promise.reject(new Error('nothing more was expected'));
    },
  };
}

async function played(history: History): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  const sink: TerminalSink = {
    reset: ({ cols, rows }) => {
      text += `<${cols}x${rows}>`;
    },
    resize: ({ cols, rows }) => {
      text += `<${cols}x${rows}>`;
    },
    write(data, done) {
      text += decoder.decode(data);
      queueMicrotask(done);
    },
  };
  await history.play(sink);
  return text;
}

describe('decodeFrames', () => {
  it('C15 reads frames behind their lengths and leaves out events that it does not know', () => {
    const unknown = new Uint8Array([0x83, ...encoder.encode('{"event":"later"}')]);
    const frames = decodeFrames(withLengths(unknown, encodeOutput(5, encoder.encode('hi'))));
    expect(frames).toEqual<ViewerFrame[]>([{ type: 'output', position: 5, data: encoder.encode('hi') }]);
    expect(decodeFrames(new Uint8Array(0))).toEqual([]);
  });

  it('C15 refuses an answer that is cut off anywhere', () => {
    const body = withLengths(encodeOutput(0, encoder.encode('hello')), encodeOutput(5, encoder.encode('world')));
    const wholeFrames = [0, 4 + 9 + 5, body.length];
    for (let length = 0; length <= body.length; length += 1) {
      const read = () => decodeFrames(body.slice(0, length));
      if (wholeFrames.includes(length)) expect(read).not.toThrow();
      else expect(read).toThrow();
    }
  });
});

describe('History', () => {
  it('C15 earlier pages and those that are held are one stream, with the key frame of the oldest only', async () => {
    const { read, asked } = answering(
      page({ position: 60, end: 90 }),
      page({ position: 20, end: 60 }),
      page({ position: 0, end: 20 }),
    );
    const history = new History(read, 90);
    expect(history.extent).toBeNull();
    expect(await history.readEarlier()).toBe(true);
    expect(await played(history)).toBe(`<80x24>[screen at 60]${stream(60, 90)}`);
    await history.readEarlier();
    expect(history.extent).toEqual({ first: 20, end: 90, start: 0 });
    expect(await played(history)).toMatch(new RegExp(`^<80x24>\\[screen at 20\\]${stream(20, 60)}`));
    await history.readEarlier();
    expect(asked).toEqual([90, 60, 20]);
    expect(history.hasEarlier).toBe(false);
    expect(await history.readEarlier()).toBe(false);
    expect((await played(history)).replaceAll('<80x24>', '')).toBe(`[screen at 0]${stream(0, 90)}`);
  });

  it('C15 the size changes at its place, also when the change lies where two pages meet', async () => {
    const wide = { cols: 120, rows: 24 };
    const { read } = answering(
      page({ position: 60, end: 80, size: { cols: 100, rows: 30 } }),
      page({ position: 40, end: 60 }, { position: 45, size: wide }),
    );
    const history = new History(read, null);
    await history.readEarlier();
    await history.readEarlier();
    expect(await played(history)).toBe(
      `<80x24>[screen at 40]${stream(40, 45)}<120x24>${stream(45, 60)}<100x30>${stream(60, 80)}`,
    );
  });

  it('C15 bytes that two pages share are played once', async () => {
    const { read } = answering(page({ position: 50, end: 80 }), page({ position: 10, end: 64 }));
    const history = new History(read, 80);
    await history.readEarlier();
    await history.readEarlier();
    expect((await played(history)).replaceAll('<80x24>', '')).toBe(`[screen at 10]${stream(10, 80)}`);
  });

  it('C15 a hole before what is held, or an answer without anything older, ends the history', async () => {
    for (const other of [page({ position: 10, end: 40 }), page({ position: 50, end: 80 })]) {
      const { read } = answering(page({ position: 50, end: 80 }), other);
      const history = new History(read, 80);
      await history.readEarlier();
      expect(history.hasEarlier).toBe(true);
      expect(await history.readEarlier()).toBe(false);
      expect(history.hasEarlier).toBe(false);
      expect(history.extent).toEqual({ first: 50, end: 80, start: 0 });
    }
  });

  it('C15 it ends where the journal begins, also when the journal was cut meanwhile', async () => {
    const { read } = answering(
      page({ position: 500, end: 900, start: 100 }),
      page({ position: 300, end: 500, start: 400 }),
    );
    const history = new History(read, 900);
    await history.readEarlier();
    expect(history.hasEarlier).toBe(true);
    await history.readEarlier();
    expect(history.hasEarlier).toBe(false);
    expect(history.extent).toEqual({ first: 300, end: 900, start: 300 });
  });

  it('C15 it ends when the server has nothing before what is held', async () => {
    const { read } = answering(page({ position: 50, end: 80 }));
    let isCut = false;
    const history = new History(
      (range) => (isCut ? Promise.reject(new AppError('range_not_satisfiable', 'Nothing.')) : read(range)),
      80,
    );
    await history.readEarlier();
    isCut = true;
    expect(await history.readEarlier()).toBe(false);
    expect(history.hasEarlier).toBe(false);
  });

  it('C15 a failed call changes nothing and can be made again', async () => {
    let isBroken = true;
    const history = new History(
      () => (isBroken ? Promise.reject(new Error('away')) : Promise.resolve(page({ position: 0, end: 9 }))),
      9,
    );
    await expect(history.readEarlier()).rejects.toThrow('away');
    expect(history.extent).toBeNull();
    isBroken = false;
    expect(await history.readEarlier()).toBe(true);
  });

  it('C15 at most 32 MiB are held', async () => {
    const total = 100 * 1024 * 1024;
    let calls = 0;
    const history = new History(({ before, limit }) => {
      calls += 1;
      expect(limit).toBeLessThanOrEqual(HISTORY_BYTES_MAX);
      const end = before ?? total;
      return Promise.resolve({ position: end - limit, end, start: 0, frames: [] });
    }, null);
    while (history.hasEarlier && calls < 100) await history.readEarlier();
    const { first, end } = history.extent ?? { first: 0, end: 0 };
    expect(end - first).toBeLessThanOrEqual(32 * 1024 * 1024);
    expect(end - first).toBeGreaterThan(28 * 1024 * 1024);
    expect(history.isFull).toBe(true);
  });
});
