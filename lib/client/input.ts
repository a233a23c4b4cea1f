/** Input on its way to the host: numbered frames, at most once, and never more in flight than the host takes. */
import { INPUT_BYTES_MAX, UNRECEIPTED_BYTES_MAX } from '@/lib/protocol/limits';
import { encodeInput } from '@/lib/protocol/wire';

/** Input that waits here at most, a large paste for example (bytes). */
export const WAITING_BYTES_MAX = 8 * 1024 * 1024;
/** Input that is kept from typing while there is no connection (bytes). */
export const OFFLINE_BYTES_MAX = 4 * 1024;

type SentFrame = { inputSeq: number; data: Uint8Array };

/** A first-in first-out run of bytes. */
class Bytes {
  #chunks: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(...chunks: Uint8Array[]): void {
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      this.#chunks.push(chunk);
      this.#length += chunk.length;
    }
  }

  shift(lengthMax: number): Uint8Array {
    const taken = new Uint8Array(Math.min(lengthMax, this.#length));
    let filled = 0;
    while (filled < taken.length) {
      const chunk = this.#chunks[0];
      if (!chunk) break;
      const part = chunk.subarray(0, taken.length - filled);
      taken.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#length -= filled;
    return taken;
  }

  all(): Uint8Array {
    const copy = this.shift(this.#length);
    this.push(copy);
    return copy;
  }
}

/** The input of one client. It sends nothing itself: `next` gives the frames that may go now. */
export class InputQueue {
  #nextSeq = 1;
  #receipted = 0;
  #sent: SentFrame[] = [];
  #sentBytes = 0;
  /** Frames of `#sent` that go out again before anything else. */
  #resend: SentFrame[] = [];
  #waiting = new Bytes();
  #offlineBytes = 0;
  #unsent = new Bytes();

  /** Takes typed bytes. Returns false, and keeps nothing of them, when they do not fit. */
  add(data: Uint8Array, isOnline: boolean): boolean {
    if (this.#waiting.length + this.#unsent.length + data.length > WAITING_BYTES_MAX) return false;
    if (!isOnline) {
      if (this.#offlineBytes + data.length > OFFLINE_BYTES_MAX) return false;
      this.#offlineBytes += data.length;
    }
    this.#waiting.push(data);
    return true;
  }

  /** The next INPUT frame that may be sent now, or null. */
  next(): Uint8Array<ArrayBuffer> | null {
    const again = this.#resend.shift();
    if (again) return encodeInput(again.inputSeq, again.data);
    const room = Math.min(INPUT_BYTES_MAX, UNRECEIPTED_BYTES_MAX - this.#sentBytes);
    if (room <= 0 || this.#waiting.length === 0) return null;
    const frame = { inputSeq: this.#nextSeq, data: this.#waiting.shift(room) };
    this.#nextSeq += 1;
    this.#sent.push(frame);
    this.#sentBytes += frame.data.length;
    return encodeInput(frame.inputSeq, frame.data);
  }

  /** The host has written every frame up to `inputSeq` to the pty. */
  receipt(inputSeq: number): void {
    this.#receipted = Math.max(this.#receipted, inputSeq);
    this.#keepSent(this.#sent.filter((frame) => frame.inputSeq > inputSeq));
  }

  /**
   * Carries on after an attach.
   * @param inputSeq the last frame that the host has accepted from this client
   * @param isSameStream whether the host still speaks of the same epoch
   * @param mayResend whether what it did not accept is sent now; otherwise it becomes unsent
   */
  resume({ inputSeq, isSameStream, mayResend }: { inputSeq: number; isSameStream: boolean; mayResend: boolean }): void {
    // A host that knows less than it once receipted has forgotten this client: what became of the rest is unknown.
    const isRemembered = isSameStream && inputSeq >= this.#receipted;
    const lost = isRemembered ? this.#sent.filter((frame) => frame.inputSeq > inputSeq) : this.#sent;
    this.#offlineBytes = 0;
    if (isRemembered && mayResend) {
      // The very same frames: one of them may still reach the host by the earlier socket, and counts once.
      this.#resend = lost;
      return;
    }
    this.#unsent.push(...lost.map((frame) => frame.data), this.#waiting.all());
    this.#waiting = new Bytes();
    this.#resend = [];
    this.#keepSent(isRemembered ? this.#sent.filter((frame) => frame.inputSeq <= inputSeq) : []);
    this.#nextSeq = inputSeq + 1;
    if (!isRemembered) this.#receipted = inputSeq;
  }

  /** What is kept back until the user decides, or null. */
  get unsent(): Uint8Array | null {
    return this.#unsent.length === 0 ? null : this.#unsent.all();
  }

  /** Queues the unsent bytes for sending. */
  sendUnsent(): void {
    this.#waiting.push(this.#unsent.all());
    this.#unsent = new Bytes();
  }

  /** Forgets the unsent bytes. */
  discardUnsent(): void {
    this.#unsent = new Bytes();
  }

  #keepSent(frames: SentFrame[]): void {
    this.#sent = frames;
    this.#sentBytes = frames.reduce((sum, frame) => sum + frame.data.length, 0);
  }
}
