/** Links in a terminal: http and https only, their target shown, and opened with a modifier so that a click never surprises. */
import type { ILinkHandler } from '@xterm/xterm';

/** Whether Cmd plays the part of Ctrl. */
export function isMac(): boolean {
  return /Mac|iP(hone|ad)/.test(navigator.platform);
}

/** What has to be held while clicking, as people read it. */
export function openLinkHint(): string {
  if (matchMedia('(pointer: coarse)').matches) return 'Tap to open';
  return isMac() ? '⌘ click to open' : 'Ctrl click to open';
}

/** The address as it will be opened, or null when it is no web address. */
export function webAddress(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const { protocol, href } = new URL(text);
  return protocol === 'http:' || protocol === 'https:' ? href : null;
}

/** Handles links of both kinds: those that a program marks (OSC 8) and addresses in the text. */
export function linkHandler(onHover: (address: string | null) => void): ILinkHandler {
  return {
    activate(event, text) {
      const address = webAddress(text);
      const isMeant = matchMedia('(pointer: coarse)').matches || (isMac() ? event.metaKey : event.ctrlKey);
      if (address && isMeant) window.open(address, '_blank', 'noopener,noreferrer');
    },
    hover: (_event, text) => onHover(webAddress(text)),
    leave: () => onHover(null),
  };
}
