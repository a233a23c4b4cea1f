import { expect, it } from 'vitest';
import { Screen } from './screen';
import { internalsOf } from './xterm-internals';

const fault = (error: unknown) => {
  throw error;
};

it('the private state that snapshots read is where it was', () => {
  const screen = new Screen({ cols: 10, rows: 3 }, { reply: () => undefined, title: () => undefined, fault });
  screen.write(
    Buffer.from('\x1b[2;3r\x1b[31m\x1b7\x1b[?25l\x1b[?1006h\x1b[?1000h\x1b[4h\x1b[3 q\x1b)0\x1b]8;;http://a\x07x'),
  );
  const core = internalsOf(screen.terminal);
  expect(core.buffers.active).toBe(core.buffers.normal);
  expect(core.buffers.normal).toMatchObject({
    scrollTop: 1,
    scrollBottom: 2,
    x: 1,
    y: 0,
    ybase: 0,
    savedX: 0,
    savedY: 0,
  });
  expect(core.buffers.normal.tabs).toEqual({ 0: true, 8: true });
  expect(core.buffers.normal.savedCurAttrData.fg & 0xff).toBe(1);
  expect(core.coreService).toMatchObject({ isCursorHidden: true, modes: { insertMode: true } });
  expect(core.coreService.decPrivateModes).toMatchObject({
    wraparound: true,
    cursorStyle: 'underline',
    cursorBlink: true,
  });
  expect(core.coreMouseService).toMatchObject({ activeProtocol: 'VT200', activeEncoding: 'SGR' });
  expect(core._charsetService._charsets[1]).toBeTypeOf('object');
  expect(core._oscLinkService.getLinkData(core._inputHandler._curAttrData.extended.urlId)?.uri).toBe('http://a');
  expect(core._inputHandler._parser.currentState).toBe(0);
  expect(core._inputHandler._parser.precedingJoinState).toBeGreaterThan(0);
  expect(core.unicodeService.charProperties(0x301, core.unicodeService.charProperties(0x65, 0)) & 1).toBe(1);
});
