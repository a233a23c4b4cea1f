/** Clients that read or draw at a given pace. */
import type { Terminal } from './peers/terminal';

const TICK_MS = 5;
/** What may be read or drawn at once after a pause, in seconds of the pace. */
const BURST_S = 0.05;

/** Takes everything as fast as it comes. */
export function readFast(terminal: Terminal, onChunk: (chunk: Buffer) => void): void {
  terminal.onData = (chunk) => {
    terminal.received(chunk.length);
    terminal.consumed(chunk.length);
    onChunk(chunk);
  };
}

/** A client that stops reading its socket: the network is slow. The returned function ends that. */
export function readSlowly(terminal: Terminal, bytesPerSecond: number): () => void {
  const budget = new Budget(bytesPerSecond);
  let isPaused = false;
  readFast(terminal, (chunk) => {
    budget.spend(chunk.length);
    if (budget.isSpent && !isPaused) terminal.pauseRead();
    isPaused ||= budget.isSpent;
  });
  const timer = setInterval(() => {
    if (!isPaused || budget.isSpent) return;
    isPaused = false;
    terminal.resumeRead();
  }, TICK_MS);
  return () => {
    clearInterval(timer);
    terminal.resumeRead();
  };
}

/**
 * A client that reads its socket at once, as a browser always does, and draws slowly. What has come and is not drawn is the
 * backlog.
 */
export class SlowDrawing {
  readonly #terminal: Terminal;
  readonly #budget: Budget;
  readonly #timer: NodeJS.Timeout;
  #queue: Buffer[] = [];
  #backlogBytes = 0;
  /** The largest backlog so far (bytes). */
  backlogBytesMax = 0;
  /** Called with what is drawn. */
  onDrawn: (chunk: Buffer) => void = () => undefined;

  constructor(terminal: Terminal, bytesPerSecond: number) {
    this.#terminal = terminal;
    this.#budget = new Budget(bytesPerSecond);
    this.#timer = setInterval(() => this.#draw(), TICK_MS);
    terminal.onData = (chunk) => {
      this.#queue.push(chunk);
      this.#backlogBytes += chunk.length;
      this.backlogBytesMax = Math.max(this.backlogBytesMax, this.#backlogBytes);
      terminal.received(chunk.length);
    };
  }

  /** Draws nothing any more, and forgets what waits. */
  stop(): void {
    clearInterval(this.#timer);
    this.#queue = [];
    this.#terminal.onData = () => undefined;
  }

  #draw(): void {
    let drawn = 0;
    for (let chunk = this.#queue[drawn]; chunk && !this.#budget.isSpent; chunk = this.#queue[drawn]) {
      drawn += 1;
      this.#budget.spend(chunk.length);
      this.#backlogBytes -= chunk.length;
      this.onDrawn(chunk);
      this.#terminal.consumed(chunk.length);
    }
    if (drawn > 0) this.#queue = this.#queue.slice(drawn);
  }
}

/** Bytes that may be taken now, refilled with time. */
class Budget {
  readonly #bytesPerMs: number;
  readonly #bytesMax: number;
  #bytes = 0;
  #at = performance.now();

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#bytesMax = bytesPerSecond * BURST_S;
  }

  get isSpent(): boolean {
    const now = performance.now();
    this.#bytes = Math.min(this.#bytesMax, this.#bytes + (now - this.#at) * this.#bytesPerMs);
    this.#at = now;
    return this.#bytes <= 0;
  }

  spend(bytes: number): void {
    this.#bytes -= bytes;
  }
}
