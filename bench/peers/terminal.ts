/**
 * One terminal connection as the runner and the harness in `../shared/bench` see it. The members are those of the harness's
 * adapter interface, so that one adapter serves both.
 */

/** What a case does when output comes. */
export type OnData = (chunk: Buffer) => void;

export abstract class Terminal {
  /** The session's id, for `attach`; null where a session ends with its connection. */
  id: string | null = null;
  closed = false;
  /** When the first output came (by `performance.now`). */
  firstByteAt: number | null = null;
  onClose: (reason: string) => void = () => undefined;
  #handler: OnData | null = null;
  #held: Buffer[] = [];

  get onData(): OnData {
    return this.#handler ?? (() => undefined);
  }

  /** What came before the first handler is kept for it. */
  set onData(handler: OnData) {
    this.#handler = handler;
    for (const chunk of this.#held.splice(0)) handler(chunk);
  }

  /** Output that the server says it did not send (bytes). */
  get skippedBytes(): number {
    return 0;
  }

  /** Output of the pty, in order. */
  protected emit(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.firstByteAt ??= performance.now();
    if (this.#handler) this.#handler(chunk);
    else this.#held.push(chunk);
  }

  /** The connection is over. */
  protected gone(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.onClose(reason);
  }

  /** Sends keystrokes. */
  abstract write(text: string): void;
  /** Stops reading the socket, and starts again. */
  abstract pauseRead(): void;
  abstract resumeRead(): void;
  /** So many bytes came and wait to be drawn; what is not announced counts as drawn at once. */
  abstract received(bytes: number): void;
  /** So many bytes are drawn. */
  abstract consumed(bytes: number): void;
  /** Cuts the connection without a goodbye. */
  abstract drop(): void;
  /** Ends the session as its user would. */
  abstract close(): Promise<void>;
  resize(_cols: number, _rows: number): void {}
}

/** Where a peer answers; `options` are the peer's own. */
export type OpenOptions = { url: string; cols?: number; rows?: number; options: Record<string, unknown> };

/** How connections to one kind of server are made. */
export type Adapter = {
  name: string;
  /** A new session. */
  open(options: OpenOptions): Promise<Terminal>;
  /** A session that is there; absent where sessions end with their connection. */
  attach?: (options: OpenOptions, id: string) => Promise<Terminal>;
};
