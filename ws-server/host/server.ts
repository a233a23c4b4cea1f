/** The host's unix socket: control connections of gateways, and one connection for each viewer. */
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '@/lib/log';
import { AppError, type ErrorCode, errorPayload } from '@/lib/protocol/errors';
import { FRAME_BYTES_MAX } from '@/lib/protocol/limits';
import { VERSION } from '@/lib/protocol/version';
import { decodeHostFrame, encodeEvent, type Mode } from '@/lib/protocol/wire';
import {
  decodeLinkFrame,
  encodeLinkFrame,
  FrameReader,
  LINK_FRAME_BYTES_MAX,
  LINK_REVISION,
  type ToGateway,
  type ToHost,
  toHostSchema,
  writeFrame,
} from '@/ws-server/link';
import type { Session } from './session';
import { type News, Sessions, type SessionsOptions } from './sessions';
import type { Viewer, ViewerSink } from './viewer';
import { Vitals } from './vitals';

/** A gateway that does not read is cut off at this many waiting bytes: a viewer's window and snapshots are far below. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

export type HostOptions = Omit<SessionsOptions, 'news' | 'vitals'>;

export class HostServer {
  readonly sessions: Sessions;
  readonly vitals = new Vitals();
  readonly #hostId: string;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #controls = new Set<Socket>();

  constructor(options: HostOptions) {
    this.#hostId = options.hostId;
    this.#log = options.log;
    const news: News = {
      session: (session) => this.#tell({ link: 'session', session }),
      gone: (id, epoch) => this.#tell({ link: 'gone', id, epoch }),
    };
    this.sessions = new Sessions({ ...options, news, vitals: this.vitals });
    this.#server = createServer((socket) => this.#connected(socket));
  }

  /** Connections of any kind. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Gateways that are connected. */
  get gateways(): number {
    return this.#controls.size;
  }

  listen(socketPath: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socketPath, () => {
        chmodSync(socketPath, 0o600);
        resolve();
      });
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #tell(message: ToGateway): void {
    const frame = encodeLinkFrame(message);
    for (const socket of this.#controls) this.#sendOrCut(socket, frame);
  }

  #connected(socket: Socket): void {
    this.#sockets.add(socket);
    let onFrame = (frame: Buffer) => {
      onFrame = this.#begin(socket, decodeLinkFrame(frame, toHostSchema));
    };
    const reader = new FrameReader((frame) => onFrame(frame));
    socket.on('data', (chunk) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#log.error({ err: error }, 'a connection broke the link protocol');
        socket.destroy();
      }
    });
    socket.on('error', (error) => this.#log.debug({ err: error }, 'connection failed'));
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#controls.delete(socket);
    });
  }

  /** What the rest of a connection is, by its first frame. */
  #begin(socket: Socket, first: ToHost): (frame: Buffer) => void {
    if (first.link === 'control') return this.#beginControl(socket, first.revision);
    if (first.link === 'viewer') return this.#beginViewer(socket, first);
    throw new SyntaxError('a connection begins with viewer or control');
  }

  #beginControl(socket: Socket, revision: number): (frame: Buffer) => void {
    this.#controls.add(socket);
    const { capacity } = this.sessions;
    const sessions = this.sessions.list();
    const hello = {
      // An older gateway calls only what it knows, so that it is served as well.
      revision: Math.min(revision, LINK_REVISION),
      version: VERSION,
      hostId: this.#hostId,
      pid: process.pid,
      capacity,
      sessions,
    };
    send(socket, encodeLinkFrame({ link: 'hello', ...hello }));
    return (frame) => {
      const message = decodeLinkFrame(frame, toHostSchema);
      if (message.link !== 'call') throw new SyntaxError(`unexpected ${message.link}`);
      void this.#answer(socket, message);
    };
  }

  async #answer(socket: Socket, { n, call, args }: Extract<ToHost, { link: 'call' }>): Promise<void> {
    try {
      const result = await this.sessions.call(call, args);
      const frame = encodeLinkFrame({ link: 'reply', n, result });
      // The gateway would cut the connection, and with it every other call.
      if (frame.length > LINK_FRAME_BYTES_MAX) throw new AppError('payload_too_large', 'The answer is too long.');
      this.#sendOrCut(socket, frame);
    } catch (thrown) {
      const error = asLimit(thrown);
      if (!(error instanceof AppError)) {
        this.vitals.errors++;
        this.#log.error({ err: error, call }, 'call failed');
      }
      this.#sendOrCut(socket, encodeLinkFrame({ link: 'failure', n, error: errorPayload(error) }));
    }
  }

  /** A gateway that has stopped reading loses its connection, and finds everything again when it comes back. */
  #sendOrCut(socket: Socket, ...parts: Uint8Array[]): void {
    if (send(socket, ...parts)) return;
    this.#log.warn('a connection does not read');
    socket.destroy();
  }

  #beginViewer(socket: Socket, { id, epoch, mode }: Extract<ToHost, { link: 'viewer' }>) {
    const sink: ViewerSink = {
      send: (...parts) => this.#sendOrCut(socket, ...parts),
      close: (code) => closeViewer(socket, code),
    };
    const take = (seat: ViewerSeat, frame: Buffer) => {
      try {
        seat.take(frame);
      } catch (error) {
        const { code, message } = errorPayload(error);
        if (code === 'internal') {
          this.vitals.errors++;
          this.#log.error({ err: error, session: id }, 'viewer failed');
        }
        if (!socket.writableEnded) send(socket, encodeEvent({ event: 'error', code, message }));
        seat.leave();
        sink.close(code);
      }
    };
    let session: Session;
    try {
      session = this.sessions.find(id, epoch);
    } catch (error) {
      const { code } = errorPayload(error);
      if (code === 'not_found') return this.#beginArchived({ id, epoch, socket, sink, take });
      sink.close(code);
      return () => undefined;
    }
    const seat = new ViewerSeat(session, mode, sink);
    socket.on('close', () => seat.leave());
    return (frame: Buffer) => take(seat, frame);
  }

  /** A session that is not here may have left a journal; what the viewer sends waits until that is read. */
  #beginArchived({ id, epoch, socket, sink, take }: Archived): (frame: Buffer) => void {
    socket.pause();
    const seated = this.sessions.archived({ id, epoch }).then((view) => new ViewerSeat(view, 'read', sink));
    seated
      .then((seat) => socket.on('close', () => seat.leave()))
      .catch((error: unknown) => {
        const { code } = errorPayload(error);
        if (code === 'internal') this.#log.error({ err: error, session: id }, 'a journal could not be read');
        sink.close(code);
      })
      .finally(() => socket.resume());
    return (frame) => {
      // A failure is told above.
      seated.then((seat) => take(seat, frame)).catch(() => undefined);
    };
  }
}

/** What a viewer can be attached to. */
type Attachable = Pick<Session, 'attach' | 'detach' | 'ack' | 'type' | 'control'>;

type Archived = {
  id: string;
  epoch: number;
  socket: Socket;
  sink: ViewerSink;
  take: (seat: ViewerSeat, frame: Buffer) => void;
};

/** One viewer connection and its place in a session: nothing but `attach` is taken first. */
class ViewerSeat {
  readonly #session: Attachable;
  readonly #mode: Mode;
  readonly #sink: ViewerSink;
  #viewer: Viewer | null = null;
  #hasLeft = false;

  constructor(session: Attachable, mode: Mode, sink: ViewerSink) {
    this.#session = session;
    this.#mode = mode;
    this.#sink = sink;
  }

  /** @throws AppError for a frame that is malformed or out of order */
  take(frame: Buffer): void {
    if (this.#hasLeft) return;
    if (frame.length > FRAME_BYTES_MAX) throw new AppError('bad_request', 'The frame is longer than 64 KiB.');
    const decoded = decodeHostFrame(frame);
    const viewer = this.#viewer;
    if (!viewer) {
      if (decoded.type !== 'control' || decoded.message.op !== 'attach') {
        throw new AppError('bad_request', 'The first frame is attach.', { details: { reason: 'not_attached' } });
      }
      this.#viewer = this.#session.attach(decoded.message, this.#mode, this.#sink);
      return;
    }
    switch (decoded.type) {
      case 'input':
        this.#session.type(viewer, decoded.inputSeq, decoded.data);
        return;
      case 'ack':
        this.#session.ack(viewer, decoded.position);
        return;
      case 'control':
        if (decoded.message.op === 'attach') throw new AppError('bad_request', 'Already attached.');
        this.#session.control(viewer, decoded.message);
    }
  }

  leave(): void {
    this.#hasLeft = true;
    if (this.#viewer) this.#session.detach(this.#viewer);
  }
}

/** A failure for want of file handles is no bug, and passes. */
function asLimit(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  if (error.code !== 'EMFILE' && error.code !== 'ENFILE') return error;
  const details = { reason: 'handle_limit' };
  return new AppError('no_capacity', 'The system has no file handle left to give.', { details, cause: error });
}

/** False when the other side has stopped reading. */
function send(socket: Socket, ...parts: Uint8Array[]): boolean {
  if (socket.destroyed || socket.writableEnded) return true;
  writeFrame(socket, ...parts);
  return socket.writableLength <= WAITING_BYTES_MAX;
}

function closeViewer(socket: Socket, code: ErrorCode): void {
  if (socket.destroyed || socket.writableEnded) return;
  send(socket, encodeLinkFrame({ link: 'close', code }));
  socket.end();
}
