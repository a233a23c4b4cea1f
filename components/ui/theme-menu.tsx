'use client';
/** System, light or dark. */
import { Monitor, Moon, Sun } from 'lucide-react';
import { IconButton } from './button';
import { DropdownMenu } from './menu';
import { chooseTheme, type ThemeChoice, useThemeChoice } from './preferences';

const CHOICES: { id: ThemeChoice; label: string; Icon: typeof Sun }[] = [
  { id: 'system', label: 'System', Icon: Monitor },
  { id: 'light', label: 'Light', Icon: Sun },
  { id: 'dark', label: 'Dark', Icon: Moon },
];

/** The button with the icon of the choice, and its menu. */
export function ThemeMenu() {
  const chosen = useThemeChoice();
  const entries = CHOICES.map(({ id, label, Icon }) => ({
    id,
    label,
    icon: <Icon size={15} aria-hidden="true" />,
    isChecked: id === chosen,
    onSelect: () => chooseTheme(id),
  }));
  const Icon = CHOICES.find(({ id }) => id === chosen)?.Icon ?? Monitor;
  return (
    <DropdownMenu entries={entries}>
      <IconButton label={`Theme: ${chosen}`}>
        <Icon size={16} aria-hidden="true" />
      </IconButton>
    </DropdownMenu>
  );
}
