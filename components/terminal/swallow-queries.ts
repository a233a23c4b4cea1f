/** Keeps the page's terminal from answering queries: only the host's screen answers, once for all viewers. */
import type { IDisposable, IFunctionIdentifier, IParser } from '@xterm/xterm';

/** Control sequences that do nothing but ask. */
const CSI_QUERIES: IFunctionIdentifier[] = [
  { final: 'c' }, // DA1
  { prefix: '>', final: 'c' }, // DA2
  { prefix: '=', final: 'c' }, // DA3
  { final: 'n' }, // DSR, cursor position
  { prefix: '?', final: 'n' }, // DEC DSR
  { intermediates: '$', final: 'p' }, // DECRQM
  { prefix: '?', intermediates: '$', final: 'p' }, // DECRQM, private modes
  { prefix: '>', final: 'q' }, // XTVERSION
  { final: 't' }, // window reports; the title stack is the host's too
  { final: 'x' }, // DECREQTPARM
  { intermediates: '*', final: 'y' }, // DECRQCRA
  { prefix: '?', final: 'u' }, // keyboard protocol
  { prefix: '?', final: 'S' }, // graphics attributes
];

const DCS_QUERIES: IFunctionIdentifier[] = [
  { intermediates: '$', final: 'q' }, // DECRQSS
  { intermediates: '+', final: 'q' }, // XTGETTCAP
];

/** Colours: the same sequence may set some and ask for others. */
const OSC_COLOURS = [4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
/** The clipboard is neither read nor written. */
const OSC_CLIPBOARD = 52;

export type Queries = IDisposable & {
  /** Whether what the terminal sends right now answers what a program printed. */
  isAnswering(): boolean;
};

/**
 * Swallows queries. Two cannot be swallowed whole, because they change state too: colours that are set and asked for in one
 * sequence, and focus reports (`CSI ? 1004 h` reports the focus at once). While those are parsed, `isAnswering` is true.
 */
export function swallowQueries(parser: IParser): Queries {
  let isAnswering = false;
  const answersNow = (): false => {
    isAnswering = true;
    // The terminal parses a chunk without a pause: no key press comes before this.
    queueMicrotask(() => {
      isAnswering = false;
    });
    return false;
  };
  const swallow = (): true => true;
  const parts = [
    ...CSI_QUERIES.map((id) => parser.registerCsiHandler(id, swallow)),
    ...DCS_QUERIES.map((id) => parser.registerDcsHandler(id, swallow)),
    parser.registerOscHandler(OSC_CLIPBOARD, swallow),
    ...OSC_COLOURS.map((number) =>
      parser.registerOscHandler(number, (data) => data.split(';').includes('?') && answersNow()),
    ),
    parser.registerCsiHandler({ prefix: '?', final: 'h' }, (params) => params.includes(1004) && answersNow()),
  ];
  return {
    isAnswering: () => isAnswering,
    dispose() {
      for (const part of parts) part.dispose();
    },
  };
}
