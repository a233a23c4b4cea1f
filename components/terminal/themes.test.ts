import { expect, test } from 'vitest';
import { coloursSchema } from '@/lib/protocol/wire';
import { contrast } from '@/tests/harness/contrast';
import { coloursOf, THEMES } from './themes';

test.each([
  ['dark', 0],
  ['light', 15],
] as const)(
  'C11 the %s theme is readable: every text colour but number %i has a contrast of 4.5:1',
  (name, vanishing) => {
    const { foreground, background, cursor, palette = [] } = coloursOf(name);
    const texts = [foreground, cursor, ...palette.filter((_, number) => number !== vanishing)];
    expect(texts.filter((colour) => contrast(colour, background) < 4.5)).toEqual([]);
  },
);

test.each(['dark', 'light'] as const)('C11 the %s theme is what the host accepts', (name) => {
  expect(coloursSchema.parse(coloursOf(name))).toMatchObject({ background: THEMES[name].background });
  expect(new Set(coloursOf(name).palette).size).toBe(16);
});
