/** What a terminal sends, as bytes, and what of it should not make a watching window the one that sets the size. */

// Focus in and out, and the mouse moving without a button (SGR encoding): nobody typed.
const FOCUS_OR_MOTION = /^\[(?:[IO]|<(?:35|39|43|47|51|55|59|63);\d+;\d+M)$/;

const encoder = new TextEncoder();

/** Typed text as UTF-8. */
export function textBytes(data: string): Uint8Array {
  return encoder.encode(data);
}

/** Reports that are bytes already, one in each character (mouse reports of the old encodings). */
export function binaryBytes(data: string): Uint8Array {
  return Uint8Array.from(data, (char) => char.charCodeAt(0) & 0xff);
}

/** Whether a terminal only tells that the pointer moves over it or that it has the focus. */
export function isPassiveReport(data: string): boolean {
  return data.startsWith('\x1b') && FOCUS_OR_MOTION.test(data.slice(1));
}
