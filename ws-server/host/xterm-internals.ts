/**
 * The private state of @xterm/headless 6.0.0 that a snapshot needs and that its public API does not show.
 * The version is pinned; `xterm-internals.test.ts` fails when a new one moves any of it.
 */
import type { IBufferCell, Terminal } from '@xterm/headless';

/** Attributes of a cell or of the pen: bit fields as in xterm's `common/buffer/Constants.ts`. */
export type Attributes = {
  fg: number;
  bg: number;
  extended: { underlineStyle: number; underlineColor: number; urlId: number; _ext: number };
};

/** A cell read through the public API, with the fields behind it. */
export type Cell = IBufferCell & Attributes;

/** A row: three numbers for each cell, and beside them what does not fit into numbers. */
export type InternalLine = {
  isWrapped: boolean;
  _data: Uint32Array;
  _combined: Record<number, string | undefined>;
  _extendedAttrs: Record<number, Attributes['extended'] | undefined>;
};

export type InternalBuffer = {
  lines: { length: number; get(y: number): InternalLine | undefined };
  x: number;
  y: number;
  ybase: number;
  savedX: number;
  savedY: number;
  savedCurAttrData: Attributes;
  savedCharset: object | undefined;
  scrollTop: number;
  scrollBottom: number;
  tabs: Record<number, boolean | undefined>;
};

export type Internals = {
  writeSync(data: string | Uint8Array): void;
  _writeBuffer: { _isSyncWriting: boolean; _syncCalls: number };
  buffers: { normal: InternalBuffer; alt: InternalBuffer; active: InternalBuffer };
  coreService: {
    isCursorHidden: boolean;
    modes: { insertMode: boolean };
    decPrivateModes: {
      applicationCursorKeys: boolean;
      applicationKeypad: boolean;
      bracketedPasteMode: boolean;
      cursorBlink: boolean | undefined;
      cursorStyle: 'block' | 'underline' | 'bar' | undefined;
      origin: boolean;
      reverseWraparound: boolean;
      sendFocus: boolean;
      synchronizedOutput: boolean;
      wraparound: boolean;
    };
  };
  coreMouseService: { activeProtocol: string; activeEncoding: string };
  unicodeService: { charProperties(codepoint: number, preceding: number): number };
  _charsetService: { charset: object | undefined; glevel: number; _charsets: (object | undefined)[] };
  _oscLinkService: { getLinkData(id: number): { id?: string; uri: string } | undefined };
  _inputHandler: {
    _curAttrData: Attributes;
    _parser: { currentState: number; precedingJoinState: number; reset(): void };
  };
};

/** The private side of a terminal. */
export function internalsOf(terminal: Terminal): Internals {
  // The only way in: xterm keeps its core behind one private field, and the add-ons of its authors read it the same way.
  return (terminal as unknown as { _core: Internals })._core;
}

/** The parser's state between sequences (`ParserState.GROUND`). */
export const PARSER_GROUND = 0;

/** Bit fields of `Attributes` (xterm `common/buffer/Constants.ts`). */
export const ATTR = {
  colourMode: 0x3000000,
  p16: 0x1000000,
  p256: 0x2000000,
  rgb: 0x3000000,
  colour: 0xffffff,
  /** Mode and value of a colour: what an erased cell keeps of the background. */
  colourAll: 0x3ffffff,
  fgInverse: 0x4000000,
  fgBold: 0x8000000,
  fgUnderline: 0x10000000,
  fgBlink: 0x20000000,
  fgInvisible: 0x40000000,
  fgStrikethrough: 0x80000000,
  bgItalic: 0x4000000,
  bgDim: 0x8000000,
  bgHasExtended: 0x10000000,
  bgProtected: 0x20000000,
  bgOverline: 0x40000000,
} as const;

/** Makes a terminal take bytes again after a handler of xterm threw: what was left of those bytes is not drawn. */
export function recoverParser({ _writeBuffer, _inputHandler }: Internals): void {
  _writeBuffer._isSyncWriting = false;
  _writeBuffer._syncCalls = 0;
  _inputHandler._parser.reset();
}
