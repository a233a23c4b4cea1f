import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BEGIN, compareOutput, END, throughPty, writeLog } from './text';
import { Finder } from './wait';

const directory = mkdtempSync(join(tmpdir(), 'hf-text-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('N10 a generated log is the same each time, of whole lines, and about as long as wanted', () => {
  const [first, second] = [join(directory, 'first'), join(directory, 'second')];
  writeLog(first, 300_000);
  writeLog(second, 300_000);
  const text = readFileSync(first, 'utf8');
  expect(readFileSync(second, 'utf8')).toBe(text);
  expect(text.endsWith('\n')).toBe(true);
  expect(text.length).toBeGreaterThanOrEqual(300_000);
  expect(text.length).toBeLessThan(300_200);
  expect(text).toContain('\x1b[32m');
});

test('N10 the expected output has a CR before each LF', () => {
  const file = join(directory, 'lines');
  writeFileSync(file, '\none\n\ntwo');
  expect(throughPty(file).toString()).toBe('\r\none\r\n\r\ntwo');
});

test('N10 output is compared byte by byte between its marks', () => {
  const printed = Buffer.from('abcdef\r\n');
  const chunks = (text: string) => [
    Buffer.from(`prompt ${BEGIN.slice(0, 4)}`),
    Buffer.from(`${BEGIN.slice(4)}${text}${END}$`),
  ];
  expect(compareOutput(chunks('abcdef\r\n'), printed)).toEqual({ missing: 0, isEqual: true });
  expect(compareOutput(chunks('abcdeX\r\n'), printed)).toEqual({ missing: 0, isEqual: false });
  expect(compareOutput(chunks('abcd\r\n'), printed)).toEqual({ missing: 2, isEqual: false });
  expect(compareOutput([Buffer.from('nothing')], printed)).toEqual({ missing: 8, isEqual: false });
});

test('N10 a text is found across two chunks, once', () => {
  const finder = new Finder('ready');
  expect(['re', 'a', 'dy', ' ready', 'x'].map((text) => finder.push(Buffer.from(text)))).toEqual([
    false,
    false,
    true,
    true,
    false,
  ]);
});
