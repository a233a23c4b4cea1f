import { expect, test } from 'vitest';
import type { Size } from '@/lib/protocol/wire';
import { Feed } from './feed';

const text = new TextDecoder();
const bytes = (data: string): Uint8Array => new TextEncoder().encode(data);

/** A sink that parses only when told to, and writes down what happens. */
function slowTerminal() {
  const log: string[] = [];
  const unparsed: (() => void)[] = [];
  const sizes: Size[] = [];
  const sink = {
    reset: ({ cols, rows }: Size) => log.push(`reset ${cols}x${rows}`),
    resize: ({ cols, rows }: Size) => log.push(`resize ${cols}x${rows}`),
    write: (data: Uint8Array, done: () => void) => {
      log.push(`write ${text.decode(data)}`);
      unparsed.push(done);
    },
  };
  const feed = new Feed(sink, (size) => sizes.push(size));
  return { feed, log, sizes, parseOne: () => unparsed.shift()?.() };
}

const small = { cols: 80, rows: 24 };
const large = { cols: 120, rows: 40 };

test('Z3 a terminal changes its size only when everything before the mark is parsed', () => {
  const { feed, log, sizes, parseOne } = slowTerminal();
  feed.snapshot({ position: 10, size: small, data: bytes('screen') }, () => undefined);
  feed.output(10, bytes('ab'), () => undefined);
  feed.output(12, bytes('cd'), () => undefined);
  feed.resized(large, 14);
  feed.output(14, bytes('ef'), () => undefined);
  expect(log).toEqual(['reset 80x24', 'write screen', 'write ab', 'write cd']);
  parseOne();
  parseOne();
  expect(log).toHaveLength(4);
  parseOne();
  expect(log.slice(4)).toEqual(['resize 120x40', 'write ef']);
  expect(sizes).toEqual([small, large]);
});

test('Z3 a mark that is ahead of the stream splits the output at its position', () => {
  const { feed, log, parseOne } = slowTerminal();
  feed.snapshot({ position: 0, size: small, data: bytes('') }, () => undefined);
  feed.resized(large, 3);
  feed.output(0, bytes('abcdef'), () => undefined);
  parseOne();
  parseOne();
  expect(log).toEqual(['reset 80x24', 'write ', 'write abc', 'resize 120x40', 'write def']);
});

test('C4 the parsed position is that of the screen: not of what waits, and none while a snapshot is drawn', () => {
  const { feed, parseOne } = slowTerminal();
  expect(feed.parsed).toBeNull();
  feed.snapshot({ position: 10, size: small, data: bytes('one') }, () => undefined);
  feed.output(10, bytes('ab'), () => undefined);
  expect(feed.parsed).toBeNull();
  parseOne();
  expect(feed.parsed).toBe(10);
  feed.snapshot({ position: 50, size: small, data: bytes('two') }, () => undefined);
  expect(feed.parsed).toBe(10);
  parseOne();
  expect(feed.parsed).toBeNull();
  parseOne();
  expect(feed.parsed).toBe(50);
});

test('C2 a snapshot waits until the terminal holds nothing unparsed, then starts over', () => {
  const { feed, log, parseOne } = slowTerminal();
  feed.snapshot({ position: 0, size: small, data: bytes('one') }, () => undefined);
  feed.output(0, bytes('x'), () => undefined);
  feed.snapshot({ position: 500, size: large, data: bytes('two') }, () => undefined);
  expect(log).toEqual(['reset 80x24', 'write one', 'write x']);
  parseOne();
  parseOne();
  expect(log.slice(3)).toEqual(['reset 120x40', 'write two']);
  expect(feed.received).toBe(500);
});

test('C2 repeated and overlapping output is trimmed, and output after a hole is not taken', () => {
  const { feed, log } = slowTerminal();
  feed.snapshot({ position: 100, size: small, data: bytes('s') }, () => undefined);
  expect(feed.output(100, bytes('abc'), () => undefined)).toBe(true);
  expect(feed.output(100, bytes('abc'), () => undefined)).toBe(true);
  expect(feed.output(90, bytes('zzz'), () => undefined)).toBe(true);
  expect(feed.output(101, bytes('bcde'), () => undefined)).toBe(true);
  expect(feed.output(106, bytes('g'), () => undefined)).toBe(false);
  expect(log).toEqual(['reset 80x24', 'write s', 'write abc', 'write de']);
  expect(feed.received).toBe(105);
});

test('C2 output before any snapshot is not taken', () => {
  const { feed } = slowTerminal();
  expect(feed.output(0, bytes('a'), () => undefined)).toBe(false);
});

test('C4 parsed positions are reported only when the terminal has parsed them', () => {
  const { feed, parseOne } = slowTerminal();
  const parsed: number[] = [];
  feed.snapshot({ position: 5, size: small, data: bytes('s') }, (position) => parsed.push(position));
  feed.output(5, bytes('abc'), (position) => parsed.push(position));
  expect(parsed).toEqual([]);
  expect(feed.pendingBytes).toBe(4);
  parseOne();
  expect(parsed).toEqual([5]);
  parseOne();
  expect(parsed).toEqual([5, 8]);
  expect(feed.pendingBytes).toBe(0);
});
