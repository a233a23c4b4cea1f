/** Input sequences of the clients of one session: what was accepted and what has reached the pty. */
import { AppError } from '@/lib/protocol/errors';
import { UNRECEIPTED_BYTES_MAX } from '@/lib/protocol/limits';

const CLIENTS_MAX = 64;
const FORGET_AFTER_MS = 10 * 60_000;

/** One client's input. `accepted` frames are or will be written; `written` ones are in the pty. */
export type ClientInput = { accepted: number; written: number; pendingBytes: number; seenAt: number };

/** What to do with an INPUT frame: write it, or only receipt it again. */
export type InputVerdict = 'write' | 'repeated';

export class InputLog {
  readonly #clients = new Map<string, ClientInput>();
  readonly #isHere: (client: string) => boolean;

  /** @param isHere whether a client is attached: it is not forgotten, however quiet it is */
  constructor(isHere: (client: string) => boolean) {
    this.#isHere = isHere;
  }

  /** The input of a client, remembered over reconnects: 64 clients that are away, for 10 minutes. */
  of(client: string, now: number = Date.now()): ClientInput {
    const known = this.#clients.get(client);
    if (known) {
      known.seenAt = now;
      this.#clients.delete(client); // the map's order is the order of use
      this.#clients.set(client, known);
      return known;
    }
    const away = [...this.#clients].filter(([name]) => !this.#isHere(name));
    const tooMany = away.length - (CLIENTS_MAX - 1);
    for (const [n, [name, { seenAt }]] of away.entries()) {
      if (n < tooMany || now - seenAt > FORGET_AFTER_MS) this.#clients.delete(name);
    }
    const fresh: ClientInput = { accepted: 0, written: 0, pendingBytes: 0, seenAt: now };
    this.#clients.set(client, fresh);
    return fresh;
  }

  /**
   * Judges an INPUT frame and books it when it is to be written.
   * @throws AppError `bad_request` for a hole in the sequence, `payload_too_large` for more than 64 KiB unreceipted
   */
  accept(input: ClientInput, inputSeq: number, bytes: number): InputVerdict {
    if (inputSeq <= input.accepted) return 'repeated';
    if (inputSeq !== input.accepted + 1) {
      throw new AppError('bad_request', `Input ${inputSeq} came after ${input.accepted}.`, {
        details: { reason: 'input_hole' },
      });
    }
    if (input.pendingBytes + bytes > UNRECEIPTED_BYTES_MAX) {
      throw new AppError('payload_too_large', 'More than 64 KiB of input wait to be written.');
    }
    input.accepted = inputSeq;
    input.pendingBytes += bytes;
    return 'write';
  }

  /** Books that a frame has reached the pty. */
  wrote(input: ClientInput, inputSeq: number, bytes: number): void {
    input.written = inputSeq;
    input.pendingBytes -= bytes;
  }
}
