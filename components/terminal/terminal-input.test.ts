import { expect, test } from 'vitest';
import { binaryBytes, isPassiveReport, textBytes } from './terminal-input';

test('I5 binary reports go out as bytes 0 to 255, text as UTF-8', () => {
  const every = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code));
  expect([...binaryBytes(every)]).toEqual(Array.from({ length: 256 }, (_, code) => code));
  expect([...textBytes('é🙂')]).toEqual([0xc3, 0xa9, 0xf0, 0x9f, 0x99, 0x82]);
});

test.each(['\x1b[I', '\x1b[O', '\x1b[<35;10;5M', '\x1b[<39;1;1M'])('C9 %j is no typing', (report) => {
  expect(isPassiveReport(report)).toBe(true);
});

test.each(['i', '[I', '\x1b[A', '\x1b[<0;10;5M', '\x1b[<32;10;5M', '\x1b[<64;1;1M', '\x1b[<35;10;5m', '\x1b[Ix'])(
  'C9 %j is typing',
  (input) => {
    expect(isPassiveReport(input)).toBe(false);
  },
);
