import { expect, test } from 'vitest';
import { keyAction } from './keys';

const none = { type: 'keydown', ctrlKey: false, shiftKey: false, altKey: false, metaKey: false };
const letter = (name: string) => ({ ...none, key: name, code: `Key${name.toUpperCase()}` });

test('C8 Ctrl with a letter always goes to the program', () => {
  for (const name of ['c', 'v', 'f', 'd', 'z']) {
    expect(keyAction({ ...letter(name), ctrlKey: true }, false)).toBeNull();
    expect(keyAction({ ...letter(name), ctrlKey: true }, true)).toBeNull();
  }
});

test.each([
  ['c', 'copy'],
  ['v', 'paste'],
  ['f', 'find'],
])('C8 Ctrl+Shift+%s is %s, and Cmd does the same on a Mac', (name, action) => {
  expect(keyAction({ ...letter(name), ctrlKey: true, shiftKey: true }, false)).toBe(action);
  expect(keyAction({ ...letter(name), metaKey: true }, true)).toBe(action);
  expect(keyAction({ ...letter(name), metaKey: true }, false)).toBeNull();
});

test('C8 Ctrl+Shift+h opens the history, on a Mac Cmd+Shift+h', () => {
  const h = letter('h');
  expect(keyAction({ ...h, ctrlKey: true, shiftKey: true }, false)).toBe('history');
  expect(keyAction({ ...h, metaKey: true, shiftKey: true }, true)).toBe('history');
  expect(keyAction({ ...h, metaKey: true }, true)).toBeNull();
  expect(keyAction({ ...h, ctrlKey: true }, false)).toBeNull();
});

test('C8 Shift+Return is a line break, other Returns are the program’s', () => {
  const enter = { ...none, key: 'Enter', code: 'Enter' };
  expect(keyAction({ ...enter, shiftKey: true }, false)).toBe('new-line');
  expect(keyAction(enter, false)).toBeNull();
  expect(keyAction({ ...enter, shiftKey: true, altKey: true }, false)).toBeNull();
  expect(keyAction({ ...enter, ctrlKey: true, shiftKey: true }, false)).toBeNull();
});
