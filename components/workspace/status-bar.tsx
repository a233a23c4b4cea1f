'use client';
/** One line of facts about the terminal in front; while something is away it says so instead. */
import { Eye, Keyboard } from 'lucide-react';
import { useSyncExternalStore } from 'react';
import { AwayBanner } from '@/components/data/live';
import { shortPath } from '@/components/ui/path-text';
import { StatusDot, statusLabel } from '@/components/ui/status-dot';
import { Tooltip } from '@/components/ui/tooltip';
import type { TerminalConnection } from '@/lib/client/connection';
import type { HostState } from '@/lib/client/facts';
import { LatencyFigure } from './latency';
import { exitText, isFailure } from './tabs';
import type { Tab } from './use-workspace';

const subscribeNever = () => () => undefined;
const nothing = () => null;

type StatusBarProps = { tab: Tab | null; connection: TerminalConnection | null; path: string; home: string };

/** Without a terminal it shows the path of the project. */
export function StatusBar({ tab, connection, path, home }: StatusBarProps) {
  const facts = useSyncExternalStore(
    connection?.subscribe ?? subscribeNever,
    connection?.getSnapshot ?? nothing,
    nothing,
  );
  const live = facts?.state.kind === 'live' ? facts : null;
  return (
    <footer className="relative flex h-7 shrink-0 items-center gap-3 border-line border-t bg-panel px-3 text-muted text-xs">
      {!tab && <span className="truncate font-mono text-2xs">{shortPath(path, home)}</span>}
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
          {live?.latency && <LatencyFigure latency={live.latency} />}
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
