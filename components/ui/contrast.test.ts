import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { contrast } from '@/tests/harness/contrast';

const css = readFileSync('app/globals.css', 'utf8');

/** The colours of a theme by their names in the style sheet. */
function coloursOf(selector: string): Record<string, string> {
  const block = css.split(`${selector} {`)[1]?.split('}')[0] ?? '';
  return Object.fromEntries([...block.matchAll(/--hf-([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, hex]) => [name, hex]));
}

/** A share of one colour over another, as `color-mix` makes it. */
function mix(over: string, under: string, share: number): string {
  const channel = (colour: string, at: number) => Number.parseInt(colour.slice(at, at + 2), 16);
  const mixed = [1, 3, 5].map((at) => Math.round(channel(over, at) * share + channel(under, at) * (1 - share)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

test.each([':root', '.dark'])('P21 text of the page reaches 4.5:1 on each background of %s', (selector) => {
  const theme = coloursOf(selector);
  const { warn = '', panel = '' } = theme;
  const colour = (name: string) =>
    name === 'warn-tint' ? mix(warn, panel, 0.16) : name === 'white' ? '#ffffff' : (theme[name] ?? '');
  const backgrounds = ['bg', 'panel', 'raised', 'hover'];
  const texts = ['text', 'muted', 'accent', 'danger', 'warn', 'ok'];
  const pairs = [
    ...backgrounds.flatMap((background) => texts.map((text) => [text, background] as const)),
    ['warn', 'warn-tint'] as const,
    ['on-accent', 'accent'] as const,
    ['white', 'danger-fill'] as const,
  ];
  const weak = pairs.filter(([text, background]) => contrast(colour(text), colour(background)) < 4.5);
  expect(weak).toEqual([]);
});

test.each([':root', '.dark'])('P21 edges of fields and the ring of the focus reach 3:1 in %s', (selector) => {
  const theme = coloursOf(selector);
  for (const background of ['bg', 'panel', 'raised']) {
    for (const edge of ['border-field', 'accent']) {
      expect(contrast(theme[edge] ?? '', theme[background] ?? ''), `${edge} on ${background}`).toBeGreaterThanOrEqual(
        3,
      );
    }
  }
});
