/** The character sets of a terminal (G0 to G3, ISO 2022) as the sequences that select them. */
import headless from '@xterm/headless';
import { SGR_RESET } from './pen';
import { type InternalBuffer, type Internals, internalsOf } from './xterm-internals';

const DESIGNATORS = '0ABCRQKYE=5H7Z4f6';
const G_SETS = ['(', ')', '*', '+'];
const SHIFTS = ['\x0f', '\x0e', '\x1bn', '\x1bo'];
/** Charset tables by identity: xterm shares one table object among all its terminals. */
let designatorOf: Map<object, string> | undefined;

/** The character sets of a terminal. */
export class Charsets {
  readonly #core: Internals;
  /** G0 was selected on the way. */
  #isUsed = false;

  constructor(core: Internals) {
    this.#core = core;
  }

  /** Makes a charset the current one by way of G0. */
  select(charset: object | undefined): string {
    const isPlain = this.#core._charsetService._charsets.every((set) => set === undefined);
    if (charset === undefined && isPlain && !this.#isUsed) return '';
    this.#isUsed = true;
    return `\x0f${this.#designate(0, charset)}`;
  }

  /** G0 to G3, the shift, and what is drawn with when that is something else. */
  current(active: InternalBuffer): string {
    const { charset, glevel, _charsets } = this.#core._charsetService;
    if (charset === undefined && glevel === 0 && _charsets.every((set) => set === undefined) && !this.#isUsed)
      return '';
    // DECRC restores the charset that was saved, but not its G set.
    const isRestored = charset !== _charsets[glevel] && charset === active.savedCharset;
    let text = '';
    for (let g = 0; g < 4; g++) text += this.#designate(g, g === glevel && !isRestored ? charset : _charsets[g]);
    text += SHIFTS[glevel] ?? '';
    return isRestored ? `${text}\x1b8${SGR_RESET}` : text;
  }

  #designate(g: number, charset: object | undefined): string {
    return `\x1b${G_SETS[g]}${charset ? this.#designator(charset) : 'B'}`;
  }

  /** The final byte that selects a charset, found by selecting each once in a scratch terminal. */
  #designator(charset: object): string {
    if (!designatorOf) {
      designatorOf = new Map();
      const scratch = internalsOf(new headless.Terminal({ cols: 2, rows: 1, logLevel: 'off' }));
      for (const designator of DESIGNATORS) {
        scratch.writeSync(`\x1b(${designator}`);
        const table = scratch._charsetService.charset;
        if (table) designatorOf.set(table, designator);
      }
    }
    return designatorOf.get(charset) ?? 'B';
  }
}
