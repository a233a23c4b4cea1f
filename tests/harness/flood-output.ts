/** What programs print a lot of: many lines of one kind, random but repeatable. */

/** A generator of numbers in [0, 1). */
type Random = () => number;

const WORDS = [
  'error',
  'warning',
  'src/index.ts',
  '漢字かな',
  'e\u0301',
  '👍🏽',
  '🇫🇷',
  '한국어',
  '\u00a0',
  '42',
  'x',
  '…',
  'é',
];
const COLOURS = [
  '31',
  '1',
  '22',
  '39',
  '4:3',
  '38;5;99',
  '48;2;9;8;7',
  '44',
  '49',
  '7',
  '27',
  '58;5;3',
  '24',
  '01;34',
  '38;2;1;2;3',
];

/** Lines of one kind each; `line` counts from 0. */
const KINDS: Record<string, (random: Random, line: number) => string> = {
  plain: (random, line) => `[${line}] request ${random().toString(36)} done\r\n`,
  'a colour that is reset': (random, line) => `\x1b[${pick(random, COLOURS)}m${line}\x1b[0m ok\r\n`,
  'colours that go on over lines': (random, line) => `\x1b[${pick(random, COLOURS)}m${pick(random, WORDS)} ${line}\r\n`,
  'a colour before the reset in the same sequence': (random, line) => `\x1b[0;${pick(random, COLOURS)}m${line}\r\n`,
  'colours of 24 bits, never reset': (random, line) =>
    `\x1b[38;2;${line % 256};${Math.floor(random() * 256)};0m${line}\r\n`,
  'erased line ends': (random, line) => `\x1b[35m\x1b[Kfile\x1b[m\x1b[K:${line}: ${pick(random, WORDS)}\x1b[K\r\n`,
  'wide and combining characters': (random, line) => `${pick(random, WORDS).repeat(1 + (line % 9))}\r\n`,
  'tabs and backspaces': (random, line) => `${line}\t${pick(random, WORDS)}\tb\bo\bold\x07\r\n`,
  'long lines that wrap': (random, line) => `${'abcdefghij '.repeat(Math.floor(random() * 30))}${line}\r\n`,
  'progress bars': (random, line) =>
    `${'#'.repeat(line % 20)}${' '.repeat(20 - (line % 20))}\r${random() < 0.5 ? '\n' : ''}`,
  'line feeds without returns': (random, line) => `${line}${pick(random, WORDS)}\n${random() < 0.1 ? '\r\n' : ''}`,
  'empty lines': () => '\r\n',
  yes: () => 'y\r\n',
  'bytes that are no UTF-8': (random, line) => `${line} ${random() < 0.5 ? '\udc80' : '\u00bf'}\r\n`,
};

/** The kinds of lines there are. */
export const FLOOD_KINDS = Object.keys(KINDS);

function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

/** So many lines of a kind. */
export function floodOutput(random: Random, kind: string, lines: number): Buffer {
  const line = KINDS[kind];
  if (!line) throw new Error(`there is no kind "${kind}"`);
  const parts: Buffer[] = [];
  for (let n = 0; n < lines; n++) {
    const text = line(random, n);
    // A lone surrogate stands for a byte that is no UTF-8.
    parts.push(text.includes('\udc80') ? Buffer.from(text.replace('\udc80', '\u00c2'), 'latin1') : Buffer.from(text));
  }
  return Buffer.concat(parts);
}
