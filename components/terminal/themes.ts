/** The terminal's colours, light and dark; the host answers colour queries with the same ones. */
import type { ITheme } from '@xterm/xterm';
import type { Theme } from '@/components/ui/preferences';
import type { Colours } from '@/lib/protocol/wire';

/** The names of the 16 colours in the order of their numbers. */
const PALETTE_NAMES = [
  'black',
  'red',
  'green',
  'yellow',
  'blue',
  'magenta',
  'cyan',
  'white',
  'brightBlack',
  'brightRed',
  'brightGreen',
  'brightYellow',
  'brightBlue',
  'brightMagenta',
  'brightCyan',
  'brightWhite',
] as const;

type PaletteName = (typeof PALETTE_NAMES)[number];
type TerminalTheme = Omit<ITheme, PaletteName> &
  Record<PaletteName | 'foreground' | 'background' | 'cursor', string> & {
    /** How matches of a search are marked. */
    match: { background: string; active: string; ruler: string };
  };

/** Text colours reach 4.5:1 on their background, but for the one colour that is meant to vanish in it. */
export const THEMES: Record<Theme, TerminalTheme> = {
  dark: {
    foreground: '#e4e7ea',
    background: '#0d0f11',
    cursor: '#e4e7ea',
    cursorAccent: '#0d0f11',
    selectionBackground: '#2f5d6bb0',
    selectionInactiveBackground: '#3a4148a0',
    scrollbarSliderBackground: '#8f99a333',
    scrollbarSliderHoverBackground: '#8f99a366',
    scrollbarSliderActiveBackground: '#8f99a388',
    overviewRulerBorder: '#00000000',
    black: '#2b3138',
    red: '#ff7b72',
    green: '#57c46b',
    yellow: '#e3a63f',
    blue: '#79b8ff',
    magenta: '#c99bf5',
    cyan: '#4fc3d4',
    white: '#c3cad1',
    brightBlack: '#87919b',
    brightRed: '#ffa69e',
    brightGreen: '#85df95',
    brightYellow: '#f4cc6f',
    brightBlue: '#a8d1ff',
    brightMagenta: '#dfc2ff',
    brightCyan: '#8be3ee',
    brightWhite: '#ffffff',
    match: { background: '#4a3c10', active: '#8f6200', ruler: '#e3a63f' },
  },
  light: {
    foreground: '#15191d',
    background: '#ffffff',
    cursor: '#15191d',
    cursorAccent: '#ffffff',
    selectionBackground: '#9fd4dfa0',
    selectionInactiveBackground: '#c6cbd190',
    scrollbarSliderBackground: '#59636d33',
    scrollbarSliderHoverBackground: '#59636d55',
    scrollbarSliderActiveBackground: '#59636d77',
    overviewRulerBorder: '#00000000',
    black: '#1f242a',
    red: '#c92a2a',
    green: '#237a32',
    yellow: '#8a5600',
    blue: '#1864c7',
    magenta: '#8b3fc0',
    cyan: '#0b7285',
    white: '#69727b',
    brightBlack: '#59636d',
    brightRed: '#b3201f',
    brightGreen: '#18692a',
    brightYellow: '#754800',
    brightBlue: '#0f4fa8',
    brightMagenta: '#7430a6',
    brightCyan: '#075f70',
    brightWhite: '#a9b1b9',
    match: { background: '#ffe8a3', active: '#ffc53d', ruler: '#945200' },
  },
};

/** What the host has to know of a theme. */
export function coloursOf(name: Theme): Colours {
  const theme = THEMES[name];
  const { foreground, background, cursor } = theme;
  return { foreground, background, cursor, palette: PALETTE_NAMES.map((colour) => theme[colour]) };
}
