/** The page's xterm.js terminal with its add-ons, and what it needs to draw the same as the host's screen. */
import { SearchAddon } from '@xterm/addon-search';
import { UnicodeGraphemesAddon } from '@xterm/addon-unicode-graphemes';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import { Terminal } from '@xterm/xterm';
import type { Theme } from '@/components/ui/preferences';
import { DEFAULT_SIZE, SCROLLBACK_LINES } from '@/lib/protocol/limits';
import { guardEraseAbove, keepAlternateScreenFlat } from '@/lib/protocol/terminal';
import { FONT_SIZE, SCROLLBAR_WIDTH } from './fit';
import { linkHandler } from './links';
import { type Queries, swallowQueries } from './swallow-queries';
import { THEMES } from './themes';

/** A terminal that can be searched. */
export type Searchable = {
  terminal: Terminal;
  search: SearchAddon;
  /** Matches that a search marks at most. */
  matchesMax: number;
};

/** What `createTerminal` gives; `dispose` of the terminal disposes of all of it. */
export type TerminalParts = Searchable & { queries: Queries };

/** The page's monospace font, by name: a canvas does not resolve CSS variables. */
export function fontFamily(): string {
  const named = getComputedStyle(document.documentElement).getPropertyValue('--font-geist-mono').trim();
  return [named, 'ui-monospace', '"SF Mono"', 'Menlo', '"DejaVu Sans Mono"', 'monospace'].filter(Boolean).join(', ');
}

/** Creates a terminal inside an element. Its size is set by the stream, never by the element. */
export function createTerminal(
  parent: HTMLElement,
  options: { theme: Theme; isReadOnly: boolean; matchesMax: number; onLink: (address: string | null) => void },
): TerminalParts {
  const handler = linkHandler(options.onLink);
  const terminal = new Terminal({
    ...DEFAULT_SIZE,
    allowProposedApi: true,
    disableStdin: options.isReadOnly,
    // The page's font is set when it is loaded: xterm.js measures a font once.
    fontFamily: 'monospace',
    fontSize: FONT_SIZE,
    lineHeight: 1.2,
    linkHandler: handler,
    logLevel: 'off',
    macOptionClickForcesSelection: true,
    // Colours of programs that were chosen for the other kind of background stay readable.
    minimumContrastRatio: 4.5,
    overviewRuler: { width: SCROLLBAR_WIDTH },
    rescaleOverlappingGlyphs: true,
    scrollback: SCROLLBACK_LINES,
    theme: THEMES[options.theme],
  });
  const { matchesMax } = options;
  const search = new SearchAddon({ highlightLimit: matchesMax });
  terminal.loadAddon(new UnicodeGraphemesAddon());
  guardEraseAbove(terminal);
  keepAlternateScreenFlat(terminal);
  const queries = swallowQueries(terminal.parser);
  terminal.open(parent);
  terminal.loadAddon(search);
  terminal.loadAddon(
    new WebLinksAddon((event, text) => handler.activate(event, text, ANYWHERE), {
      hover: (event, text) => handler.hover?.(event, text, ANYWHERE),
      leave: (event, text) => handler.leave?.(event, text, ANYWHERE),
    }),
  );
  return { terminal, search, matchesMax, queries };
}

/** Our link handler does not look at the place. */
const ANYWHERE = { start: { x: 1, y: 1 }, end: { x: 1, y: 1 } };

/**
 * Draws with WebGL while `isVisible`, because browsers allow few WebGL contexts, and with DOM rows otherwise, also when
 * there is no WebGL or its context is lost.
 */
export class Renderer {
  readonly #terminal: Terminal;
  #webgl: WebglAddon | null = null;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  setVisible(isVisible: boolean): void {
    if (!isVisible) {
      this.#webgl?.dispose();
      this.#webgl = null;
      return;
    }
    if (this.#webgl) return;
    const webgl = new WebglAddon();
    try {
      this.#terminal.loadAddon(webgl);
    } catch {
      webgl.dispose(); // no WebGL in this browser: the DOM renderer stays
      return;
    }
    webgl.onContextLoss(() => {
      webgl.dispose();
      if (this.#webgl === webgl) this.#webgl = null;
    });
    this.#webgl = webgl;
  }
}
