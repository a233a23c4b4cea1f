/** Copying out of a terminal. */
import type { Terminal } from '@xterm/xterm';

/** Copies the selection, if there is one. */
export function copySelection(terminal: Terminal): void {
  if (!terminal.hasSelection()) return;
  // Without https or permission the page has no clipboard; the copy event, which xterm.js answers, works everywhere.
  const fallBack = () => document.execCommand('copy');
  if (navigator.clipboard) navigator.clipboard.writeText(terminal.getSelection()).catch(fallBack);
  else fallBack();
}
