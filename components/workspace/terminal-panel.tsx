'use client';
/** The terminal of one tab; it stays mounted while the tab is out of sight. */
import { RotateCw, TriangleAlert } from 'lucide-react';
import { useEffect } from 'react';
import { useIsReachable } from '@/components/data/live';
import { TerminalView } from '@/components/terminal/terminal-view';
import { Button } from '@/components/ui/button';
import { useTheme } from '@/components/ui/preferences';
import { focusTerminal } from './focus';
import type { Tab, Workspace } from './use-workspace';

/** For sessions that no terminal can be attached to. */
function LostSession({ tab, onRestart }: { tab: Tab; onRestart: () => void }) {
  return (
    <div className="flex h-full flex-col items-center justify-center gap-1 p-6 text-center">
      <TriangleAlert size={22} className="mb-2 text-warn" aria-hidden="true" />
      <h2 className="font-semibold text-base">{tab.tabName} was lost</h2>
      <p className="max-w-md text-muted">
        The process that held this terminal is gone, and its screen with it. Start it again in{' '}
        <span className="break-all font-mono text-xs">{tab.currentPath}</span>.
      </p>
      <Button variant="primary" className="mt-3" onClick={onRestart}>
        <RotateCw size={14} aria-hidden="true" />
        Restart
      </Button>
    </div>
  );
}

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
      {tab.status === 'lost' || tab.status === 'error' ? (
        <LostSession tab={tab} onRestart={restart} />
      ) : (
        <TerminalView
          sessionId={id}
          mode="write"
          isVisible={isActive}
          theme={theme}
          isReachable={isReachable}
          getTicket={() => workspace.takeTicket(id)}
          onRestart={restart}
          onBell={() => workspace.ring(id)}
        />
      )}
    </div>
  );
}
