/** What this browser remembers of its user's taste: the theme and whether the sidebar is open. */
import { useSyncExternalStore } from 'react';
import { SIDEBAR_KEY, THEME_KEY } from './preferences-script';

export type ThemeChoice = 'system' | 'light' | 'dark';
/** A theme in use. */
export type Theme = 'light' | 'dark';

const listeners = new Set<() => void>();
const kept = new Map<string, string>();

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return kept.get(key) ?? null; // storage is blocked: the choice lives as long as the page
  }
}

function write(key: string, value: string): void {
  kept.set(key, value);
  try {
    localStorage.setItem(key, value);
  } catch {
    // storage is blocked: see read
  }
  apply();
}

function choice(): ThemeChoice {
  const value = read(THEME_KEY);
  return value === 'light' || value === 'dark' ? value : 'system';
}

function resolved(): Theme {
  const chosen = choice();
  if (chosen !== 'system') return chosen;
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

function isOpen(): boolean {
  return read(SIDEBAR_KEY) !== 'closed';
}

function apply(): void {
  const root = document.documentElement;
  root.classList.toggle('dark', resolved() === 'dark');
  if (isOpen()) delete root.dataset['sidebar'];
  else root.dataset['sidebar'] = 'closed';
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
    window.addEventListener('storage', apply);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    matchMedia('(prefers-color-scheme: dark)').removeEventListener('change', apply);
    window.removeEventListener('storage', apply);
  };
}

/** What the user chose. */
export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore(subscribe, choice, () => 'system');
}

/** The theme in use. */
export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, resolved, () => 'light');
}

/** Whether the sidebar is open on wide screens. */
export function useSidebarOpen(): boolean {
  return useSyncExternalStore(subscribe, isOpen, () => true);
}

/** Keeps a theme for this browser. */
export function chooseTheme(next: ThemeChoice): void {
  write(THEME_KEY, next);
}

/** Opens or closes the sidebar for this browser. */
export function openSidebar(isOpenNext: boolean): void {
  write(SIDEBAR_KEY, isOpenNext ? 'open' : 'closed');
}
