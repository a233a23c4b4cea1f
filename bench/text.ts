/** What the programs under measurement print: generated log text, and what a pty makes of it. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { seededRandom } from '@/tests/harness/random-output';

const BLOCK_BYTES = 1 << 20;
const SEED = 20;
const WORDS =
  'accept address batch buffer cache closed commit compact drained elected expired flush handshake index lease lookup merge miss node opened queue rebuild refresh renewed replica retry routed segment session shard snapshot stale token upstream worker'.split(
    ' ',
  );
const LEVELS = [
  { colour: '32', name: 'INFO ' },
  { colour: '36', name: 'DEBUG' },
  { colour: '33', name: 'WARN ' },
  { colour: '1;31', name: 'ERROR' },
];

/** Printed before and after the measured output; a command that holds `MARK_QUOTED` does not itself match. */
export const BEGIN = 'BEGIN-OF-RUN\r\n';
export const END = 'END-OF-RUN\r\n';
/** The prompt of `shell.sh`. */
export const PROMPT = 'bench% ';

/** A command line that prints the two marks around another command. */
export function marked(command: string): string {
  return `echo BEGIN-OF''-RUN; ${command}; echo END-OF''-RUN`;
}

/** Everything that the terminal gets when a new shell is given one command. */
export function transcript(command: string, output: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${PROMPT}${command}\r\n${BEGIN}`), output, Buffer.from(`${END}${PROMPT}`)]);
}

/** Writes a log of about so many bytes, always the same for a size: 80 to 100 columns, a third of the lines coloured. */
export function writeLog(path: string, bytes: number): void {
  const random = seededRandom(SEED);
  const pick = (count: number) => Math.floor(random() * count);
  const line = (n: number) => {
    const time = new Date(1_800_000_000_000 + n * 41).toISOString();
    const { colour = '', name = '' } = LEVELS[pick(8) < 5 ? 0 : pick(4)] ?? {};
    const columns = 80 + pick(21);
    let text = ` id=${pick(1e9).toString(36)}`;
    while (time.length + 1 + name.length + text.length < columns) text += ` ${WORDS[pick(WORDS.length)]}`;
    return pick(3) === 0 ? `\x1b[2m${time}\x1b[0m \x1b[${colour}m${name}\x1b[0m${text}\n` : `${time} ${name}${text}\n`;
  };
  const file = openSync(path, 'w');
  for (let n = 0, written = 0; written < bytes; ) {
    let block = '';
    while (block.length < BLOCK_BYTES && written + block.length < bytes) block += line(n++);
    written += writeSync(file, block);
  }
  closeSync(file);
}

/** A file as a pty gives it: each line end becomes CR LF. */
export function throughPty(path: string): Buffer {
  const source = readFileSync(path);
  let lines = 0;
  for (let at = source.indexOf(10); at >= 0; at = source.indexOf(10, at + 1)) lines += 1;
  const target = Buffer.allocUnsafe(source.length + lines);
  let [from, to] = [0, 0];
  for (let at = source.indexOf(10); at >= 0; at = source.indexOf(10, at + 1)) {
    to += source.copy(target, to, from, at);
    target[to++] = 13;
    target[to++] = 10;
    from = at + 1;
  }
  source.copy(target, to, from);
  return target;
}

/** Compares what came between the marks with what was printed: bytes that did not come, and whether all is equal. */
export function compareOutput(chunks: readonly Buffer[], printed: Buffer): { missing: number; isEqual: boolean } {
  const all = Buffer.concat(chunks);
  const begin = all.indexOf(BEGIN);
  const end = all.lastIndexOf(END);
  const got = begin < 0 || end < begin ? Buffer.alloc(0) : all.subarray(begin + BEGIN.length, end);
  return { missing: Math.max(0, printed.length - got.length), isEqual: got.equals(printed) };
}
