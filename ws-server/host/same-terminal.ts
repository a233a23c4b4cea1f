/** Whether one terminal is as good as another: whatever comes, both look and answer alike. */
import { isDeepStrictEqual } from 'node:util';
import type { Terminal } from '@xterm/headless';
import {
  ATTR,
  type Attributes,
  type InternalBuffer,
  type InternalLine,
  type Internals,
  internalsOf,
} from './xterm-internals';

/** Numbers of a cell in a line's data: content, foreground, background. */
const CELL_NUMBERS = 3;
/** The content of a cell: the text is kept beside the line, and the width is in the bits above. */
const IS_COMBINED = 1 << 21;
const WIDTH_SHIFT = 22;

/** Compares cells with all attributes, scrollback, wraps, cursors, pens, modes, regions, tab stops, charsets and links. */
export function isSameTerminal(a: Terminal, b: Terminal): boolean {
  const [one, other] = [internalsOf(a), internalsOf(b)];
  return (
    isDeepStrictEqual(stateOf(a, one), stateOf(b, other)) &&
    hasSameLines(one, other, one.buffers.normal, other.buffers.normal) &&
    hasSameLines(one, other, one.buffers.alt, other.buffers.alt)
  );
}

function stateOf({ cols, rows, options }: Terminal, core: Internals) {
  const { normal, alt, active } = core.buffers;
  const { isCursorHidden, modes, decPrivateModes } = core.coreService;
  const { charset, glevel, _charsets } = core._charsetService;
  const { activeProtocol, activeEncoding } = core.coreMouseService;
  const { _curAttrData, _parser } = core._inputHandler;
  return {
    ...{ cols, rows, isCursorHidden, modes, decPrivateModes, glevel, activeProtocol, activeEncoding },
    options: [options.convertEol, options.cursorBlink],
    isAlternate: active === alt,
    buffers: [bufferState(normal), bufferState(alt)],
    // Charset tables are compared by what is in them; an unused set is as good as none.
    charsets: [charset, _charsets[0], _charsets[1], _charsets[2], _charsets[3]],
    pen: attributesOf(_curAttrData, core),
    parser: [_parser.currentState, _parser.precedingJoinState],
  };
}

function bufferState(buffer: InternalBuffer) {
  const { x, y, ybase, scrollTop, scrollBottom, savedX, savedY, savedCharset, savedCurAttrData, tabs } = buffer;
  return {
    ...{ x, y, ybase, scrollTop, scrollBottom, savedX, savedCharset },
    length: buffer.lines.length,
    // A saved cursor whose row has scrolled out comes back in the first row, however long ago that was.
    savedRow: Math.max(savedY - ybase, 0),
    savedPen: [plain(savedCurAttrData.fg), plain(savedCurAttrData.bg)],
    tabs: Object.keys(tabs).filter((column) => tabs[Number(column)]),
  };
}

function hasSameLines(one: Internals, other: Internals, a: InternalBuffer, b: InternalBuffer): boolean {
  for (let y = 0; y < a.lines.length; y++) {
    const [line, twin] = [a.lines.get(y), b.lines.get(y)];
    if (!line || !twin || line.isWrapped !== twin.isWrapped || line._data.length !== twin._data.length) return false;
    for (let n = 0; n < line._data.length; n += CELL_NUMBERS) {
      if (!isSameCell(line, twin, n, one, other)) return false;
    }
  }
  return true;
}

function isSameCell(line: InternalLine, twin: InternalLine, n: number, one: Internals, other: Internals): boolean {
  const [content = 0, fg = 0, bg = 0] = [line._data[n], line._data[n + 1], line._data[n + 2]];
  const [content2 = 0, fg2 = 0, bg2 = 0] = [twin._data[n], twin._data[n + 1], twin._data[n + 2]];
  const x = n / CELL_NUMBERS;
  if ((content & IS_COMBINED) !== 0 && (content2 & IS_COMBINED) !== 0) {
    if (content >>> WIDTH_SHIFT !== content2 >>> WIDTH_SHIFT || line._combined[x] !== twin._combined[x]) return false;
  } else if (content !== content2) {
    return false;
  }
  if (((bg | bg2) & ATTR.bgHasExtended) === 0) {
    return (fg === fg2 && bg === bg2) || (plain(fg) === plain(fg2) && plain(bg) === plain(bg2));
  }
  const [extended, extended2] = [line._extendedAttrs[x], twin._extendedAttrs[x]];
  if (!extended || !extended2) return false;
  return isDeepStrictEqual(
    attributesOf({ fg, bg, extended }, one),
    attributesOf({ fg: fg2, bg: bg2, extended: extended2 }, other),
  );
}

function attributesOf({ fg, bg, extended }: Attributes, { _oscLinkService }: Internals) {
  const { underlineStyle, underlineColor, urlId } = extended;
  return [plain(fg), plain(bg), underlineStyle, plain(underlineColor), _oscLinkService.getLinkData(urlId)];
}

/** A palette colour leaves bits of an older 24-bit colour beside it, and no colour those of any; nothing ever shows them. */
function plain(value: number): number {
  const mode = value & ATTR.colourMode;
  if (mode === ATTR.rgb) return value;
  return mode === 0 ? value & ~ATTR.colourAll : value & ~0xffff00;
}
