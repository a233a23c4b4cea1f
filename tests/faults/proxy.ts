/** A TCP line between a client and the gateway that can be slow, silent, cut or half closed. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A throttled line moves its bytes so often (ms). */
const TICK_MS = 100;

type Pair = { near: Socket; far: Socket };

/** One listening port that leads to the gateway. `close` ends it with everything on it. */
export class Line {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #vanished = new Set<Socket>();
  /** `down`: nobody gets through, and what was connected is reset. `silent`: bytes are held back, nothing is closed. */
  #state: 'up' | 'silent' | 'down' = 'up';
  /** Bytes per second to the client; null for as fast as it goes. */
  #rate: number | null = null;
  #isClosed = false;

  private constructor(server: Server, port: number, target: () => number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (near) => this.#join(near, target()));
  }

  /** @param target gives the gateway's port at each connection */
  static async open(target: () => number): Promise<Line> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (!address || typeof address !== 'object') throw new Error('no port for a line');
    return new Line(server, address.port, target);
  }

  /** Connections that stand now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Resets every connection. */
  reset(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  /** Resets every connection, and every new one, until `heal`. */
  cut(): void {
    this.#state = 'down';
    this.reset();
  }

  /** Holds every byte of both directions back until `heal`; nobody is told. */
  silence(): void {
    this.#state = 'silent';
    for (const { near, far } of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  /** The client's machine is gone for good: what is connected now never moves a byte again, and is never closed. */
  vanish(): void {
    for (const pair of this.#pairs) {
      this.#pairs.delete(pair);
      for (const socket of [pair.near, pair.far]) {
        socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close');
        socket.pause();
        this.#vanished.add(socket);
      }
    }
  }

  /** Ends the client's side of every connection: the gateway reads an end, and may still write. */
  halfClose(): void {
    for (const { far } of this.#pairs) far.end();
  }

  /** Lets so many bytes per second through to the client; null for all. */
  throttle(rate: number | null): void {
    this.#rate = rate;
  }

  heal(): void {
    this.#state = 'up';
    for (const { near, far } of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#server.close();
    this.reset();
    for (const socket of this.#vanished) socket.destroy();
  }

  #join(near: Socket, port: number): void {
    near.on('error', () => undefined);
    if (this.#state === 'down') {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const pair = { near, far };
    this.#pairs.add(pair);
    far.on('error', () => near.resetAndDestroy());
    near.on('data', (chunk) => this.#move(near, far, chunk));
    far.on('data', (chunk) => void this.#toClient(pair, chunk));
    for (const [from, to] of [[near, far] as const, [far, near] as const]) {
      from.on('end', () => to.end());
      from.on('close', () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
    }
    if (this.#state === 'up') near.resume();
    else far.pause();
  }

  #move(from: Socket, to: Socket, chunk: Buffer): void {
    if (to.write(chunk)) return;
    from.pause();
    to.once('drain', () => this.#state === 'up' && from.resume());
  }

  async #toClient({ near, far }: Pair, chunk: Buffer): Promise<void> {
    if (this.#rate === null) {
      this.#move(far, near, chunk);
      return;
    }
    far.pause();
    let offset = 0;
    while (offset < chunk.length && !this.#isClosed && !near.destroyed) {
      const end = this.#rate === null ? chunk.length : offset + Math.max(1, Math.floor((this.#rate * TICK_MS) / 1000));
      near.write(chunk.subarray(offset, end));
      offset = end;
      if (offset < chunk.length) await sleep(TICK_MS);
    }
    if (this.#state === 'up') far.resume();
  }
}
