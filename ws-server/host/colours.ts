/** Dynamic colours (OSC 4, 10, 11, 12 and their resets): what programs set, and the fixed-form answers to their questions. */
import type { Colours } from '@/lib/protocol/wire';

/** Answers when no viewer has told its colours: light grey on black. */
const DEFAULT_COLOURS: Colours = { foreground: '#e5e5e5', background: '#000000', cursor: '#e5e5e5' };

/** The first 16 colours of xterm, for viewers that tell no palette. */
const ANSI_16 = [
  ...['#000000', '#cd0000', '#00cd00', '#cdcd00', '#0000ee', '#cd00cd', '#00cdcd', '#e5e5e5'],
  ...['#7f7f7f', '#ff0000', '#00ff00', '#ffff00', '#5c5cff', '#ff00ff', '#00ffff', '#ffffff'],
];

type Rgb = readonly [number, number, number];
type Special = 'foreground' | 'background' | 'cursor';
const SPECIALS: readonly Special[] = ['foreground', 'background', 'cursor'];
const FIRST_SPECIAL_OSC = 10;

/** The xterm 256 colour palette: 16 ANSI colours, a 6x6x6 cube, 24 greys. */
function paletteColour(index: number, colours: Colours): Rgb {
  if (index < 16) return parseColour(colours.palette?.[index] ?? ANSI_16[index] ?? '') ?? [0, 0, 0];
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return [grey, grey, grey];
  }
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  const cube = index - 16;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

/** Reads `rgb:h/h/h` with 1 to 4 hex digits each and `#` with 3, 6, 9 or 12 (XParseColor), as 8 bits a channel. */
function parseColour(text: string): Rgb | null {
  const lower = text.toLowerCase();
  const channels = /^rgb:([0-9a-f]{1,4})\/([0-9a-f]{1,4})\/([0-9a-f]{1,4})$/.exec(lower)?.slice(1);
  if (channels) {
    const [red = 0, green = 0, blue = 0] = channels.map((hex) =>
      Math.round((Number.parseInt(hex, 16) / (16 ** hex.length - 1)) * 255),
    );
    return [red, green, blue];
  }
  const hex = /^#((?:[0-9a-f]{3}){1,4})$/.exec(lower)?.[1];
  if (!hex) return null;
  const digits = hex.length / 3;
  const channel = (n: number) => {
    const part = hex.slice(n * digits, (n + 1) * digits);
    return digits === 1 ? Number.parseInt(part, 16) << 4 : Number.parseInt(part.slice(0, 2), 16);
  };
  return [channel(0), channel(1), channel(2)];
}

function spec([red, green, blue]: Rgb): string {
  const channel = (value: number) => {
    const hex = value.toString(16).padStart(2, '0');
    return hex + hex;
  };
  return `rgb:${channel(red)}/${channel(green)}/${channel(blue)}`;
}

/** The dynamic colours of one terminal. At most 256 + 3 overrides are kept. */
export class DynamicColours {
  /** The colours that the driver's terminal draws with. */
  viewer: Colours = DEFAULT_COLOURS;
  readonly #palette = new Map<number, Rgb>();
  readonly #special = new Map<Special, Rgb>();
  readonly #reply: (text: string) => void;

  constructor(reply: (text: string) => void) {
    this.#reply = reply;
  }

  /** OSC 4: pairs of index and colour, or `?`. */
  palette(data: string): void {
    const fields = data.split(';');
    for (let n = 0; n + 1 < fields.length; n += 2) {
      const index = Number(fields[n]);
      const value = fields[n + 1] ?? '';
      if (!/^\d{1,3}$/.test(fields[n] ?? '') || index > 255) continue;
      if (value === '?') {
        this.#reply(`\x1b]4;${index};${spec(this.#palette.get(index) ?? paletteColour(index, this.viewer))}\x1b\\`);
        continue;
      }
      const rgb = parseColour(value);
      if (rgb) this.#palette.set(index, rgb);
    }
  }

  /** OSC 10, 11, 12: one or more colours, the first for `code`, the next for the code after it. */
  special(code: 10 | 11 | 12, data: string): void {
    for (const [n, value] of data.split(';').slice(0, SPECIALS.length).entries()) {
      const name = SPECIALS[code - FIRST_SPECIAL_OSC + n];
      if (!name) return;
      if (value === '?') {
        const rgb = this.#special.get(name) ?? parseColour(this.viewer[name]) ?? [0, 0, 0];
        this.#reply(`\x1b]${code + n};${spec(rgb)}\x1b\\`);
        continue;
      }
      const rgb = parseColour(value);
      if (rgb) this.#special.set(name, rgb);
    }
  }

  /** OSC 104: the named indexes, or all. */
  resetPalette(data: string): void {
    if (data === '') this.#palette.clear();
    else for (const index of data.split(';')) this.#palette.delete(Number(index));
  }

  /** OSC 110, 111, 112. */
  resetSpecial(code: 110 | 111 | 112): void {
    const name = SPECIALS[code - 110];
    if (name) this.#special.delete(name);
  }

  /** The sequences that bring the overrides into a fresh terminal. */
  snapshot(): string {
    let text = '';
    for (const [index, rgb] of this.#palette) text += `\x1b]4;${index};${spec(rgb)}\x1b\\`;
    for (const [name, rgb] of this.#special)
      text += `\x1b]${FIRST_SPECIAL_OSC + SPECIALS.indexOf(name)};${spec(rgb)}\x1b\\`;
    return text;
  }
}
