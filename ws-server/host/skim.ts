/**
 * A look ahead over output that is not drawn yet. While it is only text, line ends, tabs and colours, whatever stands in front of
 * enough line feeds scrolls out unseen, and all that it leaves behind is the pen: it need not be drawn.
 */

/** Between two places where output can be cut (bytes). */
const CHECKPOINT_BYTES = 16 * 1024;
/** A longer sequence is not looked into (bytes). */
const SEQUENCE_BYTES_MAX = 64;
/** Different colour sequences since the last reset that are kept; a power of two. */
const PEN_SLOTS = 128;

const LF = 0x0a;
const CR = 0x0d;
const ESC = 0x1b;
const BRACKET = 0x5b;
const DIGIT_0 = 0x30;
const SEMICOLON = 0x3b;
const ERASE_IN_LINE = 0x4b;
const SGR = 0x6d;
/** First byte of U+0080 to U+00BF, and the last byte of the control characters among them (C1). */
const C1_LEAD = 0xc2;
const C1_LAST = 0x9f;

const SGR_RESET = '\x1b[m';

const TEXT = 0;
const OTHER = 1;

/** Bell, backspace, tab and carriage return stay in their line. What is looked into, or is none of these, is OTHER. */
const KINDS = new Uint8Array(256).map((_, byte) => {
  if (byte === C1_LEAD || byte === 0x7f) return OTHER;
  return byte >= 0x20 || byte === CR || (byte >= 0x07 && byte <= 0x09) ? TEXT : OTHER;
});

/** A place behind a CR LF, and the sequences that bring the pen of the place where the look ahead began to the pen of this one. */
export type Cut = { position: number; pen: string };

export class Skim {
  readonly #pen = new Pen();
  #checkpoints: (Cut & { lines: number })[] = [];
  #nextCheckpoint: number;
  #position: number;
  #lines = 0;
  #lastByte = 0;
  /** A sequence or character whose rest has not come. */
  #rest: Uint8Array = new Uint8Array(0);
  #isOver = false;

  /** @param position where it begins: between two characters and outside of every sequence */
  constructor(position: number) {
    this.#position = position;
    this.#nextCheckpoint = position + CHECKPOINT_BYTES;
  }

  /** The position behind everything that was looked at and is plain. */
  get position(): number {
    return this.#position;
  }

  /** Where `scan` goes on. */
  get next(): number {
    return this.#position + this.#rest.length;
  }

  /** Whether something that is not plain stands at `position`: nothing behind it is looked at. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Looks at the bytes from `next` on. */
  scan(bytes: Uint8Array): void {
    if (this.#isOver) return;
    const held = this.#rest.length;
    if (held === 0) {
      this.#scan(bytes, 0);
      return;
    }
    const joined = new Uint8Array(held + Math.min(bytes.length, SEQUENCE_BYTES_MAX));
    joined.set(this.#rest);
    joined.set(bytes.subarray(0, joined.length - held), held);
    this.#rest = new Uint8Array(0);
    const length = this.#special(joined, 0);
    if (length === 0) return;
    this.#position += length;
    this.#scan(bytes, length - held);
  }

  /** The last place that has at least so many line feeds between it and `position`. */
  cut(lines: number): Cut | undefined {
    return this.#checkpoints.findLast((checkpoint) => this.#lines - checkpoint.lines >= lines);
  }

  /** Forgets the places up to a cut that was made. */
  forget({ position }: Cut): void {
    this.#checkpoints = this.#checkpoints.filter((checkpoint) => checkpoint.position > position);
  }

  #scan(bytes: Uint8Array, from: number): void {
    const base = this.#position - from;
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const lastWord = bytes.length - 4;
    let lines = this.#lines;
    let n = from;
    while (n < bytes.length) {
      while (n <= lastWord && isPrintable(words.getInt32(n, true))) n += 4;
      const byte = bytes[n];
      if (byte === undefined) break;
      if (KINDS[byte] === TEXT) {
        n++;
      } else if (byte === LF) {
        n++;
        lines++;
        if (base + n >= this.#nextCheckpoint && (n > 1 ? bytes[n - 2] : this.#lastByte) === CR) {
          this.#checkpoints.push({ position: base + n, pen: this.#pen.text(), lines });
          this.#nextCheckpoint = base + n + CHECKPOINT_BYTES;
        }
      } else {
        const length = this.#special(bytes, n);
        if (length === 0) break;
        n += length;
      }
    }
    this.#position = base + n;
    this.#lines = lines;
    this.#lastByte = bytes[n - 1] ?? 0;
  }

  /** The length of the sequence or character at `n`; 0 when its rest has not come, or it is not plain. */
  #special(bytes: Uint8Array, n: number): number {
    const next = bytes[n + 1];
    if (bytes[n] === C1_LEAD) {
      if (next === undefined) return this.#hold(bytes, n);
      return next >= 0x80 && next <= C1_LAST ? this.#stop() : 1;
    }
    if (bytes[n] !== ESC) return this.#stop();
    if (next === undefined) return this.#hold(bytes, n);
    if (next !== BRACKET) return this.#stop();
    let hash = 0;
    for (let end = n + 2; end < n + SEQUENCE_BYTES_MAX; end++) {
      const byte = bytes[end];
      if (byte === undefined) return this.#hold(bytes, n);
      if (byte >= DIGIT_0 && byte <= SEMICOLON) {
        hash = (Math.imul(hash, 31) + byte) | 0;
        continue;
      }
      const isPlain = byte === ERASE_IN_LINE || (byte === SGR && this.#pen.add(bytes, n, end + 1, hash));
      return isPlain ? end + 1 - n : this.#stop();
    }
    return this.#stop();
  }

  #hold(bytes: Uint8Array, n: number): 0 {
    this.#rest = bytes.slice(n);
    return 0;
  }

  #stop(): 0 {
    this.#isOver = true;
    return 0;
  }
}

/** Whether four bytes are all from 0x20 to 0x7e: the highest bit of each shows whether it is below, above, or not ASCII. */
function isPrintable(word: number): boolean {
  return (((word - 0x20202020) | (word + 0x01010101) | word) & 0x80808080) === 0;
}

/**
 * The colour sequences (SGR) that still count. Each sets some attributes to fixed values, whatever they were: so one that comes
 * again replaces its earlier self, and one that begins with a reset replaces all.
 */
class Pen {
  /** A hash table with linear probing; a slot whose order lies before the last reset is free. */
  readonly #hashes = new Int32Array(PEN_SLOTS);
  readonly #orders = new Float64Array(PEN_SLOTS);
  readonly #texts: string[] = new Array(PEN_SLOTS).fill('');
  #order = 0;
  #resetAt = 0;

  /** Takes the sequence [start, end). False when there is no room for one more. */
  add(bytes: Uint8Array, start: number, end: number, hash: number): boolean {
    this.#order++;
    const first = bytes[start + 2];
    const second = bytes[start + 3];
    if (first === SGR || (first === DIGIT_0 && (second === SGR || second === SEMICOLON))) {
      this.#resetAt = this.#order;
      if (first === SGR || second === SGR) return true;
    }
    for (let probe = 0; probe < PEN_SLOTS; probe++) {
      const slot = (hash + probe) & (PEN_SLOTS - 1);
      const isKnown = this.#hashes[slot] === hash && isSame(this.#texts[slot] ?? '', bytes, start, end);
      if (!isKnown && this.#isLive(slot)) continue;
      if (!isKnown) {
        this.#hashes[slot] = hash;
        this.#texts[slot] = String.fromCharCode(...bytes.subarray(start, end));
      }
      this.#orders[slot] = this.#order;
      return true;
    }
    return false;
  }

  /** What counts, in order. */
  text(): string {
    const slots: number[] = [];
    for (let slot = 0; slot < PEN_SLOTS; slot++) if (this.#isLive(slot)) slots.push(slot);
    slots.sort((a, b) => (this.#orders[a] ?? 0) - (this.#orders[b] ?? 0));
    return (this.#resetAt > 0 ? SGR_RESET : '') + slots.map((slot) => this.#texts[slot]).join('');
  }

  #isLive(slot: number): boolean {
    const order = this.#orders[slot] ?? 0;
    return order > 0 && order >= this.#resetAt;
  }
}

function isSame(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let n = start; n < end; n++) if (text.charCodeAt(n - start) !== bytes[n]) return false;
  return true;
}
