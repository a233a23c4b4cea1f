/** The control connection to one pty host: its hello, its changes, and calls with deadlines. */
import { connect, type Socket } from 'node:net';
import type { z } from 'zod';
import { AppError } from '@/lib/protocol/errors';
import {
  CALL_REVISIONS,
  CALLS,
  type CallArgs,
  type CallName,
  type CallResult,
  decodeLinkFrame,
  encodeLinkFrame,
  FrameReader,
  LINK_REVISION,
  type ToGateway,
  type ToHost,
  toGatewaySchema,
  writeFrame,
} from './link';

/** How long a host may take to say hello (ms). */
const HELLO_DEADLINE_MS = 2_000;
/** How long a host may take to answer (ms); starting a program and ending one with a grace period take longer. */
const CALL_DEADLINE_MS = 2_000;
const SLOW_CALL_DEADLINE_MS = 10_000;
/** Calls that may be on their way to one host at once. */
const PENDING_MAX = 1_000;

type Hello = Extract<ToGateway, { link: 'hello' }>;
type Change = Extract<ToGateway, { link: 'session' | 'gone' }>;

/** Who listens to a host; the calls come in the order in which the host spoke. */
export type HostListener = {
  onHello(link: HostLink, hello: Hello): void;
  onChange(change: Change): void;
  /** It said anything at all, after its hello: also an answer that came too late. */
  onHeard(): void;
  /** The connection is gone. Called once, and only after `onHello`. */
  onLost(link: HostLink): void;
};

type Pending = { resolve(result: unknown): void; reject(error: Error): void; timer: NodeJS.Timeout };

/** One open control connection. */
export class HostLink {
  readonly #socket: Socket;
  readonly #listener: HostListener;
  readonly #pending = new Map<number, Pending>();
  readonly #gone: Promise<void>;
  #calls = 0;
  #revision = LINK_REVISION;
  #failure: Error | null = null;
  /** Whoever waits for the hello; null once it was said. */
  #greeting: { resolve(): void; reject(error: Error): void; timer: NodeJS.Timeout } | null = null;

  private constructor(socketPath: string, listener: HostListener) {
    this.#listener = listener;
    this.#socket = connect(socketPath);
    this.#gone = new Promise((resolve) => {
      this.#socket.once('close', () => {
        this.#closed();
        resolve();
      });
    });
  }

  /**
   * Connects and waits for the host's hello.
   * @throws the system's error when nobody listens, AppError `deadline_exceeded` for a silent host, `upgrade_required` for
   * one of a newer link revision
   */
  static async connect(socketPath: string, listener: HostListener): Promise<HostLink> {
    const link = new HostLink(socketPath, listener);
    await link.#open();
    return link;
  }

  /** Whether the host, which may be older than this gateway, knows a call. */
  knows(call: CallName): boolean {
    return (CALL_REVISIONS[call] ?? 1) <= this.#revision;
  }

  /**
   * Calls the host. A bad answer, a missed deadline and a lost connection reject; they never answer twice.
   * @throws AppError `upgrade_required` for a call that this host does not know yet
   */
  async call<N extends CallName>(call: N, args: CallArgs<N>, deadlineMs?: number): Promise<CallResult<N>> {
    if (!this.knows(call)) throw new AppError('upgrade_required', `This older pty host does not know "${call}".`);
    if (this.#socket.destroyed) {
      // The listener hears of the loss first, so that whoever gets this error finds it acted upon.
      await this.#gone;
      throw this.#lost();
    }
    if (this.#pending.size >= PENDING_MAX) throw new AppError('no_capacity', 'The pty host has too many open calls.');
    const isSlow = call === 'open' || call === 'end';
    const limitMs = deadlineMs ?? (isSlow ? SLOW_CALL_DEADLINE_MS : CALL_DEADLINE_MS);
    const n = ++this.#calls;
    const result = await new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(n);
        reject(new AppError('deadline_exceeded', `The pty host did not answer "${call}" within ${limitMs} ms.`));
      }, limitMs);
      this.#pending.set(n, { resolve, reject, timer });
      this.#send({ link: 'call', n, call, args });
    });
    // The compiler does not follow that CALLS[N].result is the schema of CallResult<N>.
    const schema = CALLS[call].result as unknown as z.ZodType<CallResult<N>>;
    return schema.parse(result);
  }

  /** Closes the connection; the host and its sessions stay. */
  close(): void {
    this.#socket.destroy();
  }

  #open(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail(new AppError('deadline_exceeded', 'The pty host said no hello.'));
      }, HELLO_DEADLINE_MS);
      this.#greeting = { resolve, reject, timer };
      const reader = new FrameReader((frame) => this.#receive(decodeLinkFrame(frame, toGatewaySchema)));
      this.#socket.on('data', (chunk) => {
        try {
          if (!this.#socket.destroyed) reader.push(chunk);
        } catch (cause) {
          this.#fail(new Error('malformed frame on the control connection', { cause }));
        }
      });
      this.#socket.on('error', (error) => this.#fail(error));
      this.#socket.once('connect', () => this.#send({ link: 'control', revision: LINK_REVISION }));
    });
  }

  #send(message: ToHost): void {
    writeFrame(this.#socket, encodeLinkFrame(message));
  }

  #receive(message: ToGateway): void {
    if (this.#socket.destroyed) return;
    if (!this.#greeting) this.#listener.onHeard();
    switch (message.link) {
      case 'hello':
        this.#greet(message);
        return;
      case 'session':
      case 'gone':
        if (this.#greeting) throw new Error(`"${message.link}" before hello`);
        this.#listener.onChange(message);
        return;
      case 'reply':
        this.#take(message.n)?.resolve(message.result);
        return;
      case 'failure': {
        const { code, message: text, details } = message.error;
        this.#take(message.n)?.reject(new AppError(code, text, details ? { details } : {}));
        return;
      }
      case 'close':
        throw new Error('"close" on the control connection');
    }
  }

  #greet(hello: Hello): void {
    const greeting = this.#greeting;
    if (!greeting) throw new Error('a second hello');
    if (hello.revision > LINK_REVISION) {
      const text = `Host ${hello.hostId} speaks link revision ${hello.revision}, this gateway ${LINK_REVISION}.`;
      this.#fail(new AppError('upgrade_required', text));
      return;
    }
    clearTimeout(greeting.timer);
    this.#greeting = null;
    this.#revision = hello.revision;
    this.#listener.onHello(this, hello);
    greeting.resolve();
  }

  /** The call with this number, or undefined when its deadline has passed. */
  #take(n: number): Pending | undefined {
    const pending = this.#pending.get(n);
    if (!pending) return undefined;
    clearTimeout(pending.timer);
    this.#pending.delete(n);
    return pending;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
  }

  #lost(): AppError {
    return new AppError('sidecar_unavailable', 'The pty host is gone.', { cause: this.#failure });
  }

  #closed(): void {
    for (const n of [...this.#pending.keys()]) this.#take(n)?.reject(this.#lost());
    if (!this.#greeting) {
      this.#listener.onLost(this);
      return;
    }
    clearTimeout(this.#greeting.timer);
    this.#greeting.reject(this.#failure ?? this.#lost());
    this.#greeting = null;
  }
}
