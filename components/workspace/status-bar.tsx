'use client';
/** One line of facts about the terminal in front; while something is away it says so instead. */
import { ArrowUp, Eye, FastForward, Keyboard } from 'lucide-react';
import { useEffect, useEffectEvent, useSyncExternalStore } from 'react';
import { AwayBanner } from '@/components/data/live';
import type { TerminalHandle } from '@/components/terminal/terminal-view';
import { amount } from '@/components/ui/amount';
import { shortPath } from '@/components/ui/path-text';
import { StatusDot, statusLabel } from '@/components/ui/status-dot';
import { Tooltip } from '@/components/ui/tooltip';
import type { HostState } from '@/lib/client/facts';
import { focusTerminal } from './focus';
import { LatencyFigure } from './latency';
import { StoreBanner } from './store-banner';
import { exitText, isFailure } from './tabs';
import type { Tab } from './use-workspace';

/** How long skipped output is told (ms). */
const SKIPPED_MS = 20_000;

const subscribeNever = () => () => undefined;
const nothing = () => null;

type StatusBarProps = { tab: Tab | null; handle: TerminalHandle | null; path: string; home: string };

/** Without a terminal it shows the path of the project. */
export function StatusBar({ tab, handle, path, home }: StatusBarProps) {
  const connection = handle?.connection;
  const facts = useSyncExternalStore(
    connection?.subscribe ?? subscribeNever,
    connection?.getSnapshot ?? nothing,
    nothing,
  );
  const live = facts?.state.kind === 'live' ? facts : null;
  return (
    <footer className="relative flex h-7 shrink-0 items-center gap-3 border-line border-t bg-panel px-3 text-muted text-xs">
      {!tab && (
        <>
          <span className="min-w-0 flex-1 truncate font-mono text-2xs">{shortPath(path, home)}</span>
          <StoreBanner onClose={() => undefined} />
        </>
      )}
      {tab && (
        <>
          <span className="flex items-center gap-1.5 whitespace-nowrap text-text">
            {live && live.host !== 'ok' ? (
              <HostSilence state={live.host} />
            ) : (
              <>
                <StatusDot status={tab.status} isFailed={isFailure(tab)} />
                {exitText(tab) ?? statusLabel(tab.status)}
              </>
            )}
          </span>
          <span className="min-w-0 truncate font-mono text-2xs" title={tab.currentPath}>
            {shortPath(tab.currentPath, home)}
          </span>
          <span className="flex-1" />
          <StoreBanner onClose={() => focusTerminal(tab.id)} />
          {connection && live && live.skippedBytes > 0 && (
            <SkippedMark key={live.skippedBytes} bytes={live.skippedBytes} onDismiss={() => connection.dismissGap()} />
          )}
          {handle?.hasEarlier && <EarlierOutput onClick={handle.showHistory} />}
          {live?.latency && <LatencyFigure latency={live.latency} onClose={() => focusTerminal(tab.id)} />}
          {tab.viewers > 1 && (
            <span className="flex items-center gap-1 whitespace-nowrap">
              <Eye size={13} aria-hidden="true" />
              {tab.viewers} windows
            </span>
          )}
          {tab.pid !== null && tab.exit === undefined && (
            <span className="whitespace-nowrap font-mono text-2xs max-sm:hidden">pid {tab.pid}</span>
          )}
          <Tooltip text="Show a tab by its place" keys="Alt+1…9" side="top">
            <span className="pointer-coarse:hidden" role="img" aria-label="Alt and a digit show a tab">
              <Keyboard size={14} aria-hidden="true" />
            </span>
          </Tooltip>
        </>
      )}
      <AwayBanner />
    </footer>
  );
}

/** The dot of a host that is late to answer, or does not. */
function HostSilence({ state }: { state: Exclude<HostState, 'ok'> }) {
  const text = state === 'slow' ? 'Slow to answer' : 'Not answering';
  return (
    <>
      <span className="size-2 animate-pulse rounded-full bg-warn" aria-hidden="true" />
      {text}
    </>
  );
}

const MARK =
  '-mx-1.5 flex shrink-0 items-center gap-1 whitespace-nowrap rounded px-1.5 font-medium hover:bg-hover animate-fade';

/** At the top of a full scrollback: the way to what came before it. Here it covers no line. */
function EarlierOutput({ onClick }: { onClick: () => void }) {
  return (
    <button
      type="button"
      title="Scroll up, or Ctrl+Shift+H"
      // The terminal keeps the focus, from where the history takes it.
      onMouseDown={(event) => event.preventDefault()}
      onClick={onClick}
      className={`${MARK} text-accent`}
    >
      <ArrowUp size={13} aria-hidden="true" />
      Earlier output
    </button>
  );
}

/** Says that output was left out to catch up; it goes by itself after a while. */
function SkippedMark({ bytes, onDismiss }: { bytes: number; onDismiss: () => void }) {
  const dismiss = useEffectEvent(onDismiss);
  useEffect(() => {
    const timer = setTimeout(() => dismiss(), SKIPPED_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <span role="status" className="flex shrink-0">
      <button
        type="button"
        title="The screen is up to date. Click to hide this."
        onMouseDown={(event) => event.preventDefault()}
        onClick={onDismiss}
        className={`${MARK} text-warn`}
      >
        <FastForward size={13} aria-hidden="true" />
        {amount(bytes)} of output skipped
      </button>
    </span>
  );
}
