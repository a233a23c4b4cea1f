'use client';
/** How a new tab begins: a shell, or the agent. */
import { Asterisk, ChevronDown, Plus } from 'lucide-react';
import { IconButton } from '@/components/ui/button';
import { DropdownMenu, type MenuEntry } from '@/components/ui/menu';
import { Tooltip } from '@/components/ui/tooltip';
import { SessionIcon } from './session-icon';
import type { Workspace } from './use-workspace';

/** Both kinds in a menu, for places that have room for one button. */
export function newTerminalEntries(create: Workspace['create']): MenuEntry[] {
  return [
    {
      id: 'system',
      label: 'New shell',
      icon: <SessionIcon type="system" />,
      keys: 'Ctrl+Alt+T',
      onSelect: () => create('system'),
    },
    { id: 'claude', label: 'New Claude', icon: <SessionIcon type="claude" />, onSelect: () => create('claude') },
  ];
}

/** The buttons behind the last tab. */
export function NewTerminal({ create, isCreating }: Pick<Workspace, 'create' | 'isCreating'>) {
  return (
    <div className="flex shrink-0 items-center gap-0.5 px-1.5">
      <Tooltip text="New shell" keys="Ctrl+Alt+T">
        <IconButton label="New shell" size="sm" disabled={isCreating} onClick={() => create('system')}>
          <Plus size={16} aria-hidden="true" />
        </IconButton>
      </Tooltip>
      <Tooltip text="New Claude">
        <IconButton
          label="New Claude"
          size="sm"
          className="max-sm:hidden"
          disabled={isCreating}
          onClick={() => create('claude')}
        >
          <Asterisk size={17} aria-hidden="true" />
        </IconButton>
      </Tooltip>
      <DropdownMenu align="start" entries={newTerminalEntries(create)}>
        <IconButton label="New terminal" size="sm" className="w-5" disabled={isCreating}>
          <ChevronDown size={14} aria-hidden="true" />
        </IconButton>
      </DropdownMenu>
    </div>
  );
}
