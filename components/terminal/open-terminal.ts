/** One terminal on the page: xterm.js, its connection, and everything that passes between them. */
import type { Theme } from '@/components/ui/preferences';
import { TerminalConnection } from '@/lib/client/connection';
import type { Ticket } from '@/lib/client/link';
import { DEFAULT_SIZE, SCROLLBACK_LINES } from '@/lib/protocol/limits';
import type { CellSize, Mode } from '@/lib/protocol/wire';
import { copySelection } from './clipboard';
import { createTerminal, fontFamily, Renderer, type Searchable } from './create-terminal';
import {
  advanceOf,
  FONT_SIZE,
  fontSizeThatFits,
  measureCell,
  measureGrid,
  SCROLLBAR_WIDTH,
  sizeThatFits,
  wholeCellFontSize,
} from './fit';
import { keyAction, NEW_LINE } from './keys';
import { isMac } from './links';
import { preparePaste } from './paste';
import { isScrollable, watchScrolling } from './scroll';
import { binaryBytes, isPassiveReport, textBytes } from './terminal-input';
import { terminalSink } from './terminal-sink';
import { coloursOf, THEMES } from './themes';

/** How long a font is waited for before the terminal is measured without it (ms). */
const FONT_WAIT_MS = 2_000;
/** A window that is being dragged is measured when it has rested this long (ms). */
const LAYOUT_REST_MS = 60;
/** Matches that a search marks: they are marked again while the program prints. */
const MATCHES_MAX = 1_000;
/** Bells are announced this often at most (ms). */
const BELL_REST_MS = 1_000;

export type OpenOptions = {
  /** The element that the terminal should fill, and the one inside it that xterm.js draws in. */
  area: HTMLElement;
  mount: HTMLElement;
  mode: Mode;
  theme: Theme;
  getTicket(): Promise<Ticket>;
  onLink(address: string | null): void;
  onFind(): void;
  /** The user scrolls up beyond the scrollback, which is full, or asks for older output by a key. */
  onHistory(): void;
  /** Whether the oldest line of a full scrollback is in sight. */
  onTop(isAtTop: boolean): void;
  onBell(): void;
  /** Whether the terminal is drawn smaller, because another window sets its size or it ended in a larger one. */
  onScaled(isScaled: boolean): void;
  /** Asks whether text of that many lines may be pasted into a program that would run each at once. */
  askPaste(lines: number): Promise<boolean>;
};

export type OpenTerminal = Readonly<Searchable> & {
  readonly connection: TerminalConnection;
  /** Pastes text, and asks first when that could run something by surprise. */
  paste(text: string): Promise<void>;
  /** While the user searches, the match in hand is marked as such: xterm.js only selects it. */
  setTheme(theme: Theme, isFinding: boolean): void;
  setVisible(isVisible: boolean): void;
  dispose(): void;
};

/** Opens a terminal and connects it as soon as it is laid out. `dispose` closes everything again. */
export function openTerminal(options: OpenOptions): OpenTerminal {
  const { area, mount, mode } = options;
  const { terminal, search, matchesMax, queries } = createTerminal(mount, {
    theme: options.theme,
    isReadOnly: mode === 'read',
    matchesMax: MATCHES_MAX,
    onLink: options.onLink,
  });
  const connection = new TerminalConnection({
    mode,
    getTicket: options.getTicket,
    sink: terminalSink(terminal),
    size: DEFAULT_SIZE,
  });
  const renderer = new Renderer(terminal);
  const closing = new AbortController();
  const { signal } = closing;
  let { theme } = options;
  /** The cell at the usual font size. */
  let cell: CellSize | null = null;
  let isFontLoaded = false;
  let isHidden = false;
  let advance = 0.6;
  let layoutTimer: ReturnType<typeof setTimeout> | undefined;

  /** Whether another window sets the size. */
  const isGuest = () => {
    const { driver, viewer } = connection.getSnapshot();
    return mode === 'read' || (driver !== null && driver !== viewer);
  };

  const layout = () => {
    // Out of sight nothing is resized: the program would draw again, as if it had something new to say.
    if (!isFontLoaded || signal.aborted || (isHidden && cell)) return;
    const box = contentBox(area);
    const usual = wholeCellFontSize(advance, window.devicePixelRatio);
    if (!cell) terminal.options.fontSize = usual;
    if (terminal.options.fontSize === usual) cell = measureCell(terminal) ?? cell;
    if (!cell || box.width <= SCROLLBAR_WIDTH || box.height <= 0) return;
    const fitting = sizeThatFits(box, cell);
    connection.setLook({ size: fitting, cell, colours: coloursOf(theme) });
    connection.connect();

    const { size, state } = connection.getSnapshot();
    // The last screen keeps its size: nobody drives an ended session.
    const isCut = state.kind === 'ended' && (size.cols > fitting.cols || size.rows > fitting.rows);
    const isScaled = isCut || (isGuest() && (size.cols !== fitting.cols || size.rows !== fitting.rows));
    let fontSize = isScaled
      ? fontSizeThatFits(box, { fontSize: usual, cell, pixels: advance * window.devicePixelRatio }, size)
      : usual;
    terminal.options.fontSize = fontSize;
    let grid = isScaled ? measureGrid(terminal) : null;
    // Cells are whole device pixels: the calculated size may be a little too large.
    while (grid && fontSize > 4 && (grid.width + SCROLLBAR_WIDTH > box.width || grid.height > box.height)) {
      fontSize -= 0.5;
      terminal.options.fontSize = fontSize;
      grid = measureGrid(terminal);
    }
    mount.style.width = grid ? `${grid.width + SCROLLBAR_WIDTH}px` : '100%';
    mount.style.height = grid ? `${grid.height}px` : '100%';
    options.onScaled(isScaled);
  };

  const paste = async (text: string) => {
    const { isRisky, lines } = preparePaste(text, terminal.modes.bracketedPasteMode);
    if (isRisky && !(await options.askPaste(lines))) return;
    // The program may have changed its mode while the user was asked.
    connection.input(preparePaste(text, terminal.modes.bracketedPasteMode).data);
    terminal.scrollToBottom();
  };

  terminal.onData((data) => {
    if (!queries.isAnswering() && !(isPassiveReport(data) && isGuest())) connection.input(textBytes(data));
  });
  /** Whether older output than the oldest line in sight can be in the history only. */
  const isAtTop = () => {
    const { viewportY, baseY } = terminal.buffer.active;
    return viewportY === 0 && baseY >= SCROLLBACK_LINES && isScrollable(terminal);
  };
  let wasAtTop = false;
  const tellTop = () => {
    if (isAtTop() === wasAtTop) return;
    wasAtTop = !wasAtTop;
    options.onTop(wasAtTop);
  };
  terminal.onScroll(tellTop);
  terminal.buffer.onBufferChange(tellTop);
  watchScrolling(terminal, mount, { onBeyond: () => isAtTop() && options.onHistory() }, signal);
  terminal.onBinary((data) => connection.input(binaryBytes(data)));
  let bellAt = Number.NEGATIVE_INFINITY;
  terminal.onBell(() => {
    const now = performance.now();
    if (now - bellAt < BELL_REST_MS) return;
    bellAt = now;
    options.onBell();
  });
  terminal.attachCustomKeyEventHandler((event) => {
    const isPageUp = event.key === 'PageUp' && event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    const action = isPageUp && isAtTop() ? 'history' : keyAction(event, isMac());
    // The browser pastes by itself: the event comes below.
    if (!action || action === 'paste') return action === null;
    event.preventDefault();
    if (event.type !== 'keydown') return false;
    if (action === 'copy') copySelection(terminal);
    else if (action === 'find') options.onFind();
    else if (action === 'history') options.onHistory();
    else if (mode === 'write') {
      connection.input(textBytes(NEW_LINE));
      terminal.scrollToBottom();
    }
    return false;
  });
  mount.addEventListener(
    'paste',
    (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (mode === 'write') void paste(event.clipboardData?.getData('text/plain') ?? '');
    },
    { capture: true, signal },
  );

  const wake = () => document.visibilityState === 'visible' && connection.wake();
  document.addEventListener('visibilitychange', wake, { signal });
  window.addEventListener('online', wake, { signal });
  window.addEventListener('pageshow', wake, { signal });
  const observer = new ResizeObserver(() => {
    clearTimeout(layoutTimer);
    layoutTimer = setTimeout(layout, LAYOUT_REST_MS);
  });
  let drawn = connection.getSnapshot();
  connection.subscribe(() => {
    const facts = connection.getSnapshot();
    const isSame =
      facts.size === drawn.size &&
      facts.driver === drawn.driver &&
      facts.viewer === drawn.viewer &&
      facts.state.kind === drawn.state.kind;
    drawn = facts;
    if (!isSame) layout();
  });
  void fontLoaded().then(() => {
    if (signal.aborted) return;
    terminal.options.fontFamily = fontFamily();
    advance = advanceOf(fontFamily());
    isFontLoaded = true;
    layout();
    observer.observe(area);
  });

  return {
    terminal,
    search,
    matchesMax,
    connection,
    paste,
    setTheme(next, isFinding) {
      theme = next;
      const colours = THEMES[next];
      terminal.options.theme = isFinding ? { ...colours, selectionInactiveBackground: colours.match.active } : colours;
      layout();
    },
    setVisible(isVisible) {
      isHidden = !isVisible;
      renderer.setVisible(isVisible);
      layout();
    },
    dispose() {
      closing.abort();
      clearTimeout(layoutTimer);
      observer.disconnect();
      connection.close();
      terminal.dispose();
    },
  };
}

function contentBox(element: HTMLElement): { width: number; height: number } {
  const style = getComputedStyle(element);
  const sum = (...lengths: string[]) => lengths.reduce((total, length) => total + Number.parseFloat(length), 0);
  return {
    width: element.clientWidth - sum(style.paddingLeft, style.paddingRight),
    height: element.clientHeight - sum(style.paddingTop, style.paddingBottom),
  };
}

async function fontLoaded(): Promise<void> {
  const deadline = new Promise((resolve) => setTimeout(resolve, FONT_WAIT_MS));
  await Promise.race([Promise.allSettled([document.fonts.load(`${FONT_SIZE}px ${fontFamily()}`)]), deadline]);
}
