'use client';
/** One tab of the strip: icon, name, what it wants, and how to close it. */
import { useSortable } from '@dnd-kit/sortable';
import { CSS } from '@dnd-kit/utilities';
import { ArrowLeft, ArrowRight, Bell, Clock, History, Pencil, RotateCw, X } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { ContextMenu, type MenuEntry } from '@/components/ui/menu';
import { statusLabel } from '@/components/ui/status-dot';
import { Tooltip } from '@/components/ui/tooltip';
import { NAME_GRAPHEMES_MAX } from '@/lib/protocol/limits';
import { type Survival, survivalOf } from './durability';
import { DurabilityBadge, SurvivalText } from './durability-badge';
import { focusTab, focusTerminal } from './focus';
import { IdleMark } from './idle-mark';
import { SessionBadge } from './session-icon';
import { canRestart, exitText, isFailure } from './tabs';
import type { Tab, Workspace } from './use-workspace';

const CORNER =
  'absolute flex size-5 items-center justify-center rounded text-muted hover:bg-line-strong hover:text-text';
const ICON = { size: 15, 'aria-hidden': true } as const;

/** Bell, new output, or nothing, in the same place. */
export function Attention({ tab }: { tab: Tab }) {
  if (tab.attention === 'bell') return <Bell size={12} className="shrink-0 fill-warn text-warn" aria-label="Bell" />;
  if (tab.attention === 'output') {
    return <span className="size-1.5 shrink-0 rounded-full bg-accent" role="img" aria-label="New output" />;
  }
  return null;
}

/** How the session ended, in its colour. */
export function ExitBadge({ tab }: { tab: Tab }) {
  const text = tab.status === 'lost' ? 'lost' : exitText(tab);
  if (!text) return null;
  const colour = tab.status === 'lost' ? 'text-warn' : isFailure(tab) ? 'text-danger' : 'text-muted';
  return <span className={`shrink-0 whitespace-nowrap font-mono text-2xs ${colour}`}>{text}</span>;
}

type NameFieldProps = { tab: Tab; onName: (name: string) => void; onDone: () => void };

/** The name as a text field: Enter and leaving keep it, Escape does not. */
function NameField({ tab, onName, onDone }: NameFieldProps) {
  const isCancelled = useRef(false);
  return (
    <input
      ref={(input) => {
        if (input && document.activeElement !== input) {
          input.focus();
          input.select();
        }
      }}
      defaultValue={tab.tabName}
      maxLength={NAME_GRAPHEMES_MAX}
      aria-label="Name of the tab"
      spellCheck={false}
      className="h-6 w-28 min-w-0 rounded border border-accent bg-bg px-1.5 text-sm outline-none"
      onMouseDown={(event) => event.stopPropagation()}
      onBlur={({ target }) => onName(isCancelled.current ? tab.tabName : target.value.trim())}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === 'Escape') isCancelled.current = true;
        if (event.key !== 'Escape' && event.key !== 'Enter') return;
        // The rest of the key press would reach the terminal that gets the focus.
        event.preventDefault();
        event.currentTarget.blur();
        onDone();
      }}
    />
  );
}

/** What there is to know of a tab at a glance; `survival` is quiet, because it is rarely news. */
function TabDetails({ tab, survival }: { tab: Tab; survival: Survival }) {
  return (
    <span className="min-w-0">
      <span className="block">
        {[tab.title || tab.tabName, tab.foreground, statusLabel(tab.status)].filter(Boolean).join(' · ')}
      </span>
      <span className="mt-0.5 block text-muted">
        <SurvivalText survival={survival} />
      </span>
    </span>
  );
}

function tabEntries(tab: Tab, index: number, workspace: Workspace): MenuEntry[] {
  const last = workspace.tabs.length - 1;
  const restart: MenuEntry[] = canRestart(tab)
    ? [
        { id: 'restart', label: 'Restart', icon: <RotateCw {...ICON} />, onSelect: () => workspace.restart(tab) },
        'separator',
      ]
    : [];
  const keep: MenuEntry[] = tab.idleEndsAt
    ? [
        { id: 'keep', label: 'Keep running', icon: <Clock {...ICON} />, onSelect: () => workspace.keep(tab.id) },
        'separator',
      ]
    : [];
  return [
    ...restart,
    ...keep,
    { id: 'rename', label: 'Rename', icon: <Pencil {...ICON} />, keys: 'F2', onSelect: () => workspace.rename(tab.id) },
    {
      id: 'left',
      label: 'Move left',
      icon: <ArrowLeft {...ICON} />,
      isDisabled: index === 0,
      onSelect: () => workspace.move(tab.id, index - 1),
    },
    {
      id: 'right',
      label: 'Move right',
      icon: <ArrowRight {...ICON} />,
      isDisabled: index === last,
      onSelect: () => workspace.move(tab.id, index + 1),
    },
    'separator',
    {
      id: 'history',
      label: 'Earlier output',
      icon: <History {...ICON} />,
      keys: 'Ctrl+Shift+H',
      isDisabled: !workspace.hasHandle(tab.id),
      onSelect: () => workspace.showHistory(tab.id),
    },
    'separator',
    { id: 'close', label: 'Close', icon: <X {...ICON} />, isDanger: true, onSelect: () => void workspace.close(tab) },
    'separator',
    { note: <SurvivalText survival={survivalOf(tab.durability, workspace.isEphemeral)} /> },
  ];
}

/** A tab with two neighbours of its own: buttons cannot lie inside a tab. */
export function TerminalTab({ tab, index, workspace }: { tab: Tab; index: number; workspace: Workspace }) {
  const { setNodeRef, listeners, transform, transition, isDragging } = useSortable({ id: tab.id });
  const button = useRef<HTMLButtonElement>(null);
  const isRestartable = canRestart(tab);
  const survival = survivalOf(tab.durability, workspace.isEphemeral);
  const isRenaming = workspace.renamingId === tab.id;

  // The browser's scroll position is outside React: the tab in front is brought into view.
  useEffect(() => {
    if (tab.isActive) button.current?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [tab.isActive]);

  return (
    <ContextMenu entries={tabEntries(tab, index, workspace)} returnsFocus={() => workspace.renamingId === null}>
      <div
        ref={setNodeRef}
        role="presentation"
        {...listeners}
        style={{ transform: CSS.Translate.toString(transform), transition }}
        className={`group relative flex h-10 shrink-0 items-center border-line border-r ${isDragging ? 'z-10 bg-raised shadow-pop' : ''} ${tab.isActive ? 'bg-bg text-text before:absolute before:inset-x-0 before:top-0 before:h-0.5 before:bg-accent' : 'border-b text-muted hover:bg-hover hover:text-text'}`}
      >
        {isRenaming ? (
          <span className="flex h-full items-center gap-2 px-3">
            <SessionBadge session={tab} />
            <NameField
              tab={tab}
              onName={(name) => workspace.setName(tab.id, name)}
              onDone={() => (tab.isActive ? focusTerminal(tab.id) : focusTab(tab.id))}
            />
          </span>
        ) : (
          <>
            <Tooltip text={<TabDetails tab={tab} survival={survival} />}>
              <button
                ref={button}
                type="button"
                role="tab"
                id={`tab-${tab.id}`}
                aria-selected={tab.isActive}
                aria-controls={tab.isOpened ? `panel-${tab.id}` : undefined}
                aria-keyshortcuts={index < 9 ? `Alt+${index + 1}` : undefined}
                tabIndex={tab.isActive ? 0 : -1}
                className={`flex h-full min-w-28 max-w-60 items-center gap-2.5 pl-3 text-left text-sm outline-offset-[-3px] ${isRestartable ? 'pr-14' : 'pr-8'}`}
                onClick={() => workspace.show(tab.id)}
                onDoubleClick={() => workspace.rename(tab.id)}
                // Only a click moves the keyboard: when the menu closes, it is where it was.
                onMouseDown={(event) => event.button !== 0 && event.preventDefault()}
                onAuxClick={(event) => event.button === 1 && void workspace.close(tab)}
              >
                <SessionBadge session={tab} />
                <span className="min-w-0 flex-1 truncate">{tab.tabName}</span>
                <ExitBadge tab={tab} />
                <IdleMark tab={tab} />
                <DurabilityBadge survival={survival} />
              </button>
            </Tooltip>
            <span className="pointer-events-none absolute right-3 flex group-focus-within:hidden group-hover:hidden">
              <Attention tab={tab} />
            </span>
            {isRestartable && (
              <button
                type="button"
                tabIndex={-1}
                aria-label={`Restart ${tab.tabName}`}
                title="Restart"
                className={`${CORNER} right-7`}
                onMouseDown={(event) => event.stopPropagation()}
                onClick={() => workspace.restart(tab)}
              >
                <RotateCw size={13} aria-hidden="true" />
              </button>
            )}
            <button
              type="button"
              tabIndex={-1}
              aria-label={`Close ${tab.tabName}`}
              title="Close"
              className={`${CORNER} right-1.5 group-hover:opacity-100 ${tab.isActive ? '' : 'opacity-0'}`}
              onMouseDown={(event) => event.stopPropagation()}
              onClick={() => void workspace.close(tab)}
            >
              <X size={14} aria-hidden="true" />
            </button>
          </>
        )}
      </div>
    </ContextMenu>
  );
}
