import headless from '@xterm/headless';
import { afterEach, expect, test } from 'vitest';
import { dumpTerminal } from '@/tests/harness/dump';
import { randomOutput, seededRandom } from '@/tests/harness/random-output';
import { Screen } from '@/ws-server/host/screen';
import { terminalSink } from './terminal-sink';

const terminals: headless.Terminal[] = [];

function terminal() {
  const created = new headless.Terminal({ cols: 20, rows: 3, allowProposedApi: true, logLevel: 'off' });
  terminals.push(created);
  const sink = terminalSink(created);
  return {
    terminal: created,
    sink,
    write: (data: Uint8Array | string) =>
      new Promise<void>((resolve) => sink.write(typeof data === 'string' ? Buffer.from(data) : data, resolve)),
    line: (y: number) => created.buffer.active.getLine(y)?.translateToString(true),
  };
}

afterEach(() => {
  for (const created of terminals.splice(0)) created.dispose();
});

test.each([
  ['an unfinished title', '\x1b]2;half a tit'],
  ['an unfinished device string', '\x1bPq#0;2;0;0;0'],
  ['an unfinished control sequence', '\x1b[38;2;1'],
  ['half a character', Buffer.from('\u6f22').subarray(0, 2)],
  ['the alternate screen', '\x1b[?1049h\x1b[?6h\x1b[2;3r\x1b[31mred'],
])('C2 a snapshot starts clean after %s', async (_name, before) => {
  const { sink, write, line, terminal: created } = terminal();
  await write('old\r\n');
  await write(before);
  sink.reset({ cols: created.cols, rows: created.rows });
  await write('new \u6f22');
  expect(line(0)).toBe('new \u6f22');
  expect(line(1)).toBe('');
});

test('C2 a snapshot brings its own size', async () => {
  const { sink, write, line, terminal: created } = terminal();
  await write('old');
  sink.reset({ cols: 40, rows: 10 });
  await write('new');
  expect([created.cols, created.rows, line(0)]).toEqual([40, 10, 'new']);
});

test('C2 characters that are cut anywhere are drawn whole', async () => {
  const { write, line } = terminal();
  const text = 'a\u00e9\u6f22\u{10000}\u{1f642}\u0400z';
  for (const byte of Buffer.from(text)) await write(Uint8Array.of(byte));
  expect(line(0)).toBe(text);
});

test('C2 a snapshot draws the same in a terminal that was used as in a new one', async () => {
  const size = { cols: 20, rows: 3 };
  const fault = (error: unknown) => {
    throw error;
  };
  const screen = new Screen(size, { reply: () => undefined, title: () => undefined, fault });
  screen.write(Buffer.from('shell\r\n\x1b[31mred'));
  const { text } = screen.snapshot(0);
  const shown = async ({ sink, write, terminal: created }: ReturnType<typeof terminal>) => {
    sink.reset(size);
    await write(text);
    const { cursorBlink, convertEol } = created.options;
    return { ...dumpTerminal(created), cursorBlink, convertEol };
  };
  const wanted = await shown(terminal());
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const bytes = randomOutput(random, 100, size);
    const used = terminal();
    await used.write('\x1b[?25l\x1b[?12h\x1b[20h');
    await used.write(bytes.subarray(0, Math.floor(random() * bytes.length)));
    expect(await shown(used), `seed ${seed}`).toEqual(wanted);
  }
});
