/** The whole observable state of a terminal as plain data, for comparing screens cell by cell. */

/**
 * Dumps an xterm.js or headless terminal: cells of both buffers, cursor, modes, pen, regions, tabs, charsets.
 * Self-contained, so that its source can be evaluated in a page. Private fields are read as in `xterm-internals.ts`.
 */
// biome-ignore lint/suspicious/noExplicitAny: it takes terminals of two packages and reads private fields of both.
export function dumpTerminal(terminal: any) {
  const core = terminal._core;
  const buffers = core.buffers ?? core._bufferService.buffers;
  const linkOf = (id: number) => core._oscLinkService.getLinkData(id)?.uri ?? '';
  const hex = (value: number) => (value >>> 0).toString(16);
  // A palette colour leaves the bits of an older RGB colour beside it.
  const plain = (value: number) => {
    const mode = value & 0x3000000;
    return mode === 0x3000000 ? value : value & (mode === 0 ? ~0x3ffffff : ~0xffff00);
  };
  const style = (a: {
    fg: number;
    bg: number;
    extended: { underlineStyle: number; underlineColor: number; urlId: number };
  }) => {
    const isExtended = (a.bg & 0x10000000) !== 0;
    const link = isExtended && a.extended.urlId !== 0 ? linkOf(a.extended.urlId) : '';
    const isUnderlined = (a.fg & 0x10000000) !== 0 && !link;
    const underline = isUnderlined ? (isExtended ? a.extended.underlineStyle : 1) : 0;
    const colour = isExtended && underline ? plain(a.extended.underlineColor) : 0;
    return `${hex(plain(a.fg) & ~0x10000000)}/${hex(plain(a.bg & ~0x10000000))}/${underline}/${hex(colour)}/${link}`;
  };
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  const lines = (buffer: any, internal: any) => {
    const result: string[] = [];
    const end = internal.ybase + terminal.rows;
    for (let y = 0; y < end; y++) {
      const line = buffer.getLine(y);
      let text = '';
      let styles = '';
      let last = '';
      for (let x = 0; line && x < terminal.cols; x++) {
        const cell = line.getCell(x);
        const chars = cell.getChars();
        text += chars === '' ? (cell.getWidth() === 0 ? '' : '\u00b7') : chars;
        // An empty last cell keeps the attributes of a wide character that did not fit; only its background shows.
        const isUnfilled = chars === '' && cell.getWidth() === 1 && x === terminal.cols - 1;
        const now =
          (isUnfilled ? `0/${hex(plain(cell.bg & 0x3ffffff))}/0/0/` : style(cell)) +
          (cell.getWidth() === 1 ? '' : `w${cell.getWidth()}`);
        if (now !== last) styles += ` ${x}:${now}`;
        last = now;
      }
      // The first line has nothing to continue: what it once continued is gone.
      result.push(`${y > 0 && line?.isWrapped ? '+' : ' '}${text}|${styles}`);
    }
    return result;
  };
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  const state = (internal: any) => {
    const tabs = [];
    for (let x = 0; x < terminal.cols; x++) if (internal.tabs[x]) tabs.push(x);
    return {
      region: [internal.scrollTop, internal.scrollBottom],
      saved: [
        Math.min(internal.savedX, terminal.cols - 1),
        Math.min(Math.max(internal.savedY - internal.ybase, 0), terminal.rows - 1),
        hex(plain(internal.savedCurAttrData.fg)),
        hex(plain(internal.savedCurAttrData.bg & ~0x10000000)),
      ],
      savedCharset: internal.savedCharset ? Object.values(internal.savedCharset).join('') : '',
      tabs,
    };
  };
  const { decPrivateModes, isCursorHidden, modes } = core.coreService;
  const isAlt = buffers.active === buffers.alt;
  const pen = core._inputHandler._curAttrData;
  return {
    cols: terminal.cols,
    rows: terminal.rows,
    isAlt,
    normal: lines(terminal.buffer.normal, buffers.normal),
    normalState: state(buffers.normal),
    alt: isAlt ? lines(terminal.buffer.alternate, buffers.alt) : [],
    altState: isAlt ? state(buffers.alt) : null,
    cursor: [buffers.active.x, buffers.active.y],
    isCursorHidden,
    pen: style(pen),
    modes: { ...decPrivateModes, ...modes },
    mouse: [core.coreMouseService.activeProtocol, core.coreMouseService.activeEncoding],
    charset: core._charsetService.charset ? Object.values(core._charsetService.charset).join('') : '',
    glevel: core._charsetService.glevel,
  };
}
