import { expect, test } from 'vitest';
import { preparePaste } from './paste';

const sent = (text: string, isBracketed: boolean) => new TextDecoder().decode(preparePaste(text, isBracketed).data);

test.each([true, false])('C6 a paste loses ESC and C1 controls (bracketed: %s)', (isBracketed) => {
  const cleaned = 'a[201~b201~cd]52;c;AA\u0007e';
  const expected = isBracketed ? `\u001b[200~${cleaned}\u001b[201~` : cleaned;
  expect(sent('a\u001b[201~b\u009b201~c\u0085d\u001b]52;c;AA\u0007e', isBracketed)).toBe(expected);
});

test('C6 line breaks of every kind become what Return sends', () => {
  expect(sent('a\r\nb\nc\rd', false)).toBe('a\rb\rc\rd');
});

test('C6 brackets are added only when the program asked for them', () => {
  expect(sent('ls', true)).toBe('\u001b[200~ls\u001b[201~');
  expect(sent('ls', false)).toBe('ls');
});

test('C6 several lines are risky when bracketed paste is off', () => {
  expect(preparePaste('one\ntwo\n', false)).toMatchObject({ lines: 2, isRisky: true });
  expect(preparePaste('one\ntwo\n', true)).toMatchObject({ lines: 2, isRisky: false });
  expect(preparePaste('one\n', false)).toMatchObject({ lines: 1, isRisky: false });
  expect(preparePaste('tab\tand é 漢 🙂', false)).toMatchObject({ lines: 1, isRisky: false });
});

test('C6 control characters that act are risky when bracketed paste is off', () => {
  expect(preparePaste('ls\u000f', false).isRisky).toBe(true);
  expect(preparePaste('\u0004', false).isRisky).toBe(true);
});

test('C6 everything else arrives as UTF-8', () => {
  const text = 'é漢字🙂👩‍👩‍👧‍👦 \u00a0\u2028\ufeff\t';
  expect(sent(text, false)).toBe(text);
});
