/** The server-side screen of a session: it parses output, answers terminal queries, and gives snapshots. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import headless, { type Terminal } from '@xterm/headless';
import { cleanLabel } from '@/lib/protocol/clean-text';
import { SCROLLBACK_LINES, SNAPSHOT_BYTES_MAX, TITLE_LENGTH_MAX } from '@/lib/protocol/limits';
import { guardEraseAbove, keepAlternateScreenFlat, WholeCharacters } from '@/lib/protocol/terminal';
import type { CellSize, Colours, Size } from '@/lib/protocol/wire';
import { DynamicColours } from './colours';
import { isSameTerminal } from './same-terminal';
import type { Cut } from './skim';
import { serialize } from './snapshot';
import { UnicodeGraphemesAddon } from './unicode';
import { internalsOf, PARSER_GROUND, recoverParser } from './xterm-internals';

const ESC = 0x1b;
/** What xterm.js keeps of one cell: three numbers of 32 bits. */
const CELL_BYTES = 12;
/** What the host says to XTVERSION: the emulator whose behaviour programs get. */
const XTVERSION = '\x1bP>|xterm.js(6.0.0)\x1b\\';

/** A snapshot frame's content; `parsed` is the position whose marks are contained in it. */
export type Snapshot = Size & { position: number; parsed: number; text: Buffer };

/** A screen that is put away: its snapshot, compressed, and what text cannot say. */
export type SleepingScreen = Omit<Snapshot, 'text'> & { deflated: Uint8Array; continuesAbove: boolean };

/** What a screen tells its session. */
export type ScreenEvents = {
  /** To be written to the pty: an answer to a query, in a fixed form whatever the program printed. */
  reply: (text: string) => void;
  title: (title: string) => void;
  /** The emulator threw; the screen goes on behind the bytes that made it. */
  fault: (error: unknown) => void;
};

/** Without characters that steer, and at most 256 UTF-16 units long. */
export function cleanTitle(title: string): string {
  return cleanLabel(title, TITLE_LENGTH_MAX);
}

export class Screen {
  readonly terminal: Terminal;
  readonly #colours: DynamicColours;
  readonly #write: (data: Uint8Array) => void;
  #cell: CellSize | null = null;
  #title = '';
  #position = 0;
  readonly #characters = new WholeCharacters();
  /** Where the escape sequence that is not complete yet began. */
  #unfinished: number | null = null;

  constructor(size: Size, events: ScreenEvents) {
    this.terminal = new headless.Terminal({
      ...size,
      scrollback: SCROLLBACK_LINES,
      allowProposedApi: true,
      logLevel: 'off',
      windowOptions: { getWinSizePixels: true, getCellSizePixels: true, getWinSizeChars: true },
    });
    this.terminal.loadAddon(new UnicodeGraphemesAddon());
    guardEraseAbove(this.terminal);
    keepAlternateScreenFlat(this.terminal);
    const core = internalsOf(this.terminal);
    this.#write = (data) => {
      try {
        core.writeSync(data);
      } catch (error) {
        recoverParser(core);
        events.fault(error);
      }
    };
    this.#colours = new DynamicColours(events.reply);
    this.terminal.onData(events.reply);
    this.terminal.onTitleChange((title) => {
      this.#title = cleanTitle(title);
      events.title(this.#title);
    });
    this.#answerQueries(events.reply);
  }

  /** The screen that was put away, as it was. Nothing is told of what it had told before. */
  static wake(asleep: SleepingScreen, events: ScreenEvents): Screen {
    let isAwake = false;
    const screen = new Screen(asleep, {
      reply: (text) => isAwake && events.reply(text),
      title: (title) => isAwake && events.title(title),
      fault: events.fault,
    });
    screen.#write(inflateRawSync(asleep.deflated));
    const first = internalsOf(screen.terminal).buffers.normal.lines.get(0);
    if (first) first.isWrapped = asleep.continuesAbove;
    screen.#position = asleep.parsed;
    isAwake = true;
    return screen;
  }

  /** The screen as it can be put away, or null when a terminal made from it would not be exactly the same. */
  sleep(): SleepingScreen | null {
    if (!this.isAtRest) return null;
    const { text, ...snapshot } = this.snapshot(this.#position);
    const continuesAbove = internalsOf(this.terminal).buffers.normal.lines.get(0)?.isWrapped === true;
    // zlib gives a view into a larger block.
    const asleep = { ...snapshot, deflated: new Uint8Array(deflateRawSync(text)), continuesAbove };
    const copy = Screen.wake(asleep, { reply: () => undefined, title: () => undefined, fault: () => undefined });
    const isSame =
      isSameTerminal(copy.terminal, this.terminal) &&
      copy.title === this.title &&
      copy.#colours.snapshot() === this.#colours.snapshot();
    copy.dispose();
    return isSame ? asleep : null;
  }

  /** Bytes parsed so far. */
  get position(): number {
    return this.#position;
  }

  get size(): Size {
    return { cols: this.terminal.cols, rows: this.terminal.rows };
  }

  /** Memory of the lines that are held (bytes); attributes that only few cells have are not counted. */
  get bytes(): number {
    const { normal, alternate } = this.terminal.buffer;
    return (normal.length + alternate.length) * this.terminal.cols * CELL_BYTES;
  }

  get title(): string {
    return this.#title;
  }

  /** What the driver's terminal looks like, for answers to queries. */
  describe(viewer: { cell?: CellSize | undefined; colours?: Colours | undefined }): void {
    if (viewer.cell) this.#cell = viewer.cell;
    if (viewer.colours) this.#colours.viewer = viewer.colours;
  }

  /**
   * Parses output, at once. A character that is not complete yet waits for its rest.
   */
  write(data: Uint8Array): void {
    this.#parse(this.#characters.push(data));
  }

  /** Draws text that is no part of the stream. It must be complete, and come before any output. */
  draw(text: Uint8Array): void {
    this.#write(text);
  }

  /** Whether the next byte begins a character, and no sequence is under way. */
  get isAtRest(): boolean {
    return this.#characters.isWhole && internalsOf(this.terminal)._inputHandler._parser.currentState === PARSER_GROUND;
  }

  /**
   * Whether text that scrolls out leaves nothing behind but the pen: it is drawn on the normal screen, all of which scrolls, no
   * backspace leads to the line above, and no link is open that would have to stay known.
   */
  get scrollsPlainly(): boolean {
    const { buffers, coreService, _inputHandler } = internalsOf(this.terminal);
    const { active, normal } = buffers;
    const scrollsWhole = active.scrollTop === 0 && active.scrollBottom === this.terminal.rows - 1;
    const isLinked = _inputHandler._curAttrData.extended.urlId !== 0;
    return (
      this.isAtRest && active === normal && scrollsWhole && !coreService.decPrivateModes.reverseWraparound && !isLinked
    );
  }

  /** Goes on behind text that is sure to scroll out, in the first column and with the pen that it left. Only while `scrollsPlainly`. */
  leaveOut({ position, pen }: Cut): void {
    this.#write(Buffer.from(`${pen}\r`));
    this.#position = position;
  }

  /** Parses what waits for its rest; the stream has ended. */
  finish(): void {
    this.#parse(this.#characters.flush());
  }

  #parse(data: Uint8Array): void {
    if (data.length === 0) return;
    this.#write(data);
    if (internalsOf(this.terminal)._inputHandler._parser.currentState === PARSER_GROUND) {
      this.#unfinished = null;
    } else {
      const start = startOfSequence(data);
      if (start !== null) this.#unfinished = this.#position + start;
    }
    this.#position += data.length;
  }

  resize({ cols, rows }: Size): void {
    this.terminal.resize(cols, rows);
  }

  /**
   * The screen as text. Its position is where the unfinished sequence began, if there is one: those bytes have had no effect
   * yet, and the viewer gets them again.
   * @param start the lowest position that the ring still holds
   * @param scrollback lines above the screen to take along
   */
  snapshot(start: number, scrollback: number = SCROLLBACK_LINES): Snapshot {
    const position = this.#unfinished !== null && this.#unfinished >= start ? this.#unfinished : this.#position;
    const extras = { title: this.#title, colours: this.#colours.snapshot() };
    const text = Buffer.from(serialize(this.terminal, extras, SNAPSHOT_BYTES_MAX, scrollback));
    return { ...this.size, position, parsed: this.#position, text };
  }

  /** The last lines of scrollback and screen as plain text, without empty lines at the end. */
  lines(count: number): string[] {
    const buffer = this.terminal.buffer.active;
    const result: string[] = [];
    for (let y = buffer.length - 1; y >= 0 && result.length < count; y--) {
      const text = buffer.getLine(y)?.translateToString(true) ?? '';
      if (text !== '' || result.length > 0) result.push(text);
    }
    return result.reverse();
  }

  dispose(): void {
    this.terminal.dispose();
  }

  #answerQueries(reply: (text: string) => void): void {
    const { parser } = this.terminal;
    const colours = this.#colours;
    parser.registerOscHandler(4, (data) => {
      colours.palette(data);
      return true;
    });
    for (const code of [10, 11, 12] as const) {
      parser.registerOscHandler(code, (data) => {
        colours.special(code, data);
        return true;
      });
    }
    parser.registerOscHandler(104, (data) => {
      colours.resetPalette(data);
      return true;
    });
    for (const code of [110, 111, 112] as const) {
      parser.registerOscHandler(code, () => {
        colours.resetSpecial(code);
        return true;
      });
    }
    parser.registerCsiHandler({ prefix: '>', final: 'q' }, (params) => {
      if (!params[0]) reply(XTVERSION);
      return true;
    });
    parser.registerCsiHandler({ final: 't' }, (params) => {
      const cell = this.#cell;
      const { cols, rows } = this.size;
      if (params[0] === 14 && params[1] !== 2 && cell) {
        reply(`\x1b[4;${Math.round(cell.height * rows)};${Math.round(cell.width * cols)}t`);
      }
      if (params[0] === 16 && cell) reply(`\x1b[6;${Math.round(cell.height)};${Math.round(cell.width)}t`);
      if (params[0] === 18) reply(`\x1b[8;${rows};${cols}t`);
      return true;
    });
  }
}

/** Index of the byte that began the escape sequence that `data` ends inside of, or null when it began earlier. */
function startOfSequence(data: Uint8Array): number | null {
  let start = data.lastIndexOf(ESC);
  for (let n = data.length - 1; n > start + 1 && n > 0; n--) {
    // C1 controls as UTF-8: DCS, SOS, CSI, OSC, PM, APC.
    if (data[n - 1] === 0xc2 && [0x90, 0x98, 0x9b, 0x9d, 0x9e, 0x9f].includes(data[n] ?? 0)) start = n - 1;
  }
  return start === -1 ? null : start;
}
