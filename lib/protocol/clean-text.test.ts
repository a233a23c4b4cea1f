import { expect, test } from 'vitest';
import { cleanLabel, escapeSteering, isClean, LABEL_LENGTH_MAX } from './clean-text';

const RUNS = 2_000;

/** A stream of numbers from 0 to 1 that a seed repeats (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PIECES: ((random: () => number) => string)[] = [
  (random) => String.fromCharCode(Math.floor(random() * 0xa0)),
  (random) => String.fromCharCode(Math.floor(random() * 0x10000)),
  (random) => String.fromCodePoint(Math.floor(random() * 0x110000)),
  (random) => String.fromCharCode(0xd800 + Math.floor(random() * 0x800)),
  (random) => String.fromCharCode(0x2020 + Math.floor(random() * 0x50)),
  () => '\x1b]0;owned\x07',
  () => '\x1b[2J\r\n',
  () => '\u009b31m',
  () => '👩‍👩‍👧‍👦',
  () => '🇩🇪',
  () => 'e\u0301',
  () => '$(touch x) `id` ; | & \\',
];

function randomText(random: () => number): string {
  const length = random() < 0.01 ? 100_000 : Math.floor(random() * 600);
  let text = '';
  while (text.length < length) text += PIECES[Math.floor(random() * PIECES.length)]?.(random) ?? '';
  return text;
}

test('H15 whatever text comes, a label holds nothing that steers, is short, and stays as it is when cleaned again', () => {
  const seed = Date.now() % 2 ** 31;
  const random = randomFrom(seed);
  for (let run = 0; run < RUNS; run++) {
    const text = randomText(random);
    const label = cleanLabel(text);
    const where = `seed ${seed}, run ${run}`;
    expect(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(label), where).toBe(false);
    expect(label.length, where).toBeLessThanOrEqual(LABEL_LENGTH_MAX);
    expect(cleanLabel(label), where).toBe(label);
    expect(isClean(label), where).toBe(true);
    expect(isClean(text), where).toBe(cleanLabel(text, Number.MAX_SAFE_INTEGER) === text);
  }
});

test.each([...Array(0xa0).keys()].filter((code) => code < 0x20 || code >= 0x7f))(
  'H15 control character %i goes',
  (code) => {
    expect(cleanLabel(`a${String.fromCharCode(code)}b`)).toBe('ab');
  },
);

test('H15 text that only looks dangerous stays: it is never part of a command', () => {
  for (const text of ['$(touch x)', '`id`', 'a; b | c & d', '"it\'s"', 'ümläut 漢字 👩‍👩‍👧‍👦', 'مرحبا', '~/x y']) {
    expect(cleanLabel(text)).toBe(text);
  }
});

test('H15 halves of characters do not join when what stood between them goes', () => {
  expect(cleanLabel('a\ud83d\x1b\ude00b')).toBe('ab');
});

test('H15 a long text is cut between graphemes, and inside one only when it fills everything', () => {
  const family = '👩‍👩‍👧‍👦';
  const cut = cleanLabel(family.repeat(200));
  expect(cut).toBe(family.repeat(Math.floor(LABEL_LENGTH_MAX / family.length)));
  expect(cleanLabel('ab\u0301c', 2)).toBe('a');
  expect(cleanLabel('ab\u0301c', 3)).toBe('ab\u0301');
  expect(cleanLabel(`a${'\u0301'.repeat(5_000)}`)).toHaveLength(LABEL_LENGTH_MAX);
  expect(cleanLabel('😀', 1)).toBe('');
});

test('H15 what is escaped means the same as JSON, and shows nothing that steers', () => {
  const text = 'a\u009b31m\x7f\u2028\u202e\ud800 b';
  const line = escapeSteering(JSON.stringify({ text }));
  expect(isClean(line)).toBe(true);
  expect(JSON.parse(line)).toEqual({ text });
});
