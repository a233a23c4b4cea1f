/** The history of a session on the page: a second terminal that is fed from the journal and takes no input. */
import type { Terminal } from '@xterm/xterm';
import type { Theme } from '@/components/ui/preferences';
import { History, type HistoryExtent, type ReadHistory } from '@/lib/client/history';
import { ROWS } from '@/lib/protocol/limits';
import { copySelection } from './clipboard';
import { createTerminal, Renderer, type Searchable } from './create-terminal';
import { FONT_SIZE, measureCell } from './fit';
import { keyAction } from './keys';
import { isMac } from './links';
import { watchScrolling } from './scroll';
import { keepSelection, selectAgain } from './selection';
import { isPassiveReport } from './terminal-input';
import { terminalSink } from './terminal-sink';
import { THEMES } from './themes';

/** Memory of the drawn lines at most (bytes); xterm.js takes 12 for each cell. */
const CELLS_BYTES_MAX = 192 * 1024 * 1024;
const CELL_BYTES = 12;
/** Earlier output is read when so many screens are left above. */
const SCREENS_AHEAD = 3;
/** Matches that a search marks: nothing changes here, so it takes its time once (a third of a second for so many). */
const MATCHES_MAX = 10_000;
/** The view opens this far above where the user was, so that its first move is a scroll (lines). */
const FIRST_STEP_LINES = 3;
/** Frames that a scroll position is tried for: xterm.js learns how far it can scroll when it draws. */
const SCROLL_TRIES = 10;

const LEAVE_ALTERNATE_SCREEN = '\x1b[?1049l';
/**
 * Ends what the program left open: a sequence, mouse and focus reports, special keys, held drawing, margins, the cursor. The
 * cursor goes to the last line, because xterm.js drops lines below it when it takes rows away.
 */
const AS_PAPER =
  '\x18\x1b[?9;1000;1002;1003;1004;1005;1006;1015;1016l\x1b[?1;6;2004;2026l\x1b>\x1b[r\x1b[999;1H\x1b[?25l';

/** What lies above the oldest line: more to read, the terminal's beginning, output that is no longer kept, or too much to draw. */
export type HistoryTop = 'more' | 'beginning' | 'dropped' | 'full';

/** What the view shows: one immutable object, replaced at each change. */
export type HistoryFacts = {
  readonly isLoading: boolean;
  readonly failure: Error | null;
  readonly extent: HistoryExtent | null;
  readonly top: HistoryTop;
  /** What is on the screen; null before the first page is drawn. */
  readonly shown: Readonly<Searchable> | null;
};

/** What the user typed or pasted into the history: it is meant for the live terminal. */
export type HistoryInput = { typed: string } | { pasted: string };

export type HistoryOptions = {
  /** The element that is filled. */
  mount: HTMLElement;
  /** The session's terminal: the history continues what it shows, in its font. */
  live: Terminal;
  /** The stream position that the live terminal shows; null when it shows nothing. */
  position: number | null;
  theme: Theme;
  read: ReadHistory;
  onLink(address: string | null): void;
  onFind(): void;
  /** The user goes back to the live terminal, perhaps by typing or pasting. */
  onLeave(input?: HistoryInput): void;
};

export type OpenHistory = {
  subscribe(listener: () => void): () => void;
  getSnapshot(): HistoryFacts;
  /** Tries again after a failure. */
  retry(): void;
  setTheme(theme: Theme, isFinding: boolean): void;
  dispose(): void;
};

type Sheet = Searchable & {
  element: HTMLElement;
  renderer: Renderer;
  signal: AbortController;
};

function linesFromEnd(terminal: Terminal): number {
  const { length, viewportY } = terminal.buffer.active;
  return length - viewportY;
}

/** On a phone the focus brings up the keyboard over what is to be read. */
function isTouch(): boolean {
  return matchMedia('(pointer: coarse)').matches;
}

function nextFrame(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}

/** Reads the newest page and draws it where the live terminal is scrolled to. `dispose` closes everything again. */
export function openHistory(options: HistoryOptions): OpenHistory {
  const { mount, live } = options;
  const history = new History(options.read, options.position);
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  const linesMax = Math.floor(CELLS_BYTES_MAX / CELL_BYTES / live.cols);
  const fromEndAtFirst = linesFromEnd(live);
  const selectedAtFirst = keepSelection(live);
  let { theme } = options;
  let isFinding = false;
  let shown: Sheet | null = null;
  let facts: HistoryFacts = { isLoading: false, failure: null, extent: null, top: 'more', shown: null };

  const patch = (change: Partial<HistoryFacts>) => {
    facts = { ...facts, ...change };
    for (const listener of listeners) listener();
  };

  const paint = ({ terminal }: Sheet) => {
    const colours = THEMES[theme];
    terminal.options.theme = isFinding ? { ...colours, selectionInactiveBackground: colours.match.active } : colours;
  };

  /** As many rows as there is room for; the columns are those of the live terminal. */
  const fillArea = ({ terminal }: Sheet) => {
    terminal.options.fontSize = live.options.fontSize ?? FONT_SIZE;
    const cell = measureCell(terminal);
    if (!cell || mount.clientHeight === 0) return;
    const rows = Math.floor(mount.clientHeight / cell.height);
    terminal.resize(live.cols, Math.min(ROWS.max, Math.max(ROWS.min, rows)));
  };

  const isFull = (terminal: Terminal) => terminal.buffer.active.length >= linesMax + terminal.rows;

  const topOf = ({ terminal }: Sheet): HistoryTop => {
    if (isFull(terminal) || history.isFull) return 'full';
    if (history.hasEarlier) return 'more';
    return history.extent?.first === 0 ? 'beginning' : 'dropped';
  };

  const scrollTo = async (terminal: Terminal, line: number) => {
    const target = Math.max(0, Math.min(line, terminal.buffer.active.baseY));
    for (let attempt = 0; attempt < SCROLL_TRIES && !closing.signal.aborted; attempt++) {
      terminal.scrollToLine(target);
      if (terminal.buffer.active.viewportY === target) return;
      await nextFrame();
    }
  };

  /** Draws all that is held on a new sheet behind the one that is shown, and puts it in front when it is ready. */
  const draw = async () => {
    const sheet = newSheet();
    const { terminal } = sheet;
    await history.play(terminalSink(terminal));
    // The lines are those of the normal screen.
    const leave = terminal.buffer.active.type === 'alternate' ? LEAVE_ALTERNATE_SCREEN : '';
    await new Promise<void>((resolve) => terminal.write(leave + AS_PAPER, resolve));
    if (closing.signal.aborted) return;
    const { length } = terminal.buffer.active;
    fillArea(sheet);
    await nextFrame();
    if (shown) {
      const end = terminal.buffer.active.length;
      selectAgain(terminal, keepSelection(shown.terminal), end);
      await scrollTo(terminal, end - linesFromEnd(shown.terminal));
    } else {
      selectAgain(terminal, selectedAtFirst, length);
      await scrollTo(terminal, length - fromEndAtFirst - FIRST_STEP_LINES);
    }
    if (closing.signal.aborted) return;
    sheet.renderer.setVisible(true);
    await nextFrame();
    if (closing.signal.aborted) return;
    const hasFocus = (shown?.element ?? live.element)?.contains(document.activeElement) || (!shown && !isTouch());
    sheet.element.style.visibility = 'visible';
    if (hasFocus) terminal.focus();
    if (shown) discard(shown);
    shown = sheet;
  };

  const readEarlier = async () => {
    if (facts.isLoading || facts.failure || (shown && facts.top !== 'more')) return;
    patch({ isLoading: true });
    try {
      if (await history.readEarlier()) await draw();
      if (closing.signal.aborted) return;
      patch({
        isLoading: false,
        extent: history.extent,
        shown,
        top: shown ? topOf(shown) : 'beginning',
      });
      if (shown) readAhead(shown.terminal);
    } catch (error) {
      if (closing.signal.aborted) return;
      patch({ isLoading: false, failure: error instanceof Error ? error : new Error(String(error)) });
    }
  };

  const readAhead = (terminal: Terminal) => {
    if (terminal.buffer.active.viewportY < terminal.rows * SCREENS_AHEAD) void readEarlier();
  };

  /** Returns whether the key scrolled or left the view. */
  const onScrollKey = (terminal: Terminal, { key, ctrlKey, altKey, metaKey }: KeyboardEvent): boolean => {
    if (ctrlKey || altKey || metaKey) return false;
    const { viewportY, baseY } = terminal.buffer.active;
    const isAtEnd = viewportY >= baseY;
    switch (key) {
      case 'Escape':
        options.onLeave();
        return true;
      case 'ArrowUp':
        terminal.scrollLines(-1);
        return true;
      case 'PageUp':
        terminal.scrollPages(-1);
        return true;
      case 'Home':
        terminal.scrollToTop();
        return true;
      case 'ArrowDown':
      case 'PageDown':
      case 'End':
        if (isAtEnd) options.onLeave();
        else if (key === 'ArrowDown') terminal.scrollLines(1);
        else if (key === 'PageDown') terminal.scrollPages(1);
        else terminal.scrollToBottom();
        return true;
      default:
        return false;
    }
  };

  const onKey = (terminal: Terminal, event: KeyboardEvent): boolean => {
    // The buttons of the bar are reached with Tab.
    if (event.key === 'Tab') return false;
    const action = keyAction(event, isMac());
    if (action === 'paste') return false;
    if (event.type === 'keydown') {
      if (action === 'copy') copySelection(terminal);
      else if (action === 'find') options.onFind();
      else if (action === 'history') options.onLeave();
      else if (!onScrollKey(terminal, event)) return true;
    } else if (action === null) {
      return true;
    }
    event.preventDefault();
    return false;
  };

  function newSheet(): Sheet {
    const element = document.createElement('div');
    element.style.cssText = 'position:absolute;inset:0;visibility:hidden';
    mount.append(element);
    const { onLink } = options;
    const parts = createTerminal(element, { theme, isReadOnly: false, matchesMax: MATCHES_MAX, onLink });
    const { terminal, queries, ...searchable } = parts;
    terminal.options.scrollback = linesMax;
    terminal.options.fontSize = live.options.fontSize ?? FONT_SIZE;
    terminal.options.fontFamily = live.options.fontFamily ?? 'monospace';
    const sheet = { terminal, ...searchable, element, renderer: new Renderer(terminal), signal: new AbortController() };
    const { signal } = sheet.signal;
    paint(sheet);
    terminal.attachCustomKeyEventHandler((event) => onKey(terminal, event));
    terminal.onData((typed) => {
      if (shown === sheet && !queries.isAnswering() && !isPassiveReport(typed)) options.onLeave({ typed });
    });
    terminal.onScroll(() => shown === sheet && readAhead(terminal));
    watchScrolling(
      terminal,
      element,
      { onBeyond: (end) => (end === 'bottom' ? options.onLeave() : readAhead(terminal)) },
      signal,
    );
    element.addEventListener(
      'paste',
      (event) => {
        event.preventDefault();
        event.stopPropagation();
        options.onLeave({ pasted: event.clipboardData?.getData('text/plain') ?? '' });
      },
      { capture: true, signal },
    );
    closing.signal.addEventListener('abort', () => discard(sheet), { signal });
    return sheet;
  }

  function discard({ terminal, element, signal }: Sheet): void {
    signal.abort();
    terminal.dispose();
    element.remove();
  }

  const observer = new ResizeObserver(() => shown && fillArea(shown));
  observer.observe(mount);
  const resized = live.onResize(() => shown && fillArea(shown));
  void readEarlier();

  return {
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => facts,
    retry() {
      patch({ failure: null });
      void readEarlier();
    },
    setTheme(next, isFindingNext) {
      theme = next;
      isFinding = isFindingNext;
      if (shown) paint(shown);
    },
    dispose() {
      closing.abort();
      observer.disconnect();
      resized.dispose();
      listeners.clear();
    },
  };
}
