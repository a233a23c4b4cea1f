/** The far end of the link under a test's control: for what no real host does, such as garbage and silence. */
import { createServer, type Server, type Socket } from 'node:net';
import type { LiveSession } from '@/lib/protocol/control';
import { VERSION } from '@/lib/protocol/version';
import {
  decodeLinkFrame,
  encodeLinkFrame,
  FrameReader,
  LINK_FRAME,
  LINK_REVISION,
  type ToGateway,
  type ToHost,
  toHostSchema,
  writeFrame,
} from '@/ws-server/link';

/** One connection that a gateway has made. */
export class ScriptedConnection {
  readonly socket: Socket;
  /** Terminal frames, in order. */
  readonly frames: Buffer[] = [];
  readonly messages: ToHost[] = [];

  constructor(socket: Socket, onMessage: (message: ToHost, connection: ScriptedConnection) => void) {
    this.socket = socket;
    const reader = new FrameReader((frame) => {
      if (frame[0] !== LINK_FRAME) {
        this.frames.push(Buffer.from(frame));
        return;
      }
      const message = decodeLinkFrame(frame, toHostSchema);
      this.messages.push(message);
      onMessage(message, this);
    });
    socket.on('data', (chunk) => reader.push(chunk));
    socket.on('error', () => socket.destroy());
  }

  say(message: ToGateway): void {
    writeFrame(this.socket, encodeLinkFrame(message));
  }

  send(frame: Uint8Array): boolean {
    return writeFrame(this.socket, frame);
  }
}

/** Listens like a host. `onMessage` scripts what it does; without one it is silent. */
export class ScriptedHost {
  readonly connections: ScriptedConnection[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(
    socketPath: string,
    onMessage: (message: ToHost, connection: ScriptedConnection) => void = () => undefined,
  ): Promise<ScriptedHost> {
    const server = createServer();
    const host = new ScriptedHost(server);
    server.on('connection', (socket) => host.connections.push(new ScriptedConnection(socket, onMessage)));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketPath, resolve);
    });
    return host;
  }

  async close(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A hello as a host of this revision says it. */
export function hello(
  changes: { hostId?: string; revision?: number; version?: string; capacity?: number; sessions?: LiveSession[] } = {},
): ToGateway {
  const usual = { revision: LINK_REVISION, version: VERSION, hostId: 'scripted', pid: 1, capacity: 10, sessions: [] };
  return { link: 'hello', ...usual, ...changes };
}

/** Facts of a live session. */
export function liveSession(changes: Partial<LiveSession> & { id: string }): LiveSession {
  return {
    epoch: 1,
    hostId: 'scripted',
    type: 'system',
    pid: 1,
    title: '',
    cwd: '/',
    foreground: null,
    viewers: 0,
    createdAt: 0,
    lastActivity: 0,
    position: 0,
    exit: null,
    label: {},
    cols: 80,
    rows: 24,
    ...changes,
  };
}
