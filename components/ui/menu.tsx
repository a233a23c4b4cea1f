'use client';
/** One look for dropdown and context menus: the same items are shown in either. */
import * as Context from '@radix-ui/react-context-menu';
import * as Dropdown from '@radix-ui/react-dropdown-menu';
import { Check } from 'lucide-react';
import type { ReactNode } from 'react';
import { Keys } from './keys';

const PANEL =
  'z-50 min-w-48 max-w-[min(22rem,calc(100vw-16px))] max-h-[var(--radix-popper-available-height)] overflow-y-auto scroll-thin animate-pop rounded-lg border border-line bg-raised p-1 text-sm text-text shadow-pop';
const ITEM =
  'flex h-8 select-none items-center gap-2 rounded px-2 outline-none data-[highlighted]:bg-hover data-[disabled]:opacity-50';

type Action = {
  id: string;
  label: ReactNode;
  icon?: ReactNode;
  keys?: string;
  isDanger?: boolean;
  isDisabled?: boolean;
  /** Shown with a check mark; every entry of one menu has it or none. */
  isChecked?: boolean;
  onSelect: () => void;
};

/** Something to choose, a line between, or a note that is only read. */
export type MenuEntry = 'separator' | { note: ReactNode } | Action;

const DROPDOWN = { Item: Dropdown.Item, Label: Dropdown.Label, Separator: Dropdown.Separator };
const CONTEXT = { Item: Context.Item, Label: Context.Label, Separator: Context.Separator };

type MenuProps = {
  entries: MenuEntry[];
  children: ReactNode;
  /** False when the chosen entry moves the focus itself, for example into a text field. */
  returnsFocus?: () => boolean;
};

function Face({ entry }: { entry: Action }) {
  return (
    <>
      {entry.icon && <span className="flex w-4 shrink-0 justify-center text-muted">{entry.icon}</span>}
      <span className="min-w-0 flex-1 truncate">{entry.label}</span>
      {entry.keys && <Keys keys={entry.keys} />}
      {entry.isChecked !== undefined && (
        <Check size={14} className={entry.isChecked ? 'text-accent' : 'invisible'} aria-hidden="true" />
      )}
    </>
  );
}

function itemProps(entry: Action) {
  return {
    disabled: entry.isDisabled ?? false,
    onSelect: entry.onSelect,
    className: `${ITEM} ${entry.isDanger ? 'text-danger [&_span]:text-danger' : ''}`,
    ...(entry.isChecked !== undefined && { role: 'menuitemradio', 'aria-checked': entry.isChecked }),
  };
}

/** The entries in the parts of either kind of menu. */
function Entries({ entries, Item, Label, Separator }: { entries: MenuEntry[] } & typeof DROPDOWN) {
  return entries.map((entry, index) => {
    // biome-ignore-start lint/suspicious/noArrayIndexKey: a separator or a note has no name but its place
    if (entry === 'separator') return <Separator key={index} className="my-1 h-px bg-line" />;
    if ('note' in entry) {
      return (
        <Label key={index} className="max-w-64 px-2 py-1 text-muted text-xs">
          {entry.note}
        </Label>
      );
    }
    // biome-ignore-end lint/suspicious/noArrayIndexKey: as above
    return (
      <Item key={entry.id} {...itemProps(entry)}>
        <Face entry={entry} />
      </Item>
    );
  });
}

/** A menu below the button that is its child. */
export function DropdownMenu({ entries, children, align = 'end' }: MenuProps & { align?: 'start' | 'end' }) {
  return (
    <Dropdown.Root modal={false}>
      <Dropdown.Trigger asChild>{children}</Dropdown.Trigger>
      <Dropdown.Portal>
        <Dropdown.Content align={align} sideOffset={4} collisionPadding={8} loop className={PANEL}>
          <Entries entries={entries} {...DROPDOWN} />
        </Dropdown.Content>
      </Dropdown.Portal>
    </Dropdown.Root>
  );
}

/** A menu at the pointer, or after a long touch, on its child. */
export function ContextMenu({ entries, children, returnsFocus }: MenuProps) {
  return (
    <Context.Root modal={false}>
      <Context.Trigger asChild>{children}</Context.Trigger>
      <Context.Portal>
        <Context.Content
          collisionPadding={8}
          loop
          className={PANEL}
          onCloseAutoFocus={(event) => {
            if (returnsFocus?.() === false) event.preventDefault();
          }}
        >
          <Entries entries={entries} {...CONTEXT} />
        </Context.Content>
      </Context.Portal>
    </Context.Root>
  );
}
