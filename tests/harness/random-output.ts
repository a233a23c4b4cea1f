/** Random but repeatable terminal output, for comparing two terminals on the same stream. */

/** A generator of numbers in [0, 1) that always gives the same ones for a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A stream of `count` random pieces: text of all widths, cursor moves, erasing, attributes, modes, buffers, links. */
export function randomOutput(random: () => number, count: number, size: { cols: number; rows: number }): Buffer {
  const int = (max: number) => Math.floor(random() * max);
  const pick = <T>(list: readonly T[]): T => list[int(list.length)] as T;
  const row = () => 1 + int(size.rows);
  const col = () => 1 + int(size.cols);
  const words = [
    'hello',
    'x',
    ' ',
    'the quick brown fox',
    '漢字',
    'e\u0301',
    '👍🏽',
    '🇫🇷',
    '\u2014',
    'ｱ',
    '한',
    'a\u200db',
    '0123456789',
  ];
  const sgr = () =>
    pick([
      '0',
      '1',
      '2',
      '3',
      '4',
      '7',
      '9',
      '22',
      '27',
      '31',
      '44',
      '97',
      '100',
      '38;5;99',
      '48;5;17',
      '38;2;1;2;3',
      '48;2;9;8;7',
      '4:3',
      '58;5;3',
      '24',
      '39',
      '49',
      '53',
    ]);
  const pieces: (() => string)[] = [
    () => pick(words),
    () => pick(words).repeat(1 + int(8)),
    () => pick(words),
    () => '\r\n',
    () => '\n',
    () => '\r',
    () => '\t',
    () => '\b',
    () => `\x1b[${sgr()}m`,
    () => `\x1b[${sgr()};${sgr()}m`,
    () => `\x1b[${row()};${col()}H`,
    () => `\x1b[${1 + int(5)}${pick(['A', 'B', 'C', 'D', 'E', 'F'])}`,
    () => `\x1b[${pick(['', '1', '2'])}J`,
    () => `\x1b[${pick(['', '1'])}K`,
    () => `\x1b[${1 + int(4)}${pick(['@', 'P', 'X', 'L', 'M', 'S', 'T'])}`,
    () => `\x1b[${1 + int(3)}b`,
    () => `\x1b[${row()};${row()}r`,
    () => `\x1b[?${pick(['1', '25', '45', '1000', '1002', '1006', '1004', '2004'])}${pick(['h', 'l'])}`,
    () => `\x1b[?${pick(['1049', '47'])}${pick(['h', 'l'])}`,
    () => pick(['\x1bM', '\x1bD', '\x1bE']),
    () => pick(['\x1bH', '\x1b[g', '\x1b[3g', '\x1b[2I']),
    () => pick(['\x1b(0', '\x1b(B', '\x1b)0', '\x0e', '\x0f']),
    () => `\x1b]8;${pick(['', 'id=a'])};https://example.org/${int(2)}\x1b\\${pick(words)}\x1b]8;;\x1b\\`,
    () => `\x1b]2;title ${int(100)}\x07`,
    () => `\x1b[${int(7)} q`,
    () => `\x1b[${pick(['?6h', '?6l', '4h', '4l'])}`,
  ];
  let text = '';
  for (let n = 0; n < count; n++) text += pick(pieces)();
  return Buffer.from(text);
}
