/** A connection to Holdfast: the browser client itself, with the socket of `ws` and a terminal that draws when it is told. */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { TerminalConnection } from '@/lib/client/connection';
import type { Ticket } from '@/lib/client/link';
import { DEFAULT_SIZE } from '@/lib/protocol/limits';
import { attachAnswerSchema, createTerminalAnswerSchema, readyAnswerSchema } from '@/lib/protocol/rest';
import type { Size } from '@/lib/protocol/wire';
import { HoldfastApi } from './holdfast-api';
import { type Adapter, type OpenOptions, Terminal } from './terminal';

const READY_DEADLINE_MS = 30_000;
const READY_POLL_MS = 20;
/** A snapshot replaces what the terminal shows. */
const RESET = Buffer.from('\x1bc');

const optionsSchema = z.object({
  /** Where the machine token lies. */
  dataDir: z.string(),
  /** The directory of the project that sessions are opened in. */
  project: z.string(),
});

/** Bytes that the terminal was given; `drawn` lets the client ACK them. */
type Undrawn = { bytes: number; drawn: () => void };

class HoldfastTerminal extends Terminal {
  override readonly id: string;
  readonly #api: HoldfastApi;
  readonly #connection: TerminalConnection;
  readonly #undrawn: Undrawn[] = [];
  #socket: WebSocket | null = null;
  /** What the case has announced last. */
  #announced: Undrawn | null = null;
  #isReset = false;
  #isRestored = false;
  #isLive = false;

  constructor(api: HoldfastApi, session: { id: string; size: Size; ticket: Ticket | null }) {
    super();
    this.id = session.id;
    this.#api = api;
    let { ticket } = session;
    const keep = (socket: WebSocket) => {
      this.#socket = socket;
    };
    this.#connection = new TerminalConnection({
      mode: 'write',
      size: session.size,
      sink: {
        reset: () => {
          this.#isReset = this.#isRestored;
          this.#isRestored = true;
        },
        resize: () => undefined,
        write: (data, done) => this.#write(data, done),
      },
      webSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, { perMessageDeflate: false });
          keep(this);
        }
      },
      getTicket: async () => {
        const granted =
          ticket ??
          (await api.call('POST', `/api/terminal/${session.id}/attach`, attachAnswerSchema, { mode: 'write' }));
        ticket = null;
        return granted;
      },
    });
    this.#connection.subscribe(() => this.#changed());
    this.#connection.connect();
  }

  override get skippedBytes(): number {
    return this.#connection.getSnapshot().skippedBytes;
  }

  write(text: string): void {
    this.#connection.input(Buffer.from(text));
  }

  pauseRead(): void {
    this.#socket?.pause();
  }

  resumeRead(): void {
    this.#socket?.resume();
  }

  received(bytes: number): void {
    this.#announced = { bytes, drawn: () => undefined };
    this.#undrawn.push(this.#announced);
  }

  consumed(bytes: number): void {
    let rest = bytes;
    for (let first = this.#undrawn[0]; first && rest > 0; first = this.#undrawn[0]) {
      const part = Math.min(first.bytes, rest);
      first.bytes -= part;
      rest -= part;
      if (first.bytes > 0) return;
      this.#undrawn.shift();
      first.drawn();
    }
  }

  drop(): void {
    this.#connection.close();
    this.#socket?.terminate();
    this.gone('dropped');
  }

  async close(): Promise<void> {
    await this.#api.call('DELETE', `/api/terminal/${this.id}`, z.unknown());
    this.drop();
  }

  /** Gives output to the case. If the case announces that it draws later, the client learns of it when that is done. */
  #write(data: Uint8Array, done: () => void): void {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    const chunk = this.#isReset ? Buffer.concat([RESET, bytes]) : bytes;
    this.#isReset = false;
    this.#announced = null;
    this.emit(chunk);
    const announced = this.#takeAnnounced();
    if (announced && this.#undrawn.at(-1) === announced) announced.drawn = done;
    else done();
  }

  #takeAnnounced(): Undrawn | null {
    const announced = this.#announced;
    this.#announced = null;
    return announced;
  }

  #changed(): void {
    const { state } = this.#connection.getSnapshot();
    if (state.kind === 'live') this.#isLive = true;
    if (state.kind === 'ended') this.gone('the session ended');
    if (state.kind === 'failed') this.gone(state.message);
    if (state.kind === 'waiting' && this.#isLive && !this.closed) {
      // The page would come back by itself; for a case this connection is over.
      queueMicrotask(() => this.#connection.close());
      this.gone(state.reason);
    }
  }
}

/** One project for each server that sessions are opened at. */
const projects = new Map<string, Promise<{ api: HoldfastApi; projectId: string; path: string }>>();

function projectOf({ url, options }: OpenOptions): ReturnType<typeof openProject> {
  const known = projects.get(url) ?? openProject(url, optionsSchema.parse(options));
  projects.set(url, known);
  return known;
}

async function openProject(url: string, { dataDir, project: path }: z.infer<typeof optionsSchema>) {
  const api = new HoldfastApi(url, dataDir);
  const deadline = performance.now() + READY_DEADLINE_MS;
  for (;;) {
    const isReady = await api.call('GET', '/api/ready', readyAnswerSchema).then(
      ({ sidecar }) => sidecar.reachable,
      () => false,
    );
    if (isReady) break;
    if (performance.now() > deadline) throw new Error(`Holdfast at ${url} is not ready after ${READY_DEADLINE_MS} ms`);
    await sleep(READY_POLL_MS);
  }
  mkdirSync(path, { recursive: true });
  return { api, projectId: await api.project(path), path };
}

/** Opens sessions through REST and attaches to them with fresh tickets, as the page does. */
export const holdfastAdapter: Adapter = {
  name: 'holdfast',
  async open(options) {
    const { api, projectId, path } = await projectOf(options);
    const { cols = DEFAULT_SIZE.cols, rows = DEFAULT_SIZE.rows } = options;
    const body = { projectId, type: 'system', tabName: 'bench', projectPath: path, cols, rows };
    const { session, connectionUrl, protocols } = await api.call(
      'POST',
      '/api/terminal/create',
      createTerminalAnswerSchema,
      body,
    );
    return new HoldfastTerminal(api, { id: session.id, size: { cols, rows }, ticket: { connectionUrl, protocols } });
  },
  async attach(options, id) {
    const { api } = await projectOf(options);
    const { cols = DEFAULT_SIZE.cols, rows = DEFAULT_SIZE.rows } = options;
    return new HoldfastTerminal(api, { id, size: { cols, rows }, ticket: null });
  },
};
