/** Moves the keyboard to a tab or into a terminal, after what is being rendered now is there. */

function focusNowOrSoon(find: () => HTMLElement | null): void {
  const element = find();
  if (element) element.focus();
  else requestAnimationFrame(() => find()?.focus());
}

/** Puts the focus on a tab of the strip. */
export function focusTab(id: string): void {
  focusNowOrSoon(() => document.getElementById(`tab-${id}`));
}

/** Puts the focus into the terminal of a session. */
export function focusTerminal(id: string): void {
  focusNowOrSoon(() => document.querySelector<HTMLElement>(`[data-session-id="${id}"] textarea`));
}
