/** A terminal as a browser has it, for comparing what a peer restores with a pure replay of the bytes. */
import headless from '@xterm/headless';
import { DEFAULT_SIZE, SCROLLBACK_LINES } from '@/lib/protocol/limits';
import { guardEraseAbove, keepAlternateScreenFlat } from '@/lib/protocol/terminal';
import { dumpTerminal } from '@/tests/harness/dump';
import { UnicodeGraphemesAddon } from '@/ws-server/host/unicode';

const SLICE_BYTES = 1 << 18;

export class Screen {
  readonly #terminal: headless.Terminal;
  #replies = 0;

  constructor() {
    this.#terminal = new headless.Terminal({
      ...DEFAULT_SIZE,
      scrollback: SCROLLBACK_LINES,
      allowProposedApi: true,
      logLevel: 'off',
    });
    this.#terminal.loadAddon(new UnicodeGraphemesAddon());
    guardEraseAbove(this.#terminal);
    keepAlternateScreenFlat(this.#terminal);
    this.#terminal.onData(() => {
      this.#replies += 1;
    });
  }

  /** How often the terminal answered a query: in a browser that would be typed into the program. */
  get replies(): number {
    return this.#replies;
  }

  /** Resolves when the bytes are parsed. */
  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += SLICE_BYTES) {
      await new Promise<void>((done) => this.#terminal.write(data.subarray(at, at + SLICE_BYTES), done));
    }
  }

  /** Cells, attributes, cursor, modes, alternate screen and scrollback, as text to compare. */
  dump(): string {
    return JSON.stringify(dumpTerminal(this.#terminal), null, 1);
  }

  /** Lines above the screen. */
  get historyLines(): number {
    return this.#terminal.buffer.normal.baseY;
  }

  dispose(): void {
    this.#terminal.dispose();
  }
}
