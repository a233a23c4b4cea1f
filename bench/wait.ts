/** Waiting for what a terminal shows. */
import type { Terminal } from './peers/terminal';
import { PROMPT } from './text';

const DEADLINE_MS = 60_000;

/** Finds an ASCII text in output, also across two chunks of it. */
export class Finder {
  readonly #wanted: string;
  #tail = '';

  constructor(wanted: string) {
    this.#wanted = wanted;
  }

  /** Whether the text ends in this chunk. */
  push(chunk: Buffer): boolean {
    const overlap = this.#wanted.length - 1;
    const isFound =
      chunk.includes(this.#wanted) || (this.#tail + chunk.toString('latin1', 0, overlap)).includes(this.#wanted);
    this.#tail = (this.#tail + chunk.toString('latin1', Math.max(0, chunk.length - overlap))).slice(-overlap);
    return isFound;
  }
}

/** Resolves with the time at which a text has come; output also goes on to the earlier `onData`. */
export function waitForText(terminal: Terminal, wanted: string, deadlineMs = DEADLINE_MS): Promise<number> {
  const finder = new Finder(wanted);
  const earlier = terminal.onData;
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      terminal.onData = earlier;
      terminal.onClose = () => undefined;
    };
    const fail = (why: string) => {
      settle();
      reject(new Error(`${why} while waiting for ${JSON.stringify(wanted)}`));
    };
    const timer = setTimeout(() => fail(`${deadlineMs} ms passed`), deadlineMs);
    terminal.onClose = fail;
    terminal.onData = (chunk) => {
      earlier(chunk);
      if (!finder.push(chunk)) return;
      settle();
      resolve(performance.now());
    };
  });
}

/** Resolves when nothing has come for a time, with the time of the last output. */
export function waitForQuiet(terminal: Terminal, quietMs: number): Promise<number> {
  const earlier = terminal.onData;
  return new Promise((resolve) => {
    let lastAt = performance.now();
    const end = performance.now() + DEADLINE_MS;
    terminal.onData = (chunk) => {
      earlier(chunk);
      lastAt = performance.now();
    };
    const timer = setInterval(() => {
      const now = performance.now();
      if (now - lastAt < quietMs && now < end) return;
      clearInterval(timer);
      terminal.onData = earlier;
      resolve(lastAt);
    }, 10);
  });
}

/** A terminal that shows its first prompt. */
export async function ready(opening: Promise<Terminal>): Promise<Terminal> {
  const terminal = await opening;
  await waitForText(terminal, PROMPT.trimEnd());
  return terminal;
}
