/** What host and viewers must do alike, so that the same bytes draw the same screen in both. No xterm is imported here. */

/** What `guardEraseAbove` needs of an xterm.js terminal of either package. */
type ErasableTerminal = {
  readonly cols: number;
  readonly rows: number;
  readonly buffer: { active: { cursorX: number; cursorY: number; length: number } };
  readonly parser: {
    registerCsiHandler(
      id: { prefix?: string; final: string },
      callback: (params: (number | number[])[]) => boolean,
    ): unknown;
  };
};

type EraseInDisplay = (params: { length: number; params: number[] }, respectProtect: boolean) => boolean;

/**
 * Keeps `CSI 1 J` at the last cell of the last line from throwing inside xterm.js 6.0.0, which looks for a line below it;
 * the throw would end the parsing of that terminal for good. Erasing up to there is erasing all.
 */
export function guardEraseAbove(terminal: ErasableTerminal): void {
  // `eraseInDisplay` has no public name: the parser's own handler cannot be called with other parameters.
  const core = (terminal as unknown as { _core: { _inputHandler: { eraseInDisplay: EraseInDisplay } } })._core;
  const guard = (respectProtect: boolean) => (params: (number | number[])[]) => {
    const { cursorX, cursorY, length } = terminal.buffer.active;
    const isLastCell = cursorX + 1 >= terminal.cols && cursorY + 1 >= length;
    if (params[0] !== 1 || !isLastCell) return false;
    return core._inputHandler.eraseInDisplay({ length: 1, params: [2] }, respectProtect);
  };
  terminal.parser.registerCsiHandler({ final: 'J' }, guard(false));
  terminal.parser.registerCsiHandler({ prefix: '?', final: 'J' }, guard(true));
}

/** What `keepAlternateScreenFlat` needs of an xterm.js terminal of either package. */
type TwoScreens = {
  readonly rows: number;
  readonly buffer: { onBufferChange(listener: () => void): unknown };
};

/**
 * Keeps the alternate screen as high as the terminal. In xterm.js 6.0.0 it stays as high as it once was when rows were taken away
 * while it was hidden: it gets lines of scrollback, which no snapshot can bring back, and later changes of size make it throw.
 */
export function keepAlternateScreenFlat(terminal: TwoScreens): void {
  type Core = { _bufferService: { buffers: { alt: { lines: { maxLength: number } } } } };
  // Nothing public sets how many lines a screen holds.
  const core = (terminal as unknown as { _core: Core })._core;
  terminal.buffer.onBufferChange(() => {
    core._bufferService.buffers.alt.lines.maxLength = terminal.rows;
  });
}

function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte < 0xc0;
}

/** Bytes of a UTF-8 character that starts with `byte`. */
function characterLength(byte: number): number {
  if (byte >= 0xf0) return 4;
  if (byte >= 0xe0) return 3;
  return byte >= 0xc0 ? 2 : 1;
}

/** How many bytes of `data` are before a UTF-8 character that is not complete yet; `data.length` when there is none. */
function completeBytes(data: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, data.length); back++) {
    const byte = data[data.length - back] ?? 0;
    if (!isContinuation(byte)) return characterLength(byte) > back ? data.length - back : data.length;
  }
  return data.length;
}

/**
 * Cuts a byte stream at whole UTF-8 characters: xterm.js 6.0.0 loses a character that is split behind a 0x80 byte.
 * At most three bytes wait for their rest.
 */
export class WholeCharacters {
  #rest: Uint8Array = new Uint8Array(0);

  /** Whether no character waits for its rest. */
  get isWhole(): boolean {
    return this.#rest.length === 0;
  }

  /** The bytes that can be parsed now: what waited before, and `data` up to its last whole character. */
  push(data: Uint8Array): Uint8Array {
    let bytes = data;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + data.length);
      bytes.set(this.#rest);
      bytes.set(data, this.#rest.length);
    }
    const end = completeBytes(bytes);
    this.#rest = bytes.slice(end);
    return bytes.subarray(0, end);
  }

  /** What still waits; the stream has ended or starts anew. */
  flush(): Uint8Array {
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    return rest;
  }
}
