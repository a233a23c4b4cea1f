/** Everything that is typed or pasted reaches the program byte for byte, and nothing else does. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContext, expect, type Page, test } from '@playwright/test';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import { App } from '@/tests/harness/app';
import { openWorkspace, pressIn, terminalOf, typeInto, waitForText } from '@/tests/harness/workspace-page';

const START_DEADLINE_MS = 300_000;
const ESC = '\u001b';

let app: App;
let project: Project;
let context: BrowserContext;
let page: Page;
let session: TerminalSession;

test.beforeAll(async ({ browser }) => {
  test.setTimeout(START_DEADLINE_MS);
  app = await App.start();
  project = await app.createProject('input');
  context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
  page = await context.newPage();
});

test.afterAll(async () => {
  await context?.close();
  await app?.stop();
});

test.beforeEach(async () => {
  session = await app.createTerminal(project, test.info().testId);
});

test.afterEach(() => app.api('DELETE', `/api/terminal/${session.id}`));

/** What the raw program of the terminal has read so far. */
class RawProgram {
  readonly #file = join(project.path, randomBytes(4).toString('hex'));

  /** Starts it: it takes every byte as it is, and prints nothing but `prints` and `READY`. */
  static async start(prints = ''): Promise<RawProgram> {
    const program = new RawProgram();
    await openWorkspace(app, page, project, session.id);
    await waitForText(page, session.id, 'hf% ');
    await typeInto(page, session.id, `stty raw -echo; printf '${prints}REA''DY'; cat > ${program.#file}\n`);
    await waitForText(page, session.id, 'READY');
    return program;
  }

  get bytes(): Buffer {
    return readFileSync(this.#file);
  }

  /** Waits until it has read as many bytes as were expected, and compares. */
  async expectBytes(expected: Buffer, what = 'bytes'): Promise<void> {
    await expect
      .poll(() => this.bytes.length, { message: what, intervals: [20] })
      .toBeGreaterThanOrEqual(expected.length);
    const { bytes } = this;
    if (bytes.equals(expected)) return;
    const from = expected.findIndex((byte, index) => bytes[index] !== byte);
    const near = (buffer: Buffer) => buffer.subarray(Math.max(0, from - 8), from + 24).toString('hex');
    throw new Error(
      `${what}: ${near(bytes)} instead of ${near(expected)} at ${from}; ${bytes.length} of ${expected.length}`,
    );
  }
}

const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');

test('I5 all 256 byte values arrive as a program sends them over the wire', async () => {
  const viewer = await app.record(session, 'write');
  try {
    await viewer.waitForText('hf% ');
    await viewer.line("stty raw -echo; printf 'REA''DY'; head -c 65536 | sha256sum; stty sane");
    await viewer.waitForText('READY');
    const bytes = Uint8Array.from({ length: 65_536 }, (_, index) => (index + (index >> 8)) & 0xff);
    viewer.type(bytes);
    await viewer.waitForText(sha256(bytes));
  } finally {
    viewer.terminate();
  }
});

/** One of each kind of printable character, and what is hard about it. */
const CLASSES = {
  ascii: String.fromCharCode(...Array.from({ length: 95 }, (_, index) => 0x20 + index)),
  'Latin-1': String.fromCharCode(...Array.from({ length: 96 }, (_, index) => 0xa0 + index)),
  Greek: 'αβγδεζηθικλμνξοπρςστυφχψω ΆΈΉΊΌΎΏ',
  Cyrillic: 'Съешь ещё этих мягких французских булок',
  'Hebrew and Arabic': 'שלום עולם مرحبا بالعالم',
  Devanagari: 'नमस्ते दुनिया',
  CJK: '漢字 かな カナ 한국어 繁體字 ｆｕｌｌ',
  combining: 'e\u0301 a\u0308\u0323 n\u0303 Z\u0351\u0343\u0321\u0321',
  'not normalised': '\u00e9 e\u0301 \u212b \ufb01',
  emoji: '😀 👍🏽 ❤️ 🇩🇪 🏴󠁧󠁢󠁳󠁣󠁴󠁿',
  'joined emoji': '👩‍👩‍👧‍👦 👨🏿‍💻 🏳️‍🌈',
  'supplementary planes': '𝄞 𝒳 𠜎 𐍈',
  'zero width and spaces': 'a\u200bb\u200dc\u2060d\u00a0e\u3000f',
};

test('I5 each kind of character that is typed in the browser arrives as UTF-8', async () => {
  const program = await RawProgram.start();
  let expected = '';
  for (const [name, text] of Object.entries(CLASSES)) {
    await page.keyboard.insertText(text);
    expected += text;
    await program.expectBytes(Buffer.from(expected), name);
  }
});

/** The planes of Unicode that have characters. */
const PLANES = [0, 1, 2, 3, 14];

test('I5 every code point of the planes with characters arrives as UTF-8, but for controls', async () => {
  const program = await RawProgram.start();
  const expected: string[] = [];
  for (const plane of PLANES) {
    let text = '';
    for (let point = plane * 0x10000; point < (plane + 1) * 0x10000; point++) {
      const isControl = point < 0x20 || (point >= 0x7f && point < 0xa0);
      const isSurrogate = point >= 0xd800 && point < 0xe000;
      if (!isControl && !isSurrogate) text += String.fromCodePoint(point);
    }
    await page.keyboard.insertText(text);
    expected.push(text);
  }
  await program.expectBytes(Buffer.from(expected.join('')), 'every code point');
});

/** What a key sends. Modifiers first, as Playwright writes them. */
const KEYS: [string, string][] = [
  ...Array.from('abcdefghijklmnopqrstuvwxyz', (letter, index): [string, string] => [
    `Control+${letter}`,
    String.fromCharCode(index + 1),
  ]),
  ['Control+Space', '\0'],
  ['Control+[', ESC],
  ['Control+\\', '\x1c'],
  ['Control+]', '\x1d'],
  ['Enter', '\r'],
  ['Shift+Enter', `${ESC}\r`],
  ['Tab', '\t'],
  ['Shift+Tab', `${ESC}[Z`],
  ['Escape', ESC],
  ['Backspace', '\x7f'],
  ['Control+Backspace', '\b'],
  ['Alt+Backspace', `${ESC}\x7f`],
  ['Delete', `${ESC}[3~`],
  ['Insert', `${ESC}[2~`],
  ['PageUp', `${ESC}[5~`],
  ['PageDown', `${ESC}[6~`],
  ['ArrowUp', `${ESC}[A`],
  ['ArrowDown', `${ESC}[B`],
  ['ArrowRight', `${ESC}[C`],
  ['ArrowLeft', `${ESC}[D`],
  ['Home', `${ESC}[H`],
  ['End', `${ESC}[F`],
  ['Control+ArrowRight', `${ESC}[1;5C`],
  ['Control+ArrowLeft', `${ESC}[1;5D`],
  ['Shift+ArrowUp', `${ESC}[1;2A`],
  ['Alt+ArrowUp', `${ESC}[1;3A`],
  ...['OP', 'OQ', 'OR', 'OS', '[15~', '[17~', '[18~', '[19~', '[20~', '[21~', '[23~', '[24~'].map(
    (sequence, index): [string, string] => [`F${index + 1}`, ESC + sequence],
  ),
  ...Array.from('abcdefghijklmnopqrstuvwxyz', (letter): [string, string] => [`Alt+${letter}`, ESC + letter]),
  ['Alt+9', `${ESC}9`],
];

test('C8 every key sends its sequence', async () => {
  const program = await RawProgram.start();
  let expected = '';
  for (const [key, sequence] of KEYS) {
    await pressIn(page, session.id, key);
    expected += sequence;
    await program.expectBytes(Buffer.from(expected), key);
  }
});

test('C8 cursor keys follow the mode that the program has set', async () => {
  const program = await RawProgram.start(`${ESC}[?1h`.replace(ESC, '\\e'));
  await pressIn(page, session.id, 'ArrowUp', 'ArrowLeft', 'Home', 'End', 'Control+ArrowUp');
  await program.expectBytes(Buffer.from(`${ESC}OA${ESC}OD${ESC}OH${ESC}OF${ESC}[1;5A`));
});

/** Pastes from the clipboard of the browser, with the keys that people press. */
async function paste(text: string): Promise<void> {
  await page.evaluate((value) => navigator.clipboard.writeText(value), text);
  await pressIn(page, session.id, 'Control+Shift+V');
}

function question() {
  return page.getByRole('alertdialog');
}

/** About 1 MB of lines with characters of one to four bytes. */
function largeText(): string {
  const line = (index: number) => `${index} The quick brown fox jumps; Füchse, лиса, 狐, 🦊 ${sha256(String(index))}\n`;
  let text = '';
  for (let index = 0; text.length < 1_000_000; index++) text += line(index);
  return text;
}

test('C6 a paste of 1 MB arrives whole and in order, without ESC and C1', async () => {
  const program = await RawProgram.start();
  const text = largeText();
  await paste(text.replaceAll('fox', `f${ESC}[31mo\u009b31mx`));
  await expect(question()).toContainText(`Paste ${text.split('\n').length - 1} lines?`);
  await question().getByRole('button', { name: 'Paste' }).click();
  await program.expectBytes(Buffer.from(text.replaceAll('fox', 'f[31mo31mx').replaceAll('\n', '\r')));
});

test('C6 a bracketed paste of 1 MB arrives whole, and nobody is asked', async () => {
  const program = await RawProgram.start('\\e[?2004h');
  const text = largeText();
  await paste(text);
  await program.expectBytes(Buffer.from(`${ESC}[200~${text.replaceAll('\n', '\r')}${ESC}[201~`));
  await expect(question()).toBeHidden();
});

test('C6 a bracketed paste cannot end its own brackets', async () => {
  const program = await RawProgram.start('\\e[?2004h');
  await paste(`one${ESC}[201~\u009b201~two\r\nthree\u0090`);
  await program.expectBytes(Buffer.from(`${ESC}[200~one[201~201~two\rthree${ESC}[201~`));
  await typeInto(page, session.id, '.');
  await program.expectBytes(Buffer.from(`${ESC}[200~one[201~201~two\rthree${ESC}[201~.`));
});

test('C6 lines are asked for when the program does not know pastes; Cancel sends nothing', async () => {
  const program = await RawProgram.start();
  await paste('only one line');
  await program.expectBytes(Buffer.from('only one line'));
  await paste('first\nsecond\n');
  await expect(question()).toContainText('Paste 2 lines?');
  await question().getByRole('button', { name: 'Cancel' }).click();
  await expect(question()).toBeHidden();
  // The terminal has the keyboard again.
  await expect(terminalOf(page, session.id).locator('.xterm-helper-textarea')).toBeFocused();
  await page.keyboard.type('typed');
  await program.expectBytes(Buffer.from('only one linetyped'));
  await paste('first\nsecond\n');
  await question().getByRole('button', { name: 'Paste' }).click();
  await program.expectBytes(Buffer.from('only one linetypedfirst\rsecond\r'));
});
