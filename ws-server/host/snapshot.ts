/**
 * Turns a terminal into text that redraws it in an empty terminal of the same size: scrollback, screen, both buffers, modes,
 * cursor, saved cursor, scroll region, tab stops, charsets, pen and links. See docs/adr/0002-snapshot-serializer.md.
 */
import type { IBuffer, Terminal } from '@xterm/headless';
import { Charsets } from './charsets';
import { LINK_END, linkOf, linkText, penText, SGR_RESET, sgr, styleText } from './pen';
import { ATTR, type Attributes, type Cell, type InternalBuffer, type Internals, internalsOf } from './xterm-internals';

const CSI = '\x1b[';
/** Ends a pen with a link, and nothing else. */
const ST = '\x1b\\';
/** Codepoints below never join with a neighbour (Unicode Grapheme_Cluster_Break: first Extend is U+0300). */
const FIRST_JOINING = 0x300;

/** What the caller knows and the terminal does not. */
export type SnapshotExtras = { title: string; colours: string };

/** How much of a terminal goes into its snapshot, and when to give up: `bytesLeft` and the `rows` drawn are counted along. */
type Detail = { scrollback: number; plainRows: number; bytesLeft: number; rows: number };

/**
 * The snapshot of a terminal as text.
 * @param bytesMax bytes of UTF-8; the oldest scrollback gives way first, then the attributes of the top rows
 * @param scrollbackMax lines of scrollback to take along
 */
export function serialize(
  terminal: Terminal,
  extras: SnapshotExtras,
  bytesMax: number,
  scrollbackMax: number = Number.POSITIVE_INFINITY,
): string {
  let scrollback = Math.min(internalsOf(terminal).buffers.normal.ybase, scrollbackMax);
  let plainRows = 0;
  for (;;) {
    const detail = { scrollback, plainRows, bytesLeft: bytesMax, rows: 0 };
    const text = serializeOnce(terminal, extras, detail);
    const isLast = scrollback === 0 && plainRows === terminal.rows;
    if (text !== null && (isLast || Buffer.byteLength(text) <= bytesMax)) return text;
    if (isLast) return ''; // half a million cells of long clusters: not even their text fits
    // What fitted this time says what will fit: a try costs no more than the text of a snapshot that is full.
    const fitting = Math.floor(detail.rows * 0.9);
    if (scrollback > 0) scrollback = Math.max(0, Math.min(Math.floor(scrollback / 2), fitting - terminal.rows));
    else
      plainRows = Math.min(terminal.rows, Math.max(plainRows + Math.ceil(terminal.rows / 8), terminal.rows - fitting));
  }
}

/**
 * All lines of the normal screen down to the last one with text, with their attributes, each from column 0 of an empty line. No
 * modes, no title; the cursor is left behind the last character.
 * @param bytesMax bytes of UTF-8; the oldest lines give way
 */
export function serializeLines(terminal: Terminal, bytesMax: number): string {
  const buffer = terminal.buffer.normal;
  const core = internalsOf(terminal);
  let end = core.buffers.normal.ybase + terminal.rows;
  while (end > 0 && !buffer.getLine(end - 1)?.translateToString(true)) end -= 1;
  for (let from = 0; from < end; from += Math.ceil((end - from) / 2)) {
    const detail = { scrollback: 0, plainRows: 0, bytesLeft: bytesMax, rows: 0 };
    const text = new BufferText(terminal, core, buffer).rows(from, end, detail, { row: from, text: '' });
    if (detail.bytesLeft >= 0 && Buffer.byteLength(text) <= bytesMax) return text;
  }
  return '';
}

/** The text, or null as soon as it is longer than `detail.bytesLeft`. */
function serializeOnce(terminal: Terminal, extras: SnapshotExtras, detail: Detail): string | null {
  const core = internalsOf(terminal);
  const { normal, alt, active } = core.buffers;
  const charsets = new Charsets(core);
  let text = extras.colours;
  const first = normal.ybase - detail.scrollback;
  const normalText = new BufferText(terminal, core, terminal.buffer.normal);
  text += normalText.rows(first, normal.ybase + terminal.rows, detail, savedCursor(normal, terminal, charsets));
  text += bufferState(normal, terminal);
  if (active === alt) {
    // A change of size looks at where the cursor was left on the hidden screen.
    text += `${CSI}${normal.y + 1};${normal.x + 1}H`;
    // 47 switches without saving the cursor: what 1049 saved is restored above.
    text += `${SGR_RESET}${CSI}?47h${CSI}H`;
    const altText = new BufferText(terminal, core, terminal.buffer.alternate);
    text += altText.rows(0, terminal.rows, detail, savedCursor(alt, terminal, charsets));
    text += bufferState(alt, terminal);
  } else if (alt.savedX !== 0 || alt.savedY !== 0 || alt.savedCurAttrData.fg !== 0 || alt.savedCurAttrData.bg !== 0) {
    // The alternate buffer keeps its saved cursor while it is away.
    const { row, text: save } = savedCursor(alt, terminal, charsets);
    text += `${CSI}?47h${CSI}${Math.min(row, terminal.rows - 1) + 1}H${save}${CSI}?47l`;
  }
  if (detail.bytesLeft < 0) return null;
  return (
    text + charsets.current(active) + titleText(extras.title) + modes(terminal, core) + cursorAndPen(terminal, core)
  );
}

function titleText(title: string): string {
  return title ? `\x1b]2;${title}\x1b\\` : '';
}

const PLAIN_UNDERLINE: Attributes['extended'] = { underlineStyle: 1, underlineColor: 0, urlId: 0, _ext: 0 };

function colourOnly(cell: Attributes): boolean {
  return cell.fg === 0 && (cell.bg & ~ATTR.colourAll) === 0;
}

/** Rows of one buffer as text, from column 0 of an empty row to the end of the last row. */
class BufferText {
  readonly #terminal: Terminal;
  readonly #core: Internals;
  readonly #buffer: IBuffer;
  readonly #cell: Cell;
  #style = '';
  /** The link that is open. It stays open over wraps and changes of style, so that it is the same link behind them. */
  #urlId = 0;
  #joinState = 0;
  #lastCode = 0;
  #isPlain = false;

  constructor(terminal: Terminal, core: Internals, buffer: IBuffer) {
    this.#terminal = terminal;
    this.#core = core;
    this.#buffer = buffer;
    // The public cell object is xterm's CellData: the attributes are plain fields of it.
    this.#cell = buffer.getNullCell() as Cell;
  }

  rows(from: number, to: number, detail: Detail, saved: SavedCursor): string {
    const parts = [SGR_RESET];
    this.#style = SGR_RESET;
    // It is saved while its row is drawn: it stays with that row, also when the row scrolls away.
    const savedRow = Math.min(Math.max(saved.row, from), to - 1);
    for (let y = from; y < to; y++) {
      this.#isPlain = to - y > this.#terminal.rows - detail.plainRows && detail.plainRows > 0;
      const isWrapped = y > from && this.#buffer.getLine(y)?.isWrapped === true;
      if (y > from && !isWrapped) parts.push(this.#setPen(SGR_RESET, 0), '\r\n');
      if (y === savedRow) parts.push(this.#setPen(SGR_RESET), saved.text);
      const isFollowed = y + 1 < to && this.#buffer.getLine(y + 1)?.isWrapped === true;
      const row = this.#row(y, isFollowed);
      parts.push(row);
      detail.bytesLeft -= row.length; // at least: UTF-8 is never shorter than UTF-16
      if (detail.bytesLeft < 0) return '';
      detail.rows += 1;
    }
    parts.push(this.#setPen(SGR_RESET, 0));
    return parts.join('');
  }

  /** One row; when the next one continues it, also the wrap, which leaves the cursor at column 0 of that next row. */
  #row(y: number, isFollowed: boolean): string {
    const { cols } = this.#terminal;
    let text = '';
    let blanks = 0; // null cells without colour that are not passed yet
    this.#joinState = 0;
    this.#lastCode = 0;
    for (let x = 0; x < cols; ) {
      const cell = this.#load(y, x);
      const code = cell.getCode();
      if (code === 0 && cell.getWidth() === 1) {
        if (cell.fg === 0 && cell.bg === 0) {
          blanks++;
          x++;
          continue;
        }
        text += this.#skip(blanks);
        blanks = 0;
        const run = this.#erasedRun(y, x);
        text += run.text;
        x += run.length;
        if (x < cols) text += this.#skip(run.move);
        continue;
      }
      text += this.#skip(blanks);
      blanks = 0;
      text += this.#print(cell);
      x += Math.max(1, cell.getWidth());
    }
    return isFollowed ? text + this.#wrap(y) : text;
  }

  #load(y: number, x: number): Cell {
    this.#buffer.getLine(y)?.getCell(x, this.#cell);
    if (this.#isPlain) {
      this.#cell.fg = 0;
      this.#cell.bg = 0;
    }
    return this.#cell;
  }

  #skip(cells: number): string {
    if (cells === 0) return '';
    this.#joinState = 0;
    return `${CSI}${cells}C`;
  }

  #setPen(style: string, urlId = this.#urlId): string {
    if (style === this.#style && urlId === this.#urlId) return '';
    const link = urlId === this.#urlId ? '' : linkText(urlId, this.#core._oscLinkService);
    this.#style = style;
    this.#urlId = urlId;
    this.#joinState = 0;
    return link + style;
  }

  #setPenOf(cell: Attributes): string {
    return this.#setPen(styleText(cell), linkOf(cell, this.#core._oscLinkService));
  }

  /** Empty cells that keep a colour, from `x` on: ECH leaves the cursor, so `move` cells are still to be passed. */
  #erasedRun(y: number, x: number): { text: string; length: number; move: number } {
    const { cols } = this.#terminal;
    const { fg, bg } = this.#load(y, x);
    if (!colourOnly({ fg, bg, extended: this.#cell.extended }) && x + 1 < cols) {
      // Only half an overwritten wide character leaves an empty cell with other attributes than a background.
      const pen = this.#setPenOf(this.#cell);
      const next = `${CSI}${x + 2}G`;
      return { text: `${pen}\u4e00${next} ${next}${this.#setPen(SGR_RESET)}${CSI}X`, length: 1, move: 0 };
    }
    let length = 1;
    while (x + length < cols) {
      const next = this.#load(y, x + length);
      if (next.getCode() !== 0 || next.getWidth() !== 1 || next.fg !== fg || next.bg !== bg) break;
      length++;
    }
    this.#load(y, x);
    return { text: `${this.#setPen(styleText(this.#cell))}${CSI}${length}X`, length, move: length };
  }

  #print(cell: Cell): string {
    const chars = cell.getChars() || ' ';
    let text = this.#setPenOf(cell);
    const first = chars.codePointAt(0) ?? 0;
    const mayJoin = first >= FIRST_JOINING || this.#lastCode >= FIRST_JOINING;
    if (mayJoin && this.#joinState !== 0) {
      const joins = (this.#core.unicodeService.charProperties(first, this.#joinState) & 1) !== 0;
      // Any control sequence ends a grapheme cluster; the pen again changes nothing.
      if (joins) {
        text += this.#style;
        this.#joinState = 0;
      }
    }
    for (const char of chars) {
      const code = char.codePointAt(0) ?? 0;
      this.#joinState = this.#core.unicodeService.charProperties(code, this.#joinState);
      this.#lastCode = code;
    }
    return text + chars;
  }

  /**
   * Wraps from row y into the next, so that the next is marked as its continuation. A plain space does it, in the default pen,
   * because a wrap that scrolls fills the new row with the pen's background. Fillers are erased again afterwards.
   */
  #wrap(y: number): string {
    const { cols } = this.#terminal;
    let last = cols - 1;
    while (last >= 0 && this.#isEmptyAt(y, last)) last--;
    const missing = cols - 1 - last;
    // A link that goes on, or begins behind the wrap, belongs to both rows: xterm forgets links of rows that a resize joins.
    const begin = this.#setPen(SGR_RESET, linkOf(this.#load(y + 1, 0), this.#core._oscLinkService));
    // Blank cells at the end were passed over, erased ones are still under the cursor: go there and print spaces over them.
    const fillers = missing > 0 ? `\r${last >= 0 ? this.#skip(last + 1) : ''}${' '.repeat(missing)}` : '';
    let text = `${begin}${fillers} \r${CSI}X`;
    if (missing > 0 && this.#terminal.rows > 1) {
      text += `${CSI}A`;
      text += this.#erasedTail(y, last + 1);
      text += `${this.#setPen(SGR_RESET)}${CSI}B\r`;
    }
    this.#joinState = 0;
    return text;
  }

  #isEmptyAt(y: number, x: number): boolean {
    const cell = this.#load(y, x);
    return cell.getCode() === 0 && cell.getWidth() === 1;
  }

  #erasedTail(y: number, from: number): string {
    let text = '';
    for (let x = from; x < this.#terminal.cols; ) {
      text += `\r${this.#skip(x)}`;
      const cell = this.#load(y, x);
      if (cell.fg === 0 && cell.bg === 0) {
        text += `${this.#setPen(SGR_RESET)}${CSI}X`;
        x++;
        continue;
      }
      const run = this.#erasedRun(y, x);
      text += run.text;
      x += run.length;
    }
    return text;
  }
}

/** Tab stops and scroll region of one buffer, which must be the active one when the text is written. */
function bufferState(buffer: InternalBuffer, terminal: Terminal): string {
  let text = '';
  const isDefaultTab = (column: number) => column % 8 === 0;
  const columns = Array.from({ length: terminal.cols }, (_, column) => column);
  if (columns.some((column) => Boolean(buffer.tabs[column]) !== isDefaultTab(column))) {
    text += `${CSI}3g`;
    for (const column of columns) if (buffer.tabs[column]) text += `${CSI}${column + 1}G\x1bH`;
  }
  if (buffer.scrollTop !== 0 || buffer.scrollBottom !== terminal.rows - 1) {
    text += `${CSI}${buffer.scrollTop + 1};${buffer.scrollBottom + 1}r`;
  }
  return text;
}

/** The row that a saved cursor is in, counted from the oldest line, and the text that saves it from there and goes back. */
type SavedCursor = { row: number; text: string };

function savedCursor(buffer: InternalBuffer, terminal: Terminal, charsets: Charsets): SavedCursor {
  const { fg, bg } = buffer.savedCurAttrData;
  const pen = sgr({ fg, bg, extended: PLAIN_UNDERLINE });
  const save = `${pen}${charsets.select(buffer.savedCharset)}\x1b7${charsets.select(undefined)}${SGR_RESET}`;
  // The row is still empty. A pending wrap comes from printing into its last cell, which is erased again.
  const last = `${CSI}${terminal.cols}G`;
  const text = buffer.savedX < terminal.cols ? `${CSI}${buffer.savedX + 1}G${save}` : `${last} ${save}${last}${CSI}X`;
  return { row: buffer.savedY, text: `${text}\r` };
}

const MOUSE_PROTOCOLS: Record<string, number> = { X10: 9, VT200: 1000, DRAG: 1002, ANY: 1003 };
const MOUSE_ENCODINGS: Record<string, number> = { SGR: 1006, SGR_PIXELS: 1016 };
const CURSOR_STYLES = { block: 1, underline: 3, bar: 5 } as const;

function modes(terminal: Terminal, core: Internals): string {
  const { decPrivateModes: dec, isCursorHidden, modes: ansi } = core.coreService;
  let text = '';
  const set = (isOn: boolean | undefined, mode: number) => {
    if (isOn) text += `${CSI}?${mode}h`;
  };
  set(dec.applicationCursorKeys, 1);
  set(terminal.options.cursorBlink, 12);
  set(dec.reverseWraparound, 45);
  set(dec.applicationKeypad, 66);
  const protocol = MOUSE_PROTOCOLS[core.coreMouseService.activeProtocol];
  if (protocol) set(true, protocol);
  const encoding = MOUSE_ENCODINGS[core.coreMouseService.activeEncoding];
  if (encoding) set(true, encoding);
  set(dec.sendFocus, 1004);
  set(dec.bracketedPasteMode, 2004);
  set(dec.origin, 6);
  if (isCursorHidden) text += `${CSI}?25l`;
  if (dec.cursorStyle) text += `${CSI}${CURSOR_STYLES[dec.cursorStyle] + (dec.cursorBlink ? 0 : 1)} q`;
  if (terminal.options.convertEol) text += `${CSI}20h`;
  // Synchronised output holds the drawing back, so it comes last of the modes that a redraw can see.
  set(dec.synchronizedOutput, 2026);
  return text + (ansi.insertMode ? `${CSI}4h` : '') + (dec.wraparound ? '' : `${CSI}?7l`);
}

/** The pen keeps an underline colour also while it draws no underline, and a link only where the flag says so. */
function penState({ fg, bg, extended }: Attributes): Attributes {
  if (bg & ATTR.bgHasExtended) return { fg, bg, extended };
  // DECRC brings back that the pen underlines, without style and colour.
  const underlineColor = fg & ATTR.fgUnderline ? 0 : extended.underlineColor;
  return { fg, bg: bg | ATTR.bgHasExtended, extended: { ...PLAIN_UNDERLINE, underlineColor } };
}

/** Cursor, pen and the state of an unfinished grapheme cluster or pending wrap: always the last part. */
function cursorAndPen(terminal: Terminal, core: Internals): string {
  const buffer = core.buffers.active;
  const pen = core._inputHandler._curAttrData;
  const setPen = penText(penState(pen), core._oscLinkService);
  const top = core.coreService.decPrivateModes.origin ? buffer.scrollTop : 0;
  const moveTo = (x: number) => `${CSI}${Math.max(buffer.y - top, 0) + 1};${x + 1}H`;
  const isPendingWrap = buffer.x >= terminal.cols;
  const isJoining = core._inputHandler._parser.precedingJoinState !== 0 && buffer.x > 0;
  const plain = `${moveTo(Math.min(buffer.x, terminal.cols - 1))}${setPen}`;
  if (!isPendingWrap && !isJoining) return plain;

  // Printing the cell before the cursor once more brings back both the pending wrap and the cluster that may go on.
  const line = terminal.buffer.active.getLine(buffer.ybase + buffer.y);
  const cellAt = (x: number) => line?.getCell(x) as Cell | undefined;
  let x = buffer.x - 1;
  if (x > 0 && cellAt(x)?.getWidth() === 0 && cellAt(x)?.getChars() === '') x--;
  const cell = cellAt(x);
  if (!cell) return plain;
  const cellPen = penText(cell, core._oscLinkService);
  // In insert mode the cell makes room for itself: what it pushes out is what was deleted before.
  const room = core.coreService.modes.insertMode ? `${CSI}${Math.max(1, cell.getWidth())}P` : '';
  const print = `${moveTo(x)}${cellPen}${room}${cell.getChars() || ' '}`;
  if (cellPen === setPen && isJoining) return print;
  return isPendingWrap ? `${print}${cellPen.endsWith(ST) ? LINK_END : ''}${setPen}` : plain;
}
