/** One attempt to be connected: from the ticket over the socket to the close, with its deadline and its heartbeat. */
import {
  actionForClose,
  CLOSE,
  type ClientAction,
  codeForClose,
  ERRORS,
  type ErrorCode,
  errorCodeSchema,
} from '@/lib/protocol/errors';
import { type Control, decodeViewerFrame, encodeControl, type ViewerFrame } from '@/lib/protocol/wire';
import { Heartbeat } from './heartbeat';

/** How long ticket, socket and attach may take together (ms). */
const CONNECT_TIMEOUT_MS = 10_000;
const SOCKET_OPEN = 1;

/** Where and with which subprotocols to open a socket, once. */
export type Ticket = { connectionUrl: string; protocols: string[] };

/** What a connection needs of a WebSocket: the browser's has it, and so has that of the `ws` package. */
export type Socket = {
  binaryType: string;
  readonly readyState: number;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
};
export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

/** Why an attempt ended, and what that means for the next one. `isRestart` when the gateway said it comes back. */
export type Failure = { code: ErrorCode | null; action: ClientAction; message: string; isRestart: boolean };

type Listeners = {
  onOpen(): void;
  onFrame(frame: ViewerFrame): void;
  /** Called once, unless `stop` was called before. */
  onLost(failure: Failure): void;
};

function transient(message: string): Failure {
  return { code: null, action: 'retry', message, isRestart: false };
}

function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : 'The server cannot be reached.';
  const known = errorCodeSchema.safeParse(error instanceof Error && 'code' in error ? error.code : null);
  if (!known.success) return transient(message);
  return { code: known.data, action: ERRORS[known.data].action, message, isRestart: false };
}

function failureOfClose(code: number, reason: string): Failure {
  const isRestart = code === CLOSE.restart || code === CLOSE.drain;
  const message = isRestart ? 'The gateway restarts.' : 'The connection was lost.';
  return { code: codeForClose(code, reason), action: actionForClose(code, reason), message, isRestart };
}

/** Starts at construction. Ends with `onLost`, or silently with `stop`. */
export class Link {
  readonly #listeners: Listeners;
  readonly #deadline: ReturnType<typeof setTimeout>;
  #socket: Socket | null = null;
  #heartbeat: Heartbeat | null = null;
  #isStopped = false;
  /** When the attempt began, and when the host answered the attach (by `performance.now`), or null. */
  readonly startedAt = performance.now();
  attachedAt: number | null = null;

  constructor(ticket: Promise<Ticket>, webSocket: SocketConstructor, listeners: Listeners) {
    this.#listeners = listeners;
    this.#deadline = setTimeout(() => this.fail('The server did not answer.'), CONNECT_TIMEOUT_MS);
    ticket.then(
      (granted) => this.#open(granted, webSocket),
      (error: unknown) => this.#lost(failureOf(error)),
    );
  }

  get isOpen(): boolean {
    return !this.#isStopped && this.#socket?.readyState === SOCKET_OPEN;
  }

  send(frame: Uint8Array<ArrayBuffer>): void {
    if (this.isOpen) this.#socket?.send(frame);
  }

  control(message: Control): void {
    this.send(encodeControl(message));
  }

  /** The host has answered the attach: from now on silence is noticed. */
  attached(): void {
    clearTimeout(this.#deadline);
    this.attachedAt = performance.now();
    this.#heartbeat = new Heartbeat({
      ping: () => this.control({ op: 'ping', t: performance.now() }),
      onSilence: () => this.fail('The server went silent.'),
    });
  }

  /** Asks at once whether the other side is still there. */
  probe(): void {
    this.#heartbeat?.probe();
  }

  /** Ends the attempt for a reason that a further attempt may cure. */
  fail(message: string): void {
    this.#lost(transient(message));
  }

  /** Ends the attempt without a word. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#deadline);
    this.#heartbeat?.stop();
    this.#socket?.close();
  }

  #open({ connectionUrl, protocols }: Ticket, webSocket: SocketConstructor): void {
    if (this.#isStopped) return;
    const socket = new webSocket(connectionUrl, protocols);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => !this.#isStopped && this.#listeners.onOpen());
    socket.addEventListener('message', ({ data }) => this.#receive(data));
    socket.addEventListener('close', ({ code, reason }) => this.#lost(failureOfClose(code, reason)));
    // A close event always follows.
    socket.addEventListener('error', () => undefined);
  }

  #receive(data: unknown): void {
    if (this.#isStopped) return;
    let frame: ViewerFrame | null;
    try {
      if (!(data instanceof ArrayBuffer)) throw new TypeError('The server sent a text message.');
      frame = decodeViewerFrame(new Uint8Array(data));
    } catch (error) {
      this.#lost(transient(error instanceof Error ? error.message : String(error)));
      return;
    }
    this.#heartbeat?.heard();
    if (frame) this.#listeners.onFrame(frame);
  }

  #lost(failure: Failure): void {
    if (this.#isStopped) return;
    this.stop();
    this.#listeners.onLost(failure);
  }
}
