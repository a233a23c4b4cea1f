/** One attached viewer: a cursor into the session's stream, with a window of bytes that it has not ACKed. */
import { AppError, type ErrorCode } from '@/lib/protocol/errors';
import { FRAME_BYTES_MAX, WINDOW_BYTES } from '@/lib/protocol/limits';
import {
  type Attach,
  type Event,
  encodeEvent,
  encodeOutputHeader,
  encodeSnapshot,
  type Mode,
  type Size,
  type ViewerFacts,
} from '@/lib/protocol/wire';
import type { Ring } from './ring';
import type { Snapshot } from './screen';
import type { SizeMarks } from './size-marks';

const OUTPUT_BYTES_MAX = FRAME_BYTES_MAX - 64;

/** The way to one viewer's socket. */
export type ViewerSink = {
  /** Queues a frame of the terminal wire, given in parts that are not copied and must not change. */
  send(...parts: Uint8Array[]): void;
  /** Closes the socket with an error code, after what was sent before. */
  close(code: ErrorCode): void;
};

/** The stream that viewers are cursors of, and the position up to which it is passed on: what came since is still gathered. */
export type Stream = { ring: Ring; marks: SizeMarks; due: number; snapshot(): { snapshot: Snapshot; markSeq: number } };

export class Viewer {
  readonly name: string;
  readonly client: string;
  readonly mode: Mode;
  readonly sink: ViewerSink;
  size: Size;
  /** What its terminal looks like, for answers to queries while it drives. */
  look: Pick<Attach, 'cell' | 'colours'>;
  /** When it last typed or took the keyboard, as a count over all viewers of the session; 0 for never. */
  typedAt = 0;
  readonly #stream: Stream;
  #sent = 0;
  /** The highest position ever sent: what a late ACK from before a snapshot may name. */
  #sentMax = 0;
  #acked = 0;
  #markSeq = 0;
  #snapshotAt: number | null = null;

  constructor(facts: { name: string; mode: Mode; attach: Attach }, sink: ViewerSink, stream: Stream) {
    this.name = facts.name;
    this.mode = facts.mode;
    this.client = facts.attach.client;
    this.size = { cols: facts.attach.cols, rows: facts.attach.rows };
    this.look = { cell: facts.attach.cell, colours: facts.attach.colours };
    this.sink = sink;
    this.#stream = stream;
  }

  get facts(): ViewerFacts {
    return { viewer: this.name, mode: this.mode, ...this.size };
  }

  /** Whether it has got and ACKed everything up to the end of the stream. */
  get isDrained(): boolean {
    return this.#snapshotAt === null && this.#sent === this.#stream.ring.end && this.#acked === this.#sent;
  }

  /** Output that it has not ACKed (bytes). */
  get behind(): number {
    return this.#stream.ring.end - this.#acked;
  }

  send(event: Event): void {
    this.sink.send(encodeEvent(event));
  }

  /** Whether a cursor can be served from the ring. */
  static canResume({ ring, marks }: Stream, position: number): boolean {
    return position >= Math.max(ring.start, marks.cursorMin) && position <= ring.end;
  }

  /** Starts at a cursor that the ring can serve. */
  resumeAt(position: number): void {
    this.#startAt(position, this.#stream.marks.seqBefore(position));
  }

  /** Starts, or starts again, with a snapshot; nothing follows until it is ACKed. */
  startWith({ snapshot, markSeq }: ReturnType<Stream['snapshot']>): void {
    this.#startAt(snapshot.position, markSeq);
    this.#snapshotAt = snapshot.position;
    this.sink.send(encodeSnapshot(snapshot.position, snapshot, snapshot.text));
  }

  /** A viewer more than a window behind jumps to the present. */
  skipIfBehind(): void {
    if (this.#snapshotAt === null && this.behind > WINDOW_BYTES) this.#skip();
  }

  /** @throws AppError `bad_request` for a position that was never sent */
  ack(position: number): void {
    if (position > this.#sentMax) {
      throw new AppError('bad_request', 'ACK beyond what was sent.', { details: { reason: 'ack_ahead' } });
    }
    if (this.#snapshotAt !== null) {
      if (position < this.#snapshotAt) return;
      this.#snapshotAt = null;
      this.#acked = this.#sent;
    } else {
      this.#acked = Math.max(this.#acked, Math.min(position, this.#sent));
    }
    this.pump();
  }

  /** Sends what the window allows: output, and changes of size where they stand in it. */
  pump(): void {
    const { ring, marks, due } = this.#stream;
    while (this.#snapshotAt === null) {
      if (this.#sent < ring.start) {
        this.#skip();
        return;
      }
      const mark = marks.after(this.#markSeq);
      if (mark && mark.position <= this.#sent) {
        this.#markSeq = mark.seq;
        this.send({ event: 'resized', cols: mark.cols, rows: mark.rows, position: mark.position });
        continue;
      }
      const waiting = Math.min(due, mark?.position ?? due) - this.#sent;
      const room = this.#acked + WINDOW_BYTES - this.#sent;
      // More room comes with the ACKs of what is on its way. To fill it at once would make small frames, and those small room.
      if (waiting > room && room < OUTPUT_BYTES_MAX) return;
      const end = this.#sent + Math.min(waiting, OUTPUT_BYTES_MAX);
      if (end <= this.#sent) return;
      this.sink.send(encodeOutputHeader(this.#sent), ...ring.slices(this.#sent, end));
      this.#sent = end;
      this.#sentMax = Math.max(this.#sentMax, end);
    }
  }

  #skip(): void {
    const from = this.#sent;
    const present = this.#stream.snapshot();
    this.send({ event: 'gap', from, to: Math.max(from, present.snapshot.position) });
    this.startWith(present);
  }

  #startAt(position: number, markSeq: number): void {
    this.#sent = position;
    this.#sentMax = Math.max(this.#sentMax, position);
    this.#acked = position;
    this.#markSeq = markSeq;
  }
}
