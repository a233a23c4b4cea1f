/** A lock that is a listening unix socket: it is free the moment its owner dies, and others can talk to its owner. */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SOCKET_PATH_BYTES_MAX } from '@/lib/config';
import { systemCode } from '@/lib/system-code';

const ATTEMPTS_MAX = 100;
const RETRY_MS = 50;
const PROBE_DEADLINE_MS = 1_000;
/** A takeover lasts about 0.1 s; a guard older than this was left by a process that died. */
const GUARD_AGE_MAX_MS = 5_000;
const CONNECTIONS_MAX = 16;

/** Held until it is released or the process ends. */
export type SocketLock = { release: () => Promise<void> };

/**
 * A name by which a socket's path is never too long for the system: one that is goes through a handle of its directory,
 * which has to stay open as long as the name is used.
 */
function shorten(path: string): { name: string; close: () => void } {
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { name: path, close: () => undefined };
  const handle = openSync(dirname(path), 'r');
  return { name: `/proc/self/fd/${handle}/${basename(path)}`, close: () => closeSync(handle) };
}

function listen(path: string, onConnection: (socket: Socket) => void): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer(onConnection);
    server.maxConnections = CONNECTIONS_MAX;
    server.once('error', (error) => (systemCode(error) === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
  });
}

/** Connects to a lock's owner; null when nobody listens there. A full queue of a busy owner counts as an owner. */
export async function connectToLock(path: string): Promise<Socket | null> {
  if (!existsSync(path)) return null;
  const { name, close } = shorten(path);
  try {
    return await connect(name);
  } finally {
    close();
  }
}

function connect(path: string): Promise<Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.setTimeout(PROBE_DEADLINE_MS, () => socket.destroy(new Error(`${path} does not accept a connection`)));
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeAllListeners('error').removeAllListeners('timeout');
      socket.on('error', () => socket.destroy()); // the owner went away: readers see the close
      resolve(socket);
    });
    socket.once('error', (error) =>
      ['ENOENT', 'ECONNREFUSED'].includes(systemCode(error) ?? '') ? resolve(null) : reject(error),
    );
  });
}

async function isHeld(path: string): Promise<boolean> {
  const socket = await connect(path);
  socket?.destroy();
  return socket !== null;
}

/**
 * Removes the socket of a dead owner. A directory guards it, so that of two starters one removes and the other does not
 * remove the first one's fresh socket.
 */
async function removeStale(path: string): Promise<void> {
  const guard = `${path}.takeover`;
  try {
    mkdirSync(guard);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    const age = Date.now() - (statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > GUARD_AGE_MAX_MS) rmSync(guard, { recursive: true, force: true });
    return;
  }
  try {
    await sleep(RETRY_MS); // an owner between bind and listen refuses a connection for a moment
    if (!(await isHeld(path))) rmSync(path, { force: true });
  } finally {
    rmdirSync(guard);
  }
}

/** Takes the lock at `path`, or gives null when a living process holds it. Its connections go to `onConnection`. */
export async function takeSocketLock(
  path: string,
  onConnection: (socket: Socket) => void = (socket) => socket.destroy(),
): Promise<SocketLock | null> {
  const { name, close } = shorten(path);
  let server: Server | null = null;
  try {
    server = await takeServer(name, onConnection);
  } finally {
    if (!server) close();
  }
  if (!server) return null;
  const taken = server;
  return {
    release: async () => {
      await new Promise<void>((resolve) => taken.close(() => resolve())); // which removes the socket by its name
      close();
    },
  };
}

async function takeServer(path: string, onConnection: (socket: Socket) => void): Promise<Server | null> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const server = await listen(path, onConnection);
    if (server) return server;
    if (await isHeld(path)) return null;
    await removeStale(path);
    await sleep(RETRY_MS);
  }
  throw new Error(`${path} can be neither taken nor reached`);
}
