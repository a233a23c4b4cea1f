/**
 * The one cleaning of text that the server itself writes somewhere: names and titles in labels, messages, terminals and logs.
 * What a user types, what a program prints, and paths that are opened never pass through here. Nothing cleaned here reaches a
 * command line either: processes start from argument arrays.
 */

/** Longest label that is kept (UTF-16 units). */
export const LABEL_LENGTH_MAX = 1_000;

/**
 * What steers a terminal or a line of text instead of standing in it: control characters (ESC and C1 among them), line and
 * paragraph separators, explicit bidirectional controls, and halves of surrogate pairs.
 */
const STEERING = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
const HIGH_HALF = /[\ud800-\udbff]$/;

const graphemes = new Intl.Segmenter();

/** Whether a text holds nothing that `cleanLabel` would take away. */
export function isClean(text: string): boolean {
  return text.search(STEERING) < 0;
}

/** The text without characters that steer, at most `lengthMax` UTF-16 units long, cut between whole graphemes. */
export function cleanLabel(text: string, lengthMax: number = LABEL_LENGTH_MAX): string {
  const clean = text.replace(STEERING, '');
  if (clean.length <= lengthMax) return clean;
  // Whether a grapheme ends here is decided by what is before it and one character after it.
  const head = clean.slice(0, lengthMax + 2);
  const end = graphemes.segment(head).containing(lengthMax)?.index ?? lengthMax;
  // One grapheme that fills everything, such as a letter under a heap of accents, is cut where it must be.
  return end > 0 ? head.slice(0, end) : head.slice(0, lengthMax).replace(HIGH_HALF, '');
}

/** The text with characters that steer written as `\uXXXX`: in JSON they mean the same, on a terminal they do nothing. */
export function escapeSteering(text: string): string {
  return text.replace(STEERING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
