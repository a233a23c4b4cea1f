/** What becomes of pasted text before a program sees it. */

/** Pasted text, ready to be sent. */
export type Paste = {
  data: Uint8Array;
  lines: number;
  /** Each line but the last would be run at once, or control characters would act: the user is asked first. */
  isRisky: boolean;
};

// Either could start the sequence that ends a bracketed paste.
const ESC = '\u001b';
const C1 = /[\u0080-\u009f]/g;
const LINE_BREAK = /\r\n|\n/g;
const CONTROLS = /[^\P{Cc}\t\r]/u;

/** Cleans text of ESC and C1 controls, makes line breaks what Return sends, and brackets it if the program asked for that. */
export function preparePaste(text: string, isBracketed: boolean): Paste {
  const cleaned = text.replaceAll(ESC, '').replace(C1, '').replace(LINE_BREAK, '\r');
  const lines = cleaned.replace(/\r$/, '').split('\r').length;
  return {
    data: new TextEncoder().encode(isBracketed ? `${ESC}[200~${cleaned}${ESC}[201~` : cleaned),
    lines,
    isRisky: !isBracketed && (lines > 1 || CONTROLS.test(cleaned)),
  };
}
