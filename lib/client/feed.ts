/** Feeds a terminal in stream order: snapshots, output and size changes each at their position, nothing twice, no hole. */
import type { Size } from '@/lib/protocol/wire';

/** The terminal as the connection feeds it. `done` is called when the terminal has parsed the data. */
export type TerminalSink = {
  reset(size: Size): void;
  write(data: Uint8Array, done: () => void): void;
  resize(size: Size): void;
};

type Parsed = (position: number) => void;
type Step =
  | { kind: 'reset'; size: Size; position: number; data: Uint8Array; parsed: Parsed }
  | { kind: 'write'; position: number; data: Uint8Array; parsed: Parsed }
  | { kind: 'resize'; size: Size };

/** Orders what comes from the host for one terminal. Positions are of one epoch, a snapshot starts over. */
export class Feed {
  readonly #sink: TerminalSink;
  readonly #onSize: (size: Size) => void;
  #steps: Step[] = [];
  /** Sizes for positions that have not come yet, in order. */
  #marks: { size: Size; position: number }[] = [];
  #received: number | null = null;
  #parsed: number | null = null;
  #writes = 0;
  #pendingBytes = 0;
  #isRunning = false;

  constructor(sink: TerminalSink, onSize: (size: Size) => void) {
    this.#sink = sink;
    this.#onSize = onSize;
  }

  /** The next position wanted, or null before the first snapshot. */
  get received(): number | null {
    return this.#received;
  }

  /** The position that the terminal shows: everything before it is parsed. Null until a snapshot is. */
  get parsed(): number | null {
    return this.#parsed;
  }

  /** Bytes that the terminal has not parsed yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Takes no more output until the next snapshot. */
  forget(): void {
    this.#received = null;
    this.#marks = [];
  }

  /** Starts over from a snapshot; `parsed` is called with its position. */
  snapshot(frame: { position: number; size: Size; data: Uint8Array }, parsed: Parsed): void {
    this.#received = frame.position;
    this.#marks = [];
    this.#enqueue({ kind: 'reset', ...frame, parsed });
  }

  /** Appends output, without bytes that are already here. Returns false, and takes nothing, when bytes are missing before it. */
  output(position: number, data: Uint8Array, parsed: Parsed): boolean {
    if (this.#received === null || position > this.#received) return false;
    let rest = data.subarray(Math.min(data.length, this.#received - position));
    while (rest.length > 0) {
      const mark = this.#marks[0];
      const part = mark ? rest.subarray(0, mark.position - this.#received) : rest;
      rest = rest.subarray(part.length);
      this.#received += part.length;
      this.#enqueue({ kind: 'write', position: this.#received, data: part, parsed });
      this.#applyMarks();
    }
    return true;
  }

  /** Changes the size when everything before `position` is parsed. */
  resized(size: Size, position: number): void {
    this.#marks.push({ size, position });
    this.#marks.sort((a, b) => a.position - b.position);
    this.#applyMarks();
  }

  #applyMarks(): void {
    for (;;) {
      const mark = this.#marks[0];
      if (!mark || this.#received === null || mark.position > this.#received) return;
      this.#marks.shift();
      this.#enqueue({ kind: 'resize', size: mark.size });
    }
  }

  #enqueue(step: Step): void {
    if (step.kind !== 'resize') this.#pendingBytes += step.data.length;
    this.#steps.push(step);
    this.#run();
  }

  #run(): void {
    // A terminal may call `done` inside `write`.
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let step = this.#steps[0]; step; step = this.#steps[0]) {
        // A terminal parses in slices: its size and content may change only when it holds nothing unparsed.
        if (step.kind !== 'write' && this.#writes > 0) return;
        this.#steps.shift();
        if (step.kind === 'write') {
          this.#write(step);
          continue;
        }
        if (step.kind === 'resize') {
          this.#sink.resize(step.size);
        } else {
          this.#parsed = null;
          this.#sink.reset(step.size);
          this.#write(step);
        }
        this.#onSize(step.size);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #write({ data, position, parsed }: { data: Uint8Array; position: number; parsed: Parsed }): void {
    this.#writes += 1;
    this.#sink.write(data, () => {
      this.#writes -= 1;
      this.#pendingBytes -= data.length;
      this.#parsed = position;
      parsed(position);
      this.#run();
    });
  }
}
