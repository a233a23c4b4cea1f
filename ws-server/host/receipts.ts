/** Receipts of input, sent behind the output that answers it: an echo does not wait until they have passed every hop. */

/** Input without an answer is receipted after this (ms). */
const WAIT_MS = 5;

export class Receipts {
  readonly #send: (client: string, inputSeq: number) => void;
  /** The last input of each client that is written and not receipted. */
  readonly #due = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(send: (client: string, inputSeq: number) => void) {
    this.#send = send;
  }

  /** Input is written to the pty. */
  add(client: string, inputSeq: number): void {
    this.#due.set(client, inputSeq);
    this.#timer ??= setTimeout(() => this.send(), WAIT_MS);
  }

  /** Sends what is due. */
  send(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [client, inputSeq] of this.#due) this.#send(client, inputSeq);
    this.#due.clear();
  }
}
