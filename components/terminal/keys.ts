/** Keys that the terminal view keeps for itself or sends in its own way. */

/** What a key press means when it is not simply typing. */
export type KeyAction = 'copy' | 'paste' | 'find' | 'history' | 'new-line';

type Key = Pick<KeyboardEvent, 'type' | 'key' | 'code' | 'ctrlKey' | 'shiftKey' | 'altKey' | 'metaKey'>;

/** What agents and editors take as a line break inside a message: Escape, then Return. */
export const NEW_LINE = '\x1b\r';

/** The meaning of a key press, or null when it belongs to the program. */
export function keyAction(event: Key, isMac: boolean): KeyAction | null {
  if (event.altKey) return null;
  if (event.key === 'Enter' && event.shiftKey && !event.ctrlKey && !event.metaKey) return 'new-line';
  const isCommand = isMac ? event.metaKey && !event.ctrlKey : event.ctrlKey && event.shiftKey && !event.metaKey;
  if (!isCommand) return null;
  switch (event.code) {
    case 'KeyC':
      return 'copy';
    case 'KeyV':
      return 'paste';
    case 'KeyF':
      return 'find';
    case 'KeyH':
      // Without Shift it hides the window of a Mac.
      return event.shiftKey ? 'history' : null;
    default:
      return null;
  }
}
