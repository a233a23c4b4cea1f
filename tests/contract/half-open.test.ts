/** Browsers that are gone without a word: their sockets and their places in a session are freed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { createLog } from '@/lib/log';
import { type LiveSession, sessionReplySchema } from '@/lib/protocol/control';
import { encodeControl } from '@/lib/protocol/wire';
import { signal, until } from '@/tests/harness/processes';
import { type Sidecar, startSidecar } from '@/tests/harness/sidecar';
import { RELAY_TIMES, Relay, type RelayMeter } from '@/ws-server/relay';

const PING_MS = 200;
const PING_OPCODE = 0x9;
const BINARY_OPCODE = 0x2;
const attach = encodeControl({
  op: 'attach',
  revision: 1,
  client: 'a-client-that-will-freeze',
  cursor: null,
  cols: 80,
  rows: 24,
});

let sidecar: Sidecar;
let gateway: Server;
let port = 0;
let session: LiveSession;
const endings: (() => void)[] = [];

/** A gateway's socket side with short times, in front of a real host. */
beforeAll(async () => {
  sidecar = await startSidecar();
  session = await sidecar.openSession();
  gateway = createServer();
  const meter: RelayMeter = { bytesIn: 0, bytesOut: 0, observeEcho: () => undefined, observeHop: () => undefined };
  new WebSocketServer({ server: gateway }).on('connection', (ws) => {
    new Relay(ws, {
      socketPath: join(sidecar.runDir, 'hosts', `${session.hostId}.sock`),
      viewer: { id: session.id, epoch: session.epoch, mode: 'write' },
      log: createLog('test', 'error'),
      meter,
      lives: async () => true,
      sockets: () => 1,
      times: { ...RELAY_TIMES, pingMs: PING_MS },
    });
  });
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  const address = gateway.address();
  if (typeof address === 'object' && address) port = address.port;
});

afterEach(() => {
  for (const end of endings.splice(0)) end();
});

afterAll(async () => {
  gateway?.close();
  await sidecar?.stop();
});

async function viewers(): Promise<number> {
  const { json } = await sidecar.control('GET', `/v1/sessions/${session.id}`);
  return sessionReplySchema.parse(json).session.viewers;
}

/** The opcodes of the WebSocket frames in what a server has sent. */
function opcodes(received: Buffer): number[] {
  const found: number[] = [];
  let offset = received.indexOf('\r\n\r\n') + 4;
  while (offset + 2 <= received.length) {
    const short = received.readUInt8(offset + 1) & 0x7f;
    found.push(received.readUInt8(offset) & 0x0f);
    if (short === 126) offset += 4 + received.readUInt16BE(offset + 2);
    else if (short === 127) offset += 10 + Number(received.readBigUInt64BE(offset + 2));
    else offset += 2 + short;
  }
  return found;
}

/** A socket that attaches as a browser does and then never says anything again, not even a pong. */
function openMute(): { socket: Socket; received: () => Buffer } {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  endings.push(() => socket.destroy());
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => undefined);
  const head = ['GET / HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  socket.write(`${[...head, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='].join('\r\n')}\r\n\r\n`);
  // A final binary frame with a length of 16 bits, masked with zeros.
  const frame = Buffer.concat([Buffer.of(0x82, 0xfe, 0, 0, 0, 0, 0, 0), attach]);
  frame.writeUInt16BE(attach.length, 2);
  socket.write(frame);
  return { socket, received: () => Buffer.concat(chunks) };
}

test('M8 a browser that answers two pings no more is freed at the third: within 45 s of its last word', async () => {
  expect(RELAY_TIMES.pingMs * 3).toBeLessThanOrEqual(45_000);
  const { socket, received } = openMute();
  const closed = once(socket, 'close');
  await closed;
  expect(opcodes(received())).toContain(BINARY_OPCODE); // it was attached
  expect(opcodes(received()).filter((opcode) => opcode === PING_OPCODE)).toHaveLength(2);
  await until('the viewer is gone', async () => (await viewers()) === 0);
});

test('M8 a browser process that is frozen leaves its session, and one that answers pings stays', async () => {
  const program = `
    import { WebSocket } from 'ws';
    const ws = new WebSocket('ws://127.0.0.1:${port}');
    ws.on('open', () => ws.send(Buffer.from('${Buffer.from(attach).toString('base64')}', 'base64')));
    let pings = 0;
    ws.on('ping', () => ++pings === 6 && console.log('alive'));
  `;
  const browser = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endings.push(() => browser.kill('SIGKILL'));
  // Six pings are three times what a silent one is given.
  await once(browser.stdout, 'data');
  expect(await viewers()).toBe(1);
  const { pid = 0 } = browser;
  signal(pid, 'SIGSTOP');
  await until('the viewer is gone', async () => (await viewers()) === 0);
  expect(browser.exitCode).toBe(null);
});
