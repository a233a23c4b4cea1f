import headless from '@xterm/headless';
import { afterEach, expect, test } from 'vitest';
import { swallowQueries } from './swallow-queries';

const terminals: headless.Terminal[] = [];

function terminal() {
  const created = new headless.Terminal({ cols: 80, rows: 24, allowProposedApi: true });
  terminals.push(created);
  let sent = '';
  const queries = swallowQueries(created.parser);
  created.onData((data) => {
    if (!queries.isAnswering()) sent += data;
  });
  return {
    write: (data: string) => new Promise<void>((resolve) => created.write(data, resolve)),
    type: (data: string) => created.input(data),
    sent: () => sent,
    queries,
    screen: () => created.buffer.active.getLine(0)?.translateToString(true),
  };
}

afterEach(() => {
  for (const created of terminals.splice(0)) created.dispose();
});

const QUERIES = [
  '\x1b[c',
  '\x1b[0c',
  '\x1b[>c',
  '\x1b[>0c',
  '\x1b[=c',
  '\x1b[5n',
  '\x1b[6n',
  '\x1b[?6n',
  '\x1b[?15n',
  '\x1b[?996n',
  '\x1b[4$p',
  '\x1b[?1$p',
  '\x1b[?2026$p',
  '\x1b[>q',
  '\x1b[>0q',
  '\x1b[11t',
  '\x1b[14t',
  '\x1b[16t',
  '\x1b[18t',
  '\x1b[20t',
  '\x1b[21t',
  '\x1b[x',
  '\x1b[1;1;1;1;24;80*y',
  '\x1b[?u',
  '\x1b[?1;1;0S',
  '\x1bP$q"p\x1b\\',
  '\x1bP$qm\x1b\\',
  '\x1bP$q q\x1b\\',
  '\x1bP+q544e\x1b\\',
  '\x1b]4;1;?\x07',
  '\x1b]10;?\x07',
  '\x1b]11;?\x1b\\',
  '\x1b]12;?\x07',
  '\x1b]10;?;?\x07',
  '\x1b]52;c;?\x07',
  '\x1b]52;c;aGk=\x07',
  '\x1b[?1004h',
  '\x05',
];

test.each(QUERIES.map((query) => [JSON.stringify(query), query]))('C5 %s is not answered', async (_name, query) => {
  const { write, sent, screen } = terminal();
  await write(`${query}after`);
  expect(sent()).toBe('');
  expect(screen()).toBe('after');
});

test('C5 without the swallowing this terminal would answer', async () => {
  const { write, sent, queries } = terminal();
  queries.dispose();
  await write('\x1b[c\x1b[6n\x1b[?1$p\x1bP$qm\x1b\\');
  expect(sent()).toContain('\x1b[1;1R');
  expect(sent().split('\x1b')).toHaveLength(6);
});

test.each([
  ['colours, one set and one asked for', '\x1b]4;1;#ff0000;2;?\x07', true],
  ['focus reports among other modes', '\x1b[?25;1004h', true],
  ['a colour that is set', '\x1b]11;#000000\x07', false],
  ['other modes', '\x1b[?25;2004h', false],
  ['a title', '\x1b]2;?\x07', false],
])('C5 while %s are parsed, what is sent counts as an answer: %s', async (_name, sequence, expected) => {
  const { write, queries } = terminal();
  let during: boolean | null = null;
  await new Promise<void>((resolve) => {
    terminals.at(-1)?.write(sequence, () => {
      during = queries.isAnswering();
      resolve();
    });
  });
  expect(during).toBe(expected);
  await write('next');
  expect(queries.isAnswering()).toBe(false);
});

test('C5 keys are still sent after a query', async () => {
  const { write, type, sent } = terminal();
  await write('\x1b]10;?\x07\x1b[?1004h');
  type('x');
  expect(sent()).toBe('x');
});
