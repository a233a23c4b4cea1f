import { expect, test } from 'vitest';
import { coloursSchema } from '@/lib/protocol/wire';
import { coloursOf, THEMES } from './themes';

/** Relative luminance by WCAG 2.2. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((start) => {
    const channel = Number.parseInt(colour.slice(start, start + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

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
