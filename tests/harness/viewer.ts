/** A viewer in Node: attaches, ACKs, keeps every byte with its position, and types with sequences. */
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { INPUT_BYTES_MAX } from '@/lib/protocol/limits';
import {
  type Attach,
  type AttachedEvent,
  type Control,
  decodeViewerFrame,
  type Event,
  encodeAck,
  encodeControl,
  encodeInput,
  SUBPROTOCOL,
  TICKET_PREFIX,
  type ViewerFrame,
} from '@/lib/protocol/wire';

const DEADLINE_MS = 10_000;

/** How a viewer's socket is opened. */
export type ViewerOptions = {
  url: string;
  ticket: string;
  /** null: no Origin header. */
  origin: string | null;
  /** Keeps the input sequence over reconnects; a random one if not given. */
  client?: string;
  /** Whether every OUTPUT and SNAPSHOT is ACKed as it arrives (default), or only by `ack`. */
  autoAck?: boolean;
};

/** How the socket ended. */
export type Closed = { code: number; reason: string };

/** The upgrade was refused with an HTTP status. */
class UpgradeRefused extends Error {
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: string) {
    super(`the upgrade was refused with ${status}: ${body}`);
    this.status = status;
    this.body = body;
  }
}

/** Opens the socket. @throws UpgradeRefused */
export function openViewer(options: ViewerOptions): Promise<Viewer> {
  const headers = options.origin === null ? {} : { Origin: options.origin };
  const ws = new WebSocket(options.url, [SUBPROTOCOL, TICKET_PREFIX + options.ticket], {
    headers,
    perMessageDeflate: false,
    handshakeTimeout: DEADLINE_MS,
  });
  // Before it is open: the first frames may come in the same packet as the answer.
  const viewer = new Viewer(ws, options);
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(viewer));
    ws.once('error', reject);
    ws.once('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => reject(new UpgradeRefused(response.statusCode ?? 0, body)));
    });
  });
}

/** One open socket of a session. */
export class Viewer {
  readonly client: string;
  readonly socket: WebSocket;
  /** How the socket ended; pending while it is open. */
  readonly closed: Promise<Closed>;
  readonly events: Event[] = [];
  readonly snapshots: Extract<ViewerFrame, { type: 'snapshot' }>[] = [];
  /** Where OUTPUT did not begin at the position that came before it. Always empty with a host that keeps its word. */
  readonly holes: { expected: number; position: number }[] = [];
  autoAck: boolean;
  /** The position of the next byte. */
  position = 0;
  /** The last input sequence that this viewer has sent. */
  inputSeq = 0;
  /** The last input sequence that the host has receipted. */
  receipted = 0;
  ending: Closed | null = null;
  readonly #changes = new Set<() => void>();
  #bytes = Buffer.alloc(64 * 1024);
  #length = 0;

  constructor(socket: WebSocket, options: Pick<ViewerOptions, 'client' | 'autoAck'>) {
    this.socket = socket;
    this.client = options.client ?? randomBytes(16).toString('base64url');
    this.autoAck = options.autoAck ?? true;
    socket.on('message', (data) => {
      if (Buffer.isBuffer(data)) this.#receive(data);
      this.#changed();
    });
    socket.on('error', () => this.#changed());
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.ending = { code, reason: reason.toString() };
        resolve(this.ending);
        this.#changed();
      });
    });
  }

  /** Every OUTPUT byte so far, in the order of arrival, without snapshots. */
  get output(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  get text(): string {
    return this.output.toString();
  }

  /** Sends `attach` and waits for `attached`; input goes on after what the host has accepted. */
  async attach(changes: Partial<Attach> = {}): Promise<AttachedEvent> {
    this.control({
      op: 'attach',
      revision: 1,
      client: this.client,
      cursor: null,
      cols: 80,
      rows: 24,
      ...changes,
    });
    const attached = await this.event('attached');
    this.inputSeq = attached.inputSeq;
    return attached;
  }

  control(message: Control): void {
    this.send(encodeControl(message));
  }

  /** Sends any bytes as one binary message. */
  send(frame: Uint8Array): void {
    this.socket.send(frame);
  }

  /** Types, in as many frames as it takes, and gives the last input sequence. */
  type(input: string | Uint8Array): number {
    const bytes = Buffer.from(input);
    for (let offset = 0; offset < bytes.length; offset += INPUT_BYTES_MAX) {
      this.send(encodeInput(++this.inputSeq, bytes.subarray(offset, offset + INPUT_BYTES_MAX)));
    }
    return this.inputSeq;
  }

  /** ACKs what has arrived, or up to a position. */
  ack(position: number = this.position): void {
    this.send(encodeAck(position));
  }

  /** Types a line into a shell and waits until it is written. */
  async line(command: string): Promise<void> {
    const inputSeq = this.type(`${command}\r`);
    await this.waitFor(`the receipt of ${inputSeq}`, () => this.receipted >= inputSeq);
  }

  /** Waits until OUTPUT holds a text, from an offset of `output` on, and gives the offset after it. */
  async waitForText(expected: string, from = 0, deadlineMs = DEADLINE_MS): Promise<number> {
    let start = from;
    let found = -1;
    const isThere = () => {
      found = this.output.indexOf(expected, start);
      start = Math.max(from, this.#length - Buffer.byteLength(expected));
      return found >= 0;
    };
    await this.waitFor(`the text ${JSON.stringify(expected)}`, isThere, deadlineMs);
    return found + Buffer.byteLength(expected);
  }

  /** The first event of a kind, now or later. */
  async event<K extends Event['event']>(kind: K, deadlineMs = DEADLINE_MS): Promise<Extract<Event, { event: K }>> {
    const isKind = (event: Event): event is Extract<Event, { event: K }> => event.event === kind;
    await this.waitFor(`the event ${kind}`, () => this.events.some(isKind), deadlineMs);
    const event = this.events.find(isKind);
    if (!event) throw new Error('unreachable');
    return event;
  }

  /** Waits until a condition holds; it is looked at after every frame. */
  waitFor(what: string, condition: () => boolean, deadlineMs = DEADLINE_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error) => {
        clearTimeout(timer);
        this.#changes.delete(look);
        if (error) reject(error);
        else resolve();
      };
      const fail = (why: string) => {
        const tail = JSON.stringify(this.text.slice(-300));
        settle(new Error(`${why} waiting for ${what}; the output ends with ${tail}`));
      };
      const look = () => {
        if (condition()) settle();
        else if (this.ending) fail(`closed with ${this.ending.code} ${this.ending.reason}`);
      };
      const timer = setTimeout(() => fail(`${deadlineMs} ms passed`), deadlineMs);
      this.#changes.add(look);
      look();
    });
  }

  /** Closes the socket and waits for the end. */
  async close(): Promise<Closed> {
    this.socket.close(1000);
    return this.closed;
  }

  /** Ends the socket without a word. */
  terminate(): void {
    this.socket.terminate();
  }

  #receive(data: Buffer): void {
    const frame = decodeViewerFrame(data);
    if (frame?.type === 'output') {
      if (frame.position !== this.position) this.holes.push({ expected: this.position, position: frame.position });
      this.#append(frame.data);
      this.position = frame.position + frame.data.length;
      if (this.autoAck) this.ack();
    } else if (frame?.type === 'snapshot') {
      this.snapshots.push(frame);
      this.position = frame.position;
      if (this.autoAck) this.ack();
    } else if (frame?.type === 'event') {
      this.events.push(frame.message);
      if (frame.message.event === 'attached') this.position = frame.message.position;
      if (frame.message.event === 'receipt') this.receipted = frame.message.inputSeq;
    }
  }

  #append(data: Uint8Array): void {
    if (this.#length + data.length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(this.#bytes.length * 2, this.#length + data.length));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    this.#bytes.set(data, this.#length);
    this.#length += data.length;
  }

  #changed(): void {
    for (const look of [...this.#changes]) look();
  }
}
