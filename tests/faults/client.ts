/** The product's own connection, in Node: what was typed, receipted, shown and announced is kept for the ledger. */
import headless from '@xterm/headless';
import { WebSocket } from 'ws';
import { swallowQueries } from '@/components/terminal/swallow-queries';
import { terminalSink } from '@/components/terminal/terminal-sink';
import { TerminalConnection } from '@/lib/client/connection';
import type { ConnectionFacts, ConnectionState } from '@/lib/client/facts';
import type { TerminalSink } from '@/lib/client/feed';
import { SCROLLBACK_LINES } from '@/lib/protocol/limits';
import { guardEraseAbove, keepAlternateScreenFlat } from '@/lib/protocol/terminal';
import { decodeHostFrame, decodeViewerFrame, type Event, FRAME, type Mode, type Size } from '@/lib/protocol/wire';
import { until } from '@/tests/harness/processes';
import { UnicodeGraphemesAddon } from '@/ws-server/host/unicode';
import { Line } from './proxy';
import type { Stack } from './stack';

/** The latest events that are kept. */
const EVENTS_MAX = 200;
const SIZE: Size = { cols: 80, rows: 24 };
const LIVE_DEADLINE_MS = 20_000;

/** What a client hears of its own wire. */
export type ClientListener = {
  /** Raw output, each byte once, in order. */
  onOutput?(data: Uint8Array): void;
  /** The screen was drawn anew; `isAnnounced` is false when nothing said that output was skipped. */
  onSnapshot?(isAnnounced: boolean): void;
  onSent?(inputSeq: number, data: Uint8Array): void;
  onReceipt?(inputSeq: number): void;
  onFacts?(facts: ConnectionFacts): void;
};

export type ClientOptions = ClientListener & {
  mode?: Mode;
  /** Draws into a terminal, for comparing screens. */
  hasTerminal?: boolean;
  /** Connects to the gateway itself, one of very many that no case disturbs. */
  isDirect?: boolean;
};

/** Time of an event, by `performance.now`. */
export type Heard = { at: number; event: Event };

/** One viewer of a session behind a line of its own. `close` ends both. */
export class FaultClient {
  readonly id: string;
  readonly connection: TerminalConnection;
  readonly terminal: headless.Terminal | null;
  readonly events: Heard[] = [];
  /** Output bytes and snapshots so far. */
  outputBytes = 0;
  snapshots = 0;
  gaps = 0;
  /** When the connection last became live (ms, by `performance.now`); null before the first time. */
  liveAt: number | null = null;
  readonly #line: Line | null;
  readonly #listener: ClientListener;
  #announced = 0;
  #kind: ConnectionState['kind'] = 'connecting';

  private constructor(stack: Stack, id: string, line: Line | null, options: ClientOptions) {
    const { mode = 'write', hasTerminal = false, isDirect: _, ...listener } = options;
    this.id = id;
    this.#line = line;
    this.#listener = listener;
    this.terminal = hasTerminal ? newTerminal() : null;
    const sink = this.terminal ? terminalSink(this.terminal) : { reset() {}, resize() {}, write: writeNothing };
    this.connection = new TerminalConnection({
      mode,
      size: SIZE,
      sink: this.#listening(sink),
      getTicket: async () => {
        const { connectionUrl, protocols } = await stack.attach(id, mode);
        const url = new URL(connectionUrl);
        if (line) url.port = String(line.port);
        return { connectionUrl: url.href, protocols };
      },
      webSocket: this.#tapped(stack.gatewayHost),
    });
    this.connection.subscribe(() => this.#factsChanged());
  }

  /** Connects and waits until it is live. */
  static async open(stack: Stack, id: string, options: ClientOptions = {}): Promise<FaultClient> {
    const line = options.isDirect ? null : await Line.open(() => stack.wsPort);
    const client = new FaultClient(stack, id, line, options);
    stack.clients.add(client);
    client.connection.connect();
    await client.isLive();
    return client;
  }

  /** The way to the gateway, to be disturbed. */
  get line(): Line {
    if (!this.#line) throw new Error('this client has no line of its own');
    return this.#line;
  }

  get facts(): ConnectionFacts {
    return this.connection.getSnapshot();
  }

  get kind(): ConnectionState['kind'] {
    return this.#kind;
  }

  isLive(deadlineMs = LIVE_DEADLINE_MS): Promise<void> {
    return this.#is('live', deadlineMs);
  }

  /** Waits until it was told that the session is over. */
  isOver(deadlineMs: number): Promise<void> {
    return this.#is('ended', deadlineMs);
  }

  #is(kind: ConnectionState['kind'], deadlineMs: number): Promise<void> {
    return until(`the viewer of ${this.id} is ${kind}`, () => this.#kind === kind, deadlineMs).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(this.facts.state)}`);
    });
  }

  /** False when the connection did not take it. */
  type(text: string): boolean {
    return this.connection.input(Buffer.from(text));
  }

  /** The first event of a kind since a time. */
  heard<K extends Event['event']>(kind: K, since = 0): { at: number; event: Extract<Event, { event: K }> } | null {
    for (const { at, event } of this.events) {
      if (at >= since && isKind(event, kind)) return { at, event };
    }
    return null;
  }

  close(): void {
    this.connection.close();
    this.#line?.close();
    this.terminal?.dispose();
  }

  #factsChanged(): void {
    const { kind } = this.facts.state;
    if (kind === 'live' && this.#kind !== 'live') this.liveAt = performance.now();
    this.#kind = kind;
    this.#listener.onFacts?.(this.facts);
  }

  #listening(sink: TerminalSink): TerminalSink {
    let isSnapshot = false;
    let epoch: number | null = null;
    return {
      resize: sink.resize,
      reset: (size) => {
        const isAnnounced = this.snapshots === 0 || this.gaps > this.#announced || this.facts.epoch !== epoch;
        this.#announced = this.gaps;
        epoch = this.facts.epoch;
        this.snapshots += 1;
        isSnapshot = true;
        this.#listener.onSnapshot?.(isAnnounced);
        sink.reset(size);
      },
      write: (data, done) => {
        if (isSnapshot) {
          isSnapshot = false;
        } else {
          this.outputBytes += data.length;
          this.#listener.onOutput?.(data);
        }
        sink.write(data, done);
      },
    };
  }

  /** A WebSocket class that shows us INPUT frames and events on their way. */
  #tapped(host: string) {
    // One of very many is not asked what it has heard.
    const hasEars = this.#line !== null;
    const onSend = (frame: Uint8Array) => {
      if (frame[0] !== FRAME.input) return;
      const decoded = decodeHostFrame(frame.slice());
      if (decoded.type === 'input') this.#listener.onSent?.(decoded.inputSeq, decoded.data);
    };
    const onMessage = (data: unknown) => {
      if (!(data instanceof ArrayBuffer) || new Uint8Array(data, 0, 1)[0] !== FRAME.event) return;
      const frame = decodeViewerFrame(new Uint8Array(data));
      if (frame?.type === 'event') this.#hear(frame.message);
    };
    return class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        // Through a line the port is another one, and the gateway answers to its own only.
        super(url, protocols, { headers: { Host: host }, perMessageDeflate: false });
        if (hasEars) this.on('message', onMessage);
      }

      override send(data: Uint8Array): void {
        onSend(data);
        super.send(data);
      }
    };
  }

  #hear(event: Event): void {
    if (event.event === 'receipt') {
      this.#listener.onReceipt?.(event.inputSeq);
      return;
    }
    if (event.event === 'gap') this.gaps += 1;
    this.events.push({ at: performance.now(), event });
    if (this.events.length > EVENTS_MAX) this.events.shift();
  }
}

function isKind<K extends Event['event']>(event: Event, kind: K): event is Extract<Event, { event: K }> {
  return event.event === kind;
}

function writeNothing(_data: Uint8Array, done: () => void): void {
  done();
}

function newTerminal(): headless.Terminal {
  const terminal = new headless.Terminal({ scrollback: SCROLLBACK_LINES, allowProposedApi: true, logLevel: 'off' });
  terminal.loadAddon(new UnicodeGraphemesAddon());
  guardEraseAbove(terminal);
  keepAlternateScreenFlat(terminal);
  swallowQueries(terminal.parser);
  return terminal;
}
