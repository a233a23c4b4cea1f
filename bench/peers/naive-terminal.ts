/** A connection to the naive baseline: text both ways. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { type Adapter, Terminal } from './terminal';

class NaiveTerminal extends Terminal {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.on('message', (data) => {
      if (Buffer.isBuffer(data)) this.emit(data);
    });
    socket.on('error', (error) => this.gone(error.message));
    socket.on('close', (code) => this.gone(`closed with ${code}`));
  }

  write(text: string): void {
    this.#socket.send(text);
  }

  pauseRead(): void {
    this.#socket.pause();
  }

  resumeRead(): void {
    this.#socket.resume();
  }

  // It has no flow control: what a browser has drawn is nobody's business.
  received(): void {}
  consumed(): void {}

  drop(): void {
    this.#socket.terminate();
  }

  async close(): Promise<void> {
    this.#socket.terminate();
  }
}

/** Opens a socket, which starts a shell. */
export const naiveAdapter: Adapter = {
  name: 'naive',
  async open({ url }) {
    const socket = new WebSocket(url, { perMessageDeflate: false, skipUTF8Validation: true });
    const terminal = new NaiveTerminal(socket);
    await once(socket, 'open');
    return terminal;
  },
};
