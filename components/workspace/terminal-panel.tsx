'use client';
/** The terminal of one tab; it stays mounted while the tab is out of sight. */
import { useEffect } from 'react';
import { useIsReachable } from '@/components/data/live';
import { NoScreen } from '@/components/terminal/ended-bar';
import { TerminalView } from '@/components/terminal/terminal-view';
import { useTheme } from '@/components/ui/preferences';
import { focusTerminal } from './focus';
import type { Tab, Workspace } from './use-workspace';

/** Who mounts it gives it the epoch as part of its key: a restarted session is a new terminal. */
export function TerminalPanel({ tab, workspace }: { tab: Tab; workspace: Workspace }) {
  const theme = useTheme();
  const isReachable = useIsReachable();
  const { id, isActive } = tab;

  // The focus is the browser's: who brings a tab to the front wants to type into it.
  useEffect(() => {
    if (isActive) focusTerminal(id);
  }, [id, isActive]);

  const restart = () => workspace.restart(tab);
  return (
    <div
      id={`panel-${tab.id}`}
      role="tabpanel"
      aria-labelledby={`tab-${tab.id}`}
      className={`absolute inset-0 ${isActive ? '' : 'invisible'}`}
    >
      {tab.status === 'error' ? (
        <NoScreen title={`${tab.tabName} could not be started`} path={tab.currentPath} onRestart={restart} />
      ) : (
        <TerminalView
          sessionId={id}
          mode="write"
          isVisible={isActive}
          theme={theme}
          isReachable={isReachable}
          lost={tab.status === 'lost' ? { exit: tab.exit ?? null, path: tab.currentPath } : null}
          getTicket={() => workspace.takeTicket(id)}
          onHandle={(handle) => workspace.takeHandle(id, handle)}
          onRestart={restart}
          onBell={() => workspace.ring(id)}
        />
      )}
    </div>
  );
}
