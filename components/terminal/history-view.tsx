'use client';
/** Older output than the terminal holds, read only, in its place: scrolling up in the terminal leads here, and down leads back. */
import { ArrowDown, History, LoaderCircle, TriangleAlert } from 'lucide-react';
import { type ReactNode, useEffect, useEffectEvent, useRef, useState, useSyncExternalStore } from 'react';
import { amount } from '@/components/ui/amount';
import type { Theme } from '@/components/ui/preferences';
import { ApiError, readHistory } from '@/lib/client/api';
import { type HistoryFacts, type HistoryInput, type OpenHistory, openHistory } from './open-history';
import type { OpenTerminal } from './open-terminal';

/** What the page's search needs of a history that is shown; another one when earlier output was put before it. */
export type HistoryHandle = NonNullable<HistoryFacts['shown']>;

type HistoryViewProps = {
  sessionId: string;
  live: OpenTerminal;
  theme: Theme;
  isFinding: boolean;
  onHandle: (handle: HistoryHandle | null) => void;
  onLink: (address: string | null) => void;
  onFind: () => void;
  onLeave: (input?: HistoryInput) => void;
};

const ICON = { size: 14, 'aria-hidden': true, className: 'shrink-0' } as const;
const subscribeNever = () => () => undefined;
const nothing = () => null;

/** Until the first page is drawn, only the bar is there and the terminal stays in use. */
export function HistoryView(props: HistoryViewProps) {
  const { sessionId, live, theme, isFinding } = props;
  const root = useRef<HTMLElement>(null);
  const mount = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<OpenHistory | null>(null);
  const facts = useSyncExternalStore(open?.subscribe ?? subscribeNever, open?.getSnapshot ?? nothing, nothing);
  const shown = facts?.shown ?? null;

  const getTheme = useEffectEvent(() => theme);
  const onLink = useEffectEvent((address: string | null) => props.onLink(address));
  const onFind = useEffectEvent(() => props.onFind());
  const onLeave = useEffectEvent((input?: HistoryInput) => props.onLeave(input));
  const onHandle = useEffectEvent((handle: HistoryHandle | null) => props.onHandle(handle));

  useEffect(() => {
    if (!mount.current) return;
    const { signal, abort } = abortable();
    const opened = openHistory({
      mount: mount.current,
      live: live.terminal,
      position: live.connection.parsedPosition,
      theme: getTheme(),
      read: (range) => readHistory(sessionId, { ...range, signal }),
      onLink: (address) => onLink(address),
      onFind: () => onFind(),
      onLeave: (input) => onLeave(input),
    });
    setOpen(opened);
    return () => {
      abort();
      opened.dispose();
      onLink(null);
      setOpen(null);
    };
  }, [sessionId, live]);

  useEffect(() => open?.setTheme(theme, isFinding), [open, theme, isFinding]);
  useEffect(() => {
    if (!open || !shown || !root.current) return;
    // For tests that look into the page, like that of the live terminal.
    Object.assign(root.current, { holdfast: { terminal: shown.terminal } });
    onHandle(shown);
    return () => onHandle(null);
  }, [open, shown]);

  return (
    <section
      ref={root}
      aria-label="History of this terminal"
      data-testid="history"
      data-state={shown ? 'shown' : 'opening'}
      className={`absolute inset-0 z-20 flex flex-col ${shown ? 'bg-bg' : 'pointer-events-none'}`}
    >
      <div className="relative min-h-0 flex-1">
        <div ref={mount} className="absolute top-0 bottom-0" style={placeOf(live)} />
      </div>
      <HistoryBar facts={facts} onRetry={() => open?.retry()} onLeave={() => props.onLeave()} />
    </section>
  );
}

function abortable(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

/** Where the live terminal is drawn, so that no line moves when the history covers it. */
function placeOf({ terminal }: OpenTerminal): { left: number; top: number; width: number } | undefined {
  const grid = terminal.element?.parentElement;
  return grid ? { left: grid.offsetLeft, top: grid.offsetTop, width: grid.offsetWidth } : undefined;
}

type BarProps = { facts: HistoryFacts | null; onRetry: () => void; onLeave: () => void };

const BUTTON =
  'flex h-6 shrink-0 items-center gap-1.5 whitespace-nowrap rounded-md border border-line-strong bg-raised px-2 font-medium text-xs hover:bg-hover';

/** What this is, how much of it is here, and the way back. */
function HistoryBar({ facts, onRetry, onLeave }: BarProps) {
  const failure = facts?.failure ?? null;
  const isAbsent = failure !== null && isNothingKept(failure);
  const isFailed = failure !== null && !isAbsent;
  return (
    <div className="pointer-events-auto flex min-h-9 shrink-0 animate-fade items-center gap-2 border-line border-t bg-panel py-1 pr-2 pl-3 text-xs">
      {isFailed ? (
        <TriangleAlert {...ICON} className="shrink-0 text-danger" />
      ) : (
        <History {...ICON} className="shrink-0 text-muted" />
      )}
      <div role="status" className="min-w-0 flex-1">
        {failure ? <span>{failureText(failure)}</span> : <Extent facts={facts} />}
      </div>
      {facts?.isLoading && (
        <span className="flex animate-late items-center gap-1.5 whitespace-nowrap text-muted">
          <LoaderCircle {...ICON} className="shrink-0 animate-spin" />
          <span className="max-sm:sr-only">Loading earlier output</span>
        </span>
      )}
      {isFailed && (
        <button type="button" className={BUTTON} onClick={onRetry}>
          Try again
        </button>
      )}
      <button type="button" className={BUTTON} onClick={onLeave}>
        <ArrowDown size={13} aria-hidden="true" />
        Back to live
      </button>
    </div>
  );
}

function Extent({ facts }: { facts: HistoryFacts | null }): ReactNode {
  if (!facts?.extent) return <span>History</span>;
  const { first, end, start } = facts.extent;
  const held = first === start ? `all ${amount(end - start)}` : `${amount(end - first)} of ${amount(end - start)}`;
  return (
    <span className="text-muted tabular-nums">
      <span className="font-medium text-text">History</span> · read only ·{' '}
      <span className="whitespace-nowrap">{held}</span>
      {facts.top !== 'more' && <span className="max-sm:hidden"> · {TOPS[facts.top]}</span>}
    </span>
  );
}

const TOPS = {
  beginning: 'since it was started',
  dropped: 'older output is no longer kept',
  full: 'older output is too much to show at once',
} as const;

/** Whether the server answered that there is nothing to read. */
function isNothingKept(error: Error): boolean {
  return error instanceof ApiError && (error.code === 'not_found' || error.code === 'range_not_satisfiable');
}

/** What happened, and what to do about it. */
function failureText(error: Error): string {
  if (!(error instanceof ApiError)) return 'The history could not be drawn. Try again, or reload the page.';
  if (isNothingKept(error)) return 'No earlier output is kept for this terminal.';
  if (error.code === 'unauthorized') return 'You are signed out. Sign in again: run npm run open.';
  return `The history could not be read. ${error.message}`;
}
