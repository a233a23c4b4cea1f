import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AppError, closeCode } from '@/lib/protocol/errors';
import {
  type AttachedEvent,
  decodeHostFrame,
  type Event,
  encodeEvent,
  encodeOutput,
  encodeSnapshot,
  type HostFrame,
  type Size,
} from '@/lib/protocol/wire';
import { type ConnectionOptions, TerminalConnection } from './connection';

const bytes = (data: string): Uint8Array => new TextEncoder().encode(data);
const size = { cols: 80, rows: 24 };

type ScriptedEvent = { data: unknown; code: number; reason: string };

/** The server's end of a socket, moved by the test; what the client does with timers is all that is looked at here. */
class ScriptedSocket {
  static all: ScriptedSocket[] = [];
  static get last(): ScriptedSocket {
    const socket = ScriptedSocket.all.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }

  binaryType = 'blob';
  readyState = 0;
  readonly frames: HostFrame[] = [];
  readonly protocols: string[];
  #listeners = new Map<string, (event: ScriptedEvent) => void>();

  constructor(_url: string, protocols: string[]) {
    this.protocols = protocols;
    ScriptedSocket.all.push(this);
  }

  addEventListener(type: string, listener: (event: ScriptedEvent) => void): void {
    this.#listeners.set(type, listener);
  }

  send(data: Uint8Array): void {
    this.frames.push(decodeHostFrame(data.slice()));
  }

  close(): void {
    this.readyState = 3;
  }

  accept(): void {
    this.readyState = 1;
    this.#emit('open', {});
  }

  say(frame: Uint8Array): void {
    this.#emit('message', { data: frame.slice().buffer });
  }

  tell(event: Event): void {
    this.say(encodeEvent(event));
  }

  /** Accepts the socket and answers the attach. */
  attach(change: Partial<AttachedEvent> = {}): void {
    if (this.readyState === 0) this.accept();
    this.tell({
      event: 'attached',
      revision: 1,
      epoch: 1,
      position: 0,
      inputSeq: 0,
      status: 'active',
      mode: 'write',
      window: 262144,
      viewer: 'v1',
      driver: 'v1',
      ...size,
      ...change,
    });
  }

  shut(code: number, reason = ''): void {
    this.readyState = 3;
    this.#emit('close', { code, reason });
  }

  get typed(): string {
    return this.frames.map((frame) => (frame.type === 'input' ? new TextDecoder().decode(frame.data) : '')).join('');
  }

  get acks(): number[] {
    return this.frames.flatMap((frame) => (frame.type === 'ack' ? [frame.position] : []));
  }

  get ops(): string[] {
    return this.frames.flatMap((frame) => (frame.type === 'control' ? [frame.message.op] : []));
  }

  #emit(type: string, event: Partial<ScriptedEvent>): void {
    this.#listeners.get(type)?.({ data: null, code: 0, reason: '', ...event });
  }
}

const open: TerminalConnection[] = [];

async function settle(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** A connection whose first ticket has been granted, and its terminal. */
async function connect(change: Partial<ConnectionOptions> = {}) {
  const written: string[] = [];
  const connection = new TerminalConnection({
    mode: 'write',
    getTicket: async () => ({ connectionUrl: 'ws://test', protocols: ['holdfast.v1', 'ticket.x'] }),
    sink: {
      reset: ({ cols, rows }: Size) => written.push(`<${cols}x${rows}>`),
      resize: ({ cols, rows }: Size) => written.push(`<${cols}x${rows}>`),
      write: (data, done) => {
        written.push(new TextDecoder().decode(data));
        done();
      },
    },
    size,
    webSocket: ScriptedSocket,
    random: () => 1,
    ...change,
  });
  open.push(connection);
  connection.connect();
  await settle();
  return { connection, written, state: () => connection.getSnapshot().state };
}

beforeEach(() => {
  vi.useFakeTimers();
  ScriptedSocket.all = [];
});

afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
  vi.useRealTimers();
});

test('V1 the first frame is attach, with the ticket as a subprotocol and no cursor', async () => {
  const { state } = await connect({ colours: { foreground: '#ffffff', background: '#000000', cursor: '#ffffff' } });
  expect(ScriptedSocket.last.protocols).toEqual(['holdfast.v1', 'ticket.x']);
  ScriptedSocket.last.accept();
  expect(ScriptedSocket.last.frames[0]).toMatchObject({
    type: 'control',
    message: { op: 'attach', revision: 1, cursor: null, cols: 80, rows: 24, colours: { background: '#000000' } },
  });
  expect(state()).toEqual({ kind: 'connecting' });
});

test('C2 after a break it attaches as the same client with its cursor, and takes every byte once', async () => {
  const { written } = await connect();
  const first = ScriptedSocket.last;
  first.attach();
  first.say(encodeSnapshot(0, size, bytes('$ ')));
  first.say(encodeOutput(0, bytes('abc')));
  first.shut(1006);
  await settle(200);
  const second = ScriptedSocket.last;
  second.attach({ position: 3 });
  expect(second.frames[0]).toMatchObject({ message: { op: 'attach', cursor: { epoch: 1, position: 3 } } });
  const clients = [first, second].map(({ frames: [frame] }) =>
    frame?.type === 'control' && frame.message.op === 'attach' ? frame.message.client : null,
  );
  expect(clients[0]).toMatch(/^[0-9a-f]{32}$/);
  expect(clients[0]).toBe(clients[1]);
  second.say(encodeOutput(2, bytes('cde')));
  expect(written).toEqual(['<80x24>', '$ ', 'abc', 'de']);
});

test('C2 a hole in the output closes the socket and attaches again without a cursor', async () => {
  const { written } = await connect();
  ScriptedSocket.last.attach();
  ScriptedSocket.last.say(encodeSnapshot(0, size, bytes('$')));
  ScriptedSocket.last.say(encodeOutput(7, bytes('late')));
  expect(ScriptedSocket.last.readyState).toBe(3);
  await settle(200);
  ScriptedSocket.last.attach({ position: 11 });
  expect(ScriptedSocket.last.frames[0]).toMatchObject({ message: { op: 'attach', cursor: null } });
  expect(written).toEqual(['<80x24>', '$']);
});

test('C2 skipped output is counted until the user has seen it', async () => {
  const { connection } = await connect();
  ScriptedSocket.last.attach();
  ScriptedSocket.last.tell({ event: 'gap', from: 10, to: 5010 });
  expect(connection.getSnapshot().skippedBytes).toBe(5000);
  connection.dismissGap();
  expect(connection.getSnapshot().skippedBytes).toBe(0);
});

test('C4 a snapshot is ACKed when it is parsed, output every 32 KiB or when nothing is left, ten times a second', async () => {
  const done: (() => void)[] = [];
  await connect({
    sink: { reset: () => undefined, resize: () => undefined, write: (_data, parsed) => done.push(parsed) },
  });
  const socket = ScriptedSocket.last;
  socket.attach();
  socket.say(encodeSnapshot(50, size, bytes('screen')));
  expect(socket.acks).toEqual([]);
  done.shift()?.();
  expect(socket.acks).toEqual([50]);
  const kib = new Uint8Array(1024);
  for (let index = 0; index < 40; index += 1) socket.say(encodeOutput(50 + index * 1024, kib));
  expect(socket.acks).toEqual([50]);
  while (done.length > 0) done.shift()?.();
  expect(socket.acks).toEqual([50, 50 + 32 * 1024]);
  await settle(100);
  expect(socket.acks).toEqual([50, 50 + 32 * 1024, 50 + 40 * 1024]);
});

test('C4 lines that come one by one are ACKed together, the first after a pause at once', async () => {
  await connect();
  const socket = ScriptedSocket.last;
  socket.attach();
  socket.say(encodeSnapshot(0, size, bytes('$')));
  await settle(100);
  for (let position = 0; position < 50; position += 1) {
    socket.say(encodeOutput(position, bytes('x')));
    await settle(20);
  }
  expect(socket.acks.slice(0, 3)).toEqual([0, 1, 5]);
  await settle(100);
  expect(socket.acks.at(-1)).toBe(50);
  expect(socket.acks.length).toBeLessThanOrEqual(13);
});

test('C4 an ACK that waits when its socket breaks is sent on no other', async () => {
  await connect();
  ScriptedSocket.last.attach();
  ScriptedSocket.last.say(encodeSnapshot(0, size, bytes('$')));
  ScriptedSocket.last.say(encodeOutput(0, bytes('abc')));
  expect(ScriptedSocket.last.acks).toEqual([0]);
  ScriptedSocket.last.shut(1006);
  await settle(200);
  ScriptedSocket.last.attach({ epoch: 2, position: 0 });
  await settle(500);
  expect(ScriptedSocket.last.acks).toEqual([]);
});

test('C4 bytes of an earlier socket are not ACKed on the next one', async () => {
  const done: (() => void)[] = [];
  await connect({
    sink: { reset: () => undefined, resize: () => undefined, write: (_data, parsed) => done.push(parsed) },
  });
  ScriptedSocket.last.attach({ position: 900 });
  ScriptedSocket.last.say(encodeSnapshot(900, size, bytes('old')));
  ScriptedSocket.last.shut(1006);
  await settle(200);
  ScriptedSocket.last.attach({ epoch: 2, position: 5 });
  done.shift()?.();
  expect(ScriptedSocket.last.acks).toEqual([]);
});

test('C1 it waits longer after each failure, and at once when the network or the page comes back', async () => {
  const { connection, state } = await connect();
  ScriptedSocket.last.shut(1006);
  expect(state()).toMatchObject({ kind: 'waiting', attempt: 1, retryAt: Date.now() + 200 });
  await settle(200);
  ScriptedSocket.last.shut(1006);
  expect(state()).toMatchObject({ kind: 'waiting', attempt: 2, retryAt: Date.now() + 400 });
  connection.wake();
  await settle();
  expect(ScriptedSocket.all).toHaveLength(3);
  ScriptedSocket.last.shut(1006);
  expect(state()).toMatchObject({ kind: 'waiting', attempt: 3 });
  connection.reconnectNow();
  await settle();
  expect(ScriptedSocket.all).toHaveLength(4);
});

test('C1 a connection that is accepted and lost at once keeps backing off', async () => {
  const { state } = await connect();
  for (const delay of [200, 400, 800]) {
    ScriptedSocket.last.attach();
    ScriptedSocket.last.shut(1006);
    expect(state()).toMatchObject({ kind: 'waiting', retryAt: Date.now() + delay });
    await settle(delay);
  }
  ScriptedSocket.last.attach();
  await settle(5_000);
  ScriptedSocket.last.shut(1006);
  expect(state()).toMatchObject({ kind: 'waiting', attempt: 1 });
});

test('C1 an attempt that hangs is given up after 10 s', async () => {
  const { state } = await connect({ getTicket: () => new Promise(() => undefined) });
  await settle(9_999);
  expect(state()).toEqual({ kind: 'connecting' });
  await settle(1);
  expect(state()).toMatchObject({ kind: 'waiting', reason: 'The server did not answer.' });
});

test('C1 M5 it pings at once, after 1 s, after 3 s and then every 15 s, and gives up after 35 s of silence', async () => {
  const { state } = await connect();
  const socket = ScriptedSocket.last;
  socket.attach();
  const pings = () => socket.ops.filter((op) => op === 'ping').length;
  expect(pings()).toBe(1);
  await settle(1_000);
  expect(pings()).toBe(2);
  await settle(2_000);
  expect(pings()).toBe(3);
  await settle(12_000);
  expect(pings()).toBe(3);
  await settle(15_000);
  expect(pings()).toBe(4);
  await settle(4_999);
  expect(state()).toEqual({ kind: 'live' });
  await settle(1);
  expect(state()).toMatchObject({ kind: 'waiting', reason: 'The server went silent.' });
});

test('C1 any frame counts as a sign of life', async () => {
  const { state } = await connect();
  const socket = ScriptedSocket.last;
  socket.attach();
  await settle(30_000);
  socket.tell({ event: 'pong', t: performance.now() - 12, gateway: 1, host: 2 });
  await settle(34_000);
  expect(state()).toEqual({ kind: 'live' });
});

test('C13 it knows that the host has gone silent, until the host answers or another attach does', async () => {
  const { connection } = await connect();
  const socket = ScriptedSocket.last;
  socket.attach();
  expect(connection.getSnapshot().host).toBe('ok');
  socket.tell({ event: 'host', state: 'slow' });
  expect(connection.getSnapshot().host).toBe('slow');
  socket.tell({ event: 'host', state: 'unresponsive' });
  expect(connection.getSnapshot().host).toBe('unresponsive');
  socket.tell({ event: 'host', state: 'ok' });
  expect(connection.getSnapshot().host).toBe('ok');

  socket.tell({ event: 'host', state: 'unresponsive' });
  socket.attach();
  expect(connection.getSnapshot().host).toBe('ok');
});

test('C1 a page that comes back asks at once whether the host is still there', async () => {
  const { connection, state } = await connect();
  const socket = ScriptedSocket.last;
  socket.attach();
  await settle(500);
  connection.wake();
  expect(socket.ops).toEqual(['attach', 'ping', 'ping']);
  await settle(4_500);
  expect(state()).toMatchObject({ kind: 'waiting' });
});

test('M9 an attempt that hangs when the network comes back is made anew at once, however often it comes back', async () => {
  let tickets = 0;
  const getTicket = () => {
    tickets += 1;
    return tickets === 1
      ? new Promise<never>(() => undefined)
      : Promise.resolve({ connectionUrl: 'ws://x', protocols: [] });
  };
  const { connection, state } = await connect({ getTicket });
  await settle(1_500);
  connection.wake();
  connection.wake();
  connection.wake();
  await settle();
  expect(tickets).toBe(2);
  ScriptedSocket.last.attach();
  expect(state()).toEqual({ kind: 'live' });
  await settle(20_000);
  expect(tickets).toBe(2);
});

test('M9 an attempt that began just before the network came back, and fails, is followed by the next one at once', async () => {
  let tickets = 0;
  const getTicket = async () => {
    tickets += 1;
    if (tickets > 5) return { connectionUrl: 'ws://x', protocols: [] };
    await new Promise((resolve) => setTimeout(resolve, 300));
    throw new TypeError('Failed to fetch');
  };
  const { connection, state } = await connect({ getTicket });
  while (tickets < 5) await settle(100);
  connection.wake();
  expect(tickets).toBe(5);
  await settle(300);
  await settle(1);
  expect(tickets).toBe(6);
  ScriptedSocket.last.attach();
  expect(state()).toEqual({ kind: 'live' });
});

test('M5 a pong gives the latency, split into its hops and smoothed, until the next attach measures anew', async () => {
  const { connection } = await connect();
  const socket = ScriptedSocket.last;
  socket.attach();
  expect(connection.getSnapshot()).toMatchObject({ latency: null, lastLatency: null });
  const first = { totalMs: 12, browserMs: 0, networkMs: 9, gatewayMs: 1, hostMs: 2 };
  socket.tell({ event: 'pong', t: performance.now() - 12, gateway: 1, host: 2 });
  expect(connection.getSnapshot()).toMatchObject({ latency: first, lastLatency: first });
  socket.tell({ event: 'pong', t: performance.now() - 20, gateway: 5, host: 6 });
  expect(connection.getSnapshot().lastLatency).toEqual({
    totalMs: 20,
    browserMs: 0,
    networkMs: 9,
    gatewayMs: 5,
    hostMs: 6,
  });
  expect(connection.getSnapshot().latency).toEqual({
    totalMs: 14,
    browserMs: 0,
    networkMs: 9,
    gatewayMs: 2,
    hostMs: 3,
  });
  socket.shut(1006);
  await settle(200);
  ScriptedSocket.last.attach();
  ScriptedSocket.last.tell({ event: 'pong', t: performance.now() - 4, gateway: 9, host: 9 });
  expect(connection.getSnapshot().latency).toEqual({ totalMs: 4, browserMs: 0, networkMs: 0, gatewayMs: 0, hostMs: 4 });
});

test("M5 the browser's own share is the time from the arrival of output until the terminal has drawn it", async () => {
  const drawings: (() => void)[] = [];
  const { connection } = await connect({
    sink: { reset: () => undefined, resize: () => undefined, write: (_data, done) => drawings.push(done) },
  });
  const socket = ScriptedSocket.last;
  socket.attach();
  socket.say(encodeSnapshot(0, size, bytes('')));
  drawings.shift()?.();
  socket.say(encodeOutput(0, bytes('x')));
  await settle(7);
  drawings.shift()?.();
  socket.tell({ event: 'pong', t: performance.now() - 3, gateway: 0, host: 0 });
  expect(connection.getSnapshot().latency).toMatchObject({ totalMs: 10, browserMs: 7, networkMs: 3 });
});

test('C3 input that the host did not accept is sent again after a short break', async () => {
  const { connection } = await connect();
  ScriptedSocket.last.attach();
  connection.input(bytes('a'));
  connection.input(bytes('b'));
  ScriptedSocket.last.shut(1006);
  connection.input(bytes('c'));
  await settle(200);
  ScriptedSocket.last.attach({ inputSeq: 1 });
  expect(ScriptedSocket.last.typed).toBe('bc');
  expect(connection.getSnapshot().unsent).toBeNull();
});

test('C3 after a long break input is shown as unsent, and sent or thrown away as the user says', async () => {
  const { connection } = await connect();
  ScriptedSocket.last.attach();
  ScriptedSocket.last.shut(1006);
  connection.input(bytes('make\r'));
  await settle(200);
  ScriptedSocket.last.shut(1006);
  await settle(9_900);
  ScriptedSocket.last.attach();
  expect(ScriptedSocket.last.typed).toBe('');
  expect(connection.getSnapshot().unsent).toEqual({ bytes: 5, text: 'make\r' });
  connection.sendUnsent();
  expect(ScriptedSocket.last.typed).toBe('make\r');
  expect(connection.getSnapshot().unsent).toBeNull();
});

test('C3 a break begins when the host stopped answering, not when the socket was found dead', async () => {
  const { connection } = await connect();
  ScriptedSocket.last.attach();
  await settle(2_000);
  connection.input(bytes('x'));
  await settle(33_000);
  expect(connection.getSnapshot().state.kind).toBe('waiting');
  await settle(200);
  ScriptedSocket.last.attach();
  expect(ScriptedSocket.last.typed).toBe('');
  expect(connection.getSnapshot().unsent).toMatchObject({ bytes: 1 });
});

test('C3 a restart of the session makes old input unsent and asks for no old output', async () => {
  const { connection, written } = await connect();
  ScriptedSocket.last.attach();
  ScriptedSocket.last.say(encodeSnapshot(0, size, bytes('$')));
  ScriptedSocket.last.say(encodeOutput(0, bytes('long output')));
  ScriptedSocket.last.shut(1006);
  connection.input(bytes('old'));
  await settle(200);
  ScriptedSocket.last.attach({ epoch: 2, position: 0 });
  ScriptedSocket.last.tell({ event: 'gap', from: 11, to: 0 });
  ScriptedSocket.last.say(encodeSnapshot(0, size, bytes('new')));
  ScriptedSocket.last.say(encodeOutput(0, bytes('!')));
  expect(ScriptedSocket.last.typed).toBe('');
  expect(connection.getSnapshot()).toMatchObject({ epoch: 2, skippedBytes: 0, unsent: { text: 'old' } });
  expect(written.slice(-3)).toEqual(['<80x24>', 'new', '!']);
});

test('C3 too much input is refused visibly', async () => {
  const { connection } = await connect();
  expect(connection.input(new Uint8Array(5_000))).toBe(false);
  expect(connection.getSnapshot().notice).toMatchObject({ code: 'payload_too_large' });
});

test('I4 a reader sends neither input nor size nor signals', async () => {
  const { connection } = await connect({ mode: 'read' });
  ScriptedSocket.last.attach({ mode: 'read' });
  expect(connection.input(bytes('a'))).toBe(false);
  connection.setLook({ size: { cols: 100, rows: 30 } });
  connection.take();
  connection.signal('INT');
  connection.keep();
  expect(ScriptedSocket.last.ops).toEqual(['attach', 'ping']);
  expect(ScriptedSocket.last.typed).toBe('');
});

test('Z2 a size that changed while the attach was under way is sent afterwards, and each size once', async () => {
  const { connection } = await connect();
  ScriptedSocket.last.accept();
  connection.setLook({ size: { cols: 100, rows: 30 } });
  expect(ScriptedSocket.last.ops).toEqual(['attach']);
  ScriptedSocket.last.attach();
  connection.setLook({ size: { cols: 100, rows: 30 } });
  expect(ScriptedSocket.last.frames.at(-1)).toMatchObject({ message: { op: 'resize', cols: 100, rows: 30 } });
  expect(ScriptedSocket.last.ops.filter((op) => op === 'resize')).toHaveLength(1);
});

test('C7 4410 after exit ends with the exit status, and Restart may connect again', async () => {
  const { connection, state } = await connect();
  ScriptedSocket.last.attach({ status: 'ended' });
  expect(state()).toEqual({ kind: 'connecting' });
  ScriptedSocket.last.tell({ event: 'exit', code: 3, signal: 0 });
  ScriptedSocket.last.shut(closeCode('session_ended'), 'session_ended');
  expect(state()).toEqual({ kind: 'ended', exit: { code: 3, signal: 0 } });
  expect(connection.input(bytes('x'))).toBe(false);
  await settle(60_000);
  expect(ScriptedSocket.all).toHaveLength(1);
  connection.reconnectNow();
  await settle();
  expect(ScriptedSocket.all).toHaveLength(2);
});

test('C7 4401: one fresh ticket, then signed out', async () => {
  const { state } = await connect();
  ScriptedSocket.last.shut(4401, 'unauthorized');
  await settle();
  expect(ScriptedSocket.all).toHaveLength(2);
  ScriptedSocket.last.shut(4401, 'unauthorized');
  expect(state()).toMatchObject({ kind: 'failed', code: 'unauthorized', action: 'sign-in' });
});

test('C7 the reason decides between codes that share a number', async () => {
  const { state } = await connect();
  ScriptedSocket.last.shut(4409, 'session_limit_reached');
  expect(state()).toMatchObject({ kind: 'failed', code: 'session_limit_reached', action: 'stop' });
});

test.each(['not_found', 'forbidden', 'bad_request'] as const)('C7 %s stops', async (code) => {
  const { state } = await connect();
  ScriptedSocket.last.attach();
  ScriptedSocket.last.shut(closeCode(code), code);
  expect(state()).toMatchObject({ kind: 'failed', code });
});

test.each(['wrong_node', 'epoch_superseded'] as const)('C7 %s gets a fresh ticket at once', async (code) => {
  const { state } = await connect();
  ScriptedSocket.last.shut(closeCode(code), code);
  await settle();
  expect(ScriptedSocket.all).toHaveLength(2);
  expect(state()).toEqual({ kind: 'connecting' });
});

test('C7 a refused ticket is treated like a close with that code', async () => {
  const gone = await connect({ getTicket: () => Promise.reject(new AppError('not_found', 'No such session.')) });
  expect(gone.state()).toEqual({ kind: 'failed', code: 'not_found', action: 'stop', message: 'No such session.' });
  const away = await connect({ getTicket: () => Promise.reject(new TypeError('fetch failed')) });
  expect(away.state()).toMatchObject({ kind: 'waiting', reason: 'fetch failed' });
});

test('C7 a frame that no host sends starts over from a snapshot', async () => {
  const { state } = await connect();
  ScriptedSocket.last.attach();
  ScriptedSocket.last.say(encodeSnapshot(0, size, bytes('$')));
  ScriptedSocket.last.say(Uint8Array.of(0x55));
  expect(state()).toMatchObject({ kind: 'waiting' });
  await settle(200);
  ScriptedSocket.last.accept();
  expect(ScriptedSocket.last.frames[0]).toMatchObject({ message: { op: 'attach' } });
});

test('C12 facts are one stable object until something changes, and a closed connection stays silent', async () => {
  const { connection } = await connect();
  const before = connection.getSnapshot();
  expect(connection.getSnapshot()).toBe(before);
  const listener = vi.fn();
  const unsubscribe = connection.subscribe(listener);
  ScriptedSocket.last.attach();
  ScriptedSocket.last.tell({ event: 'title', text: 'vim' });
  expect(connection.getSnapshot()).toMatchObject({ title: 'vim', viewer: 'v1', driver: 'v1', epoch: 1 });
  unsubscribe();
  const calls = listener.mock.calls.length;
  expect(calls).toBeGreaterThan(0);
  connection.close();
  ScriptedSocket.last.tell({ event: 'title', text: 'late' });
  await settle(60_000);
  expect(listener).toHaveBeenCalledTimes(calls);
  expect(connection.getSnapshot().title).toBe('vim');
  expect(ScriptedSocket.all).toHaveLength(1);
});
