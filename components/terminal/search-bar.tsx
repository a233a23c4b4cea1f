'use client';
/** Find in the terminal's screen and scrollback. */
import type { ISearchOptions } from '@xterm/addon-search';
import { ArrowDown, ArrowUp, CaseSensitive, Regex, WholeWord, X } from 'lucide-react';
import { type KeyboardEvent, type ReactNode, useEffect, useEffectEvent, useRef, useState } from 'react';
import { IconButton } from '@/components/ui/button';
import type { Theme } from '@/components/ui/preferences';
import type { Searchable } from './create-terminal';
import { THEMES } from './themes';

const ICON = { size: 15, 'aria-hidden': true } as const;

type Query = { text: string; caseSensitive: boolean; wholeWord: boolean; regex: boolean };
type Result = { index: number; count: number };

const EMPTY: Query = { text: '', caseSensitive: false, wholeWord: false, regex: false };

function isValid({ text, regex }: Query): boolean {
  if (!regex) return true;
  try {
    new RegExp(text);
    return true;
  } catch {
    return false; // the user is still typing it
  }
}

function resultText(query: Query, { index, count }: Result, matchesMax: number): string {
  if (query.text === '') return '';
  if (!isValid(query)) return 'Not a pattern';
  if (count === 0) return 'No match';
  const all = count >= matchesMax ? `${matchesMax}+` : count;
  return index < 0 ? `${all} matches` : `${index + 1} of ${all}`;
}

function Toggle({
  label,
  isOn,
  onClick,
  children,
}: {
  label: string;
  isOn: boolean;
  onClick: () => void;
  children: ReactNode;
}) {
  return (
    <IconButton
      label={label}
      size="sm"
      title={label}
      aria-pressed={isOn}
      className={isOn ? 'bg-hover text-accent' : ''}
      onClick={onClick}
    >
      {children}
    </IconButton>
  );
}

type SearchBarProps = {
  /** What is searched: another terminal when the history is opened, grows or is left. */
  searched: Readonly<Searchable>;
  theme: Theme;
  /** Counts how often the user asked for it: each time the keyboard goes to the field. */
  calls: number;
  onClose: () => void;
};

export function SearchBar({ searched, theme, calls, onClose }: SearchBarProps) {
  const { terminal, search, matchesMax } = searched;
  const [query, setQuery] = useState(EMPTY);
  const [result, setResult] = useState<Result>({ index: -1, count: 0 });
  const input = useRef<HTMLInputElement>(null);

  /** Marks the matches again where nothing is marked yet, without a move. */
  const markAgain = useEffectEvent(() => {
    const { viewportY } = terminal.buffer.active;
    find(query, 'here');
    terminal.scrollToLine(viewportY);
  });

  useEffect(() => {
    // Asked for again, it is typed over.
    if (calls > 0) input.current?.select();
  }, [calls]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the marks have the colours of the theme
  useEffect(() => {
    const results = search.onDidChangeResults(({ resultIndex, resultCount }) =>
      setResult({ index: resultIndex, count: resultCount }),
    );
    markAgain();
    return () => {
      results.dispose();
      search.clearDecorations();
    };
  }, [search, theme]);

  function find(next: Query, direction: 'next' | 'previous' | 'here'): void {
    if (next.text === '' || !isValid(next)) {
      search.clearDecorations();
      setResult({ index: -1, count: 0 });
      return;
    }
    const { background, active, ruler } = THEMES[theme].match;
    const options: ISearchOptions = {
      caseSensitive: next.caseSensitive,
      wholeWord: next.wholeWord,
      regex: next.regex,
      incremental: direction === 'here',
      decorations: {
        matchBackground: background,
        matchOverviewRuler: ruler,
        activeMatchBackground: active,
        activeMatchColorOverviewRuler: ruler,
      },
    };
    if (direction === 'previous') search.findPrevious(next.text, options);
    else search.findNext(next.text, options);
  }

  function change(part: Partial<Query>): void {
    const next = { ...query, ...part };
    setQuery(next);
    find(next, 'here');
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === 'Escape') onClose();
    else if (event.key === 'Enter') find(query, event.shiftKey ? 'previous' : 'next');
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <search
      className="absolute top-2 right-4 z-20 flex animate-pop items-center gap-0.5 rounded-lg border border-line bg-raised/95 p-1 shadow-pop max-sm:inset-x-2"
      onKeyDown={onKeyDown}
    >
      <input
        ref={input}
        type="text"
        aria-label="Find in terminal"
        placeholder="Find"
        spellCheck={false}
        value={query.text}
        onChange={({ target }) => change({ text: target.value })}
        className="h-6 w-44 min-w-0 bg-transparent px-2 text-sm outline-none max-sm:flex-1"
      />
      <output className="min-w-16 whitespace-nowrap px-1 text-right text-muted text-xs tabular-nums">
        {resultText(query, result, matchesMax)}
      </output>
      <Toggle
        label="Match case"
        isOn={query.caseSensitive}
        onClick={() => change({ caseSensitive: !query.caseSensitive })}
      >
        <CaseSensitive {...ICON} />
      </Toggle>
      <Toggle label="Whole word" isOn={query.wholeWord} onClick={() => change({ wholeWord: !query.wholeWord })}>
        <WholeWord {...ICON} />
      </Toggle>
      <Toggle label="Regular expression" isOn={query.regex} onClick={() => change({ regex: !query.regex })}>
        <Regex {...ICON} />
      </Toggle>
      <span className="mx-0.5 h-4 w-px bg-line" aria-hidden="true" />
      <IconButton
        label="Previous match"
        title="Previous (Shift+Enter)"
        size="sm"
        onClick={() => find(query, 'previous')}
      >
        <ArrowUp {...ICON} />
      </IconButton>
      <IconButton label="Next match" title="Next (Enter)" size="sm" onClick={() => find(query, 'next')}>
        <ArrowDown {...ICON} />
      </IconButton>
      <IconButton label="Close search" title="Close (Escape)" size="sm" onClick={onClose}>
        <X {...ICON} />
      </IconButton>
    </search>
  );
}
