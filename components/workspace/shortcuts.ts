'use client';
/** Shortcuts of the workspace. Every other key belongs to the terminal. */
import { useEffect, useEffectEvent } from 'react';
import type { Workspace } from './use-workspace';

/** Alt+1 to Alt+9 show a tab, Ctrl+Alt+T opens a shell; they are taken before the terminal sees them. */
export function useShortcuts(workspace: Workspace): void {
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    // AltGr is Ctrl+Alt on Windows, and types letters.
    if (!event.altKey || event.metaKey || event.shiftKey || event.getModifierState('AltGraph')) return;
    const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
    const tab = digit && !event.ctrlKey ? workspace.tabs[Number(digit) - 1] : undefined;
    const isNewShell = event.code === 'KeyT' && event.ctrlKey;
    if (!tab && !isNewShell) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return;
    if (tab) workspace.show(tab.id);
    else workspace.create('system');
  });

  useEffect(() => {
    window.addEventListener('keydown', onKeyDown, { capture: true });
    return () => window.removeEventListener('keydown', onKeyDown, { capture: true });
  }, []);
}
