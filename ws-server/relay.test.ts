import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { createLog } from '@/lib/log';
import { newId } from '@/lib/protocol/ids';
import { decodeHostFrame, encodeAck, encodeEvent, encodeInput, encodeOutput, FRAME } from '@/lib/protocol/wire';
import { type ScriptedConnection, ScriptedHost } from '@/tests/harness/scripted-host';
import { Viewer } from '@/tests/harness/viewer';
import { Relay, type RelayMeter, type RelayOptions } from './relay';

const log = createLog('test', 'error');
const id = newId('session');

/** What the relay counted. */
class Meter implements RelayMeter {
  bytesIn = 0;
  bytesOut = 0;
  readonly echoes: number[] = [];
  readonly hops: string[] = [];
  observeEcho(ms: number): void {
    this.echoes.push(ms);
  }
  observeHop(hop: string): void {
    this.hops.push(hop);
  }
}

let meter: Meter;
let directory: string;
let socketPath: string;
let host: ScriptedHost;
let server: Server;
const clients: WebSocket[] = [];

beforeEach(async () => {
  meter = new Meter();
  directory = mkdtempSync(join(tmpdir(), 'holdfast-relay-'));
  socketPath = join(directory, 'host.sock');
  host = await ScriptedHost.listen(socketPath);
});

afterEach(async () => {
  log.level = 'error';
  for (const client of clients.splice(0)) client.terminate();
  await host.close();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

/** A browser socket, the relay behind it, and the host's end of its connection. */
async function relayed(changes: Partial<RelayOptions> = {}) {
  server = createServer();
  const sockets = new WebSocketServer({ server, maxPayload: 64 * 1024 });
  const accepted = new Promise<Relay>((resolve) => {
    sockets.on('connection', (ws) => {
      const viewer = { id, epoch: 3, mode: 'write' as const };
      resolve(new Relay(ws, { socketPath, viewer, log, meter, lives: async () => true, sockets: () => 7, ...changes }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a TCP server's address is one
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  clients.push(socket);
  const browser = new Viewer(socket, {});
  const [relay] = await Promise.all([accepted, new Promise((resolve) => socket.once('open', resolve))]);
  const connection = await vi.waitFor(() => {
    const first = host.connections[0];
    if (!first?.messages.length) throw new Error('not connected');
    return first;
  });
  return { relay, browser, connection };
}

function residentMemory(): number {
  return process.memoryUsage().arrayBuffers;
}

/** Writes OUTPUT until the relay no longer reads, and gives the bytes written. */
async function floodUntilPaused(connection: ScriptedConnection): Promise<number> {
  const chunk = new Uint8Array(32 * 1024);
  let position = 0;
  for (;;) {
    const isRoom = connection.send(encodeOutput(position, chunk));
    position += chunk.length;
    if (position > 64 * 1024 * 1024) return position;
    if (isRoom) continue;
    const isDrained = await Promise.race([
      new Promise<boolean>((resolve) => connection.socket.once('drain', () => resolve(true))),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300)),
    ]);
    if (!isDrained) return position;
  }
}

describe('Relay', () => {
  it('G7 passes frames on as they are, both ways, and names the viewer first', async () => {
    const { browser, connection } = await relayed();
    expect(connection.messages).toEqual([{ link: 'viewer', id, epoch: 3, mode: 'write' }]);
    const toHost = [
      encodeInput(1, new Uint8Array([0, 255, 27])),
      encodeAck(7),
      new Uint8Array([3, 123]),
      new Uint8Array([1]),
    ];
    for (const frame of toHost) browser.send(frame);
    await vi.waitFor(() => expect(connection.frames).toEqual(toHost.map((frame) => Buffer.from(frame))));

    connection.send(encodeOutput(0, new Uint8Array([0, 255, 128])));
    connection.send(encodeEvent({ event: 'title', text: 'x' }));
    await browser.event('title');
    expect([...browser.output]).toEqual([0, 255, 128]);
  });

  it.each([
    ['an unknown type', Buffer.of(0x04)],
    ["a host's type", Buffer.of(0x81, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['a LINK frame', Buffer.from([0xf0, ...Buffer.from('{"link":"control","revision":1}')])],
    ['an empty message', Buffer.alloc(0)],
    ['text', '\u0003{"op":"take"}'],
  ])('W2 %s closes with 4400 and does not reach the host', async (_what, message) => {
    const { browser, connection } = await relayed();
    browser.socket.send(message);
    expect(await browser.closed).toEqual({ code: 4400, reason: 'bad_request' });
    expect(connection.frames).toEqual([]);
    expect(connection.messages).toHaveLength(1);
  });

  it('V1 a socket that sends nothing closes with 4408', async () => {
    const { browser } = await relayed({ times: { attachMs: 50, pingMs: 10_000 } });
    expect(await browser.closed).toEqual({ code: 4408, reason: 'timeout' });
  });

  it('V1 a socket that has sent its first frame stays', async () => {
    const { browser, connection } = await relayed({ times: { attachMs: 100, pingMs: 20 } });
    browser.ack(0);
    const pings = vi.fn();
    browser.socket.on('ping', pings);
    await vi.waitFor(() => expect(pings.mock.calls.length).toBeGreaterThan(8));
    connection.send(encodeOutput(0, Buffer.from('still here')));
    await browser.waitForText('still here');
  });

  it('a browser that answers no ping is ended', async () => {
    const { browser, connection } = await relayed({ times: { attachMs: 10_000, pingMs: 30 } });
    browser.socket.pause();
    await vi.waitFor(() => expect(connection.socket.destroyed).toBe(true), 3_000);
    browser.socket.resume();
    expect((await browser.closed).code).toBe(1006);
  });

  it('E1 closes with the code that the host says', async () => {
    const { browser, connection } = await relayed();
    connection.send(encodeOutput(0, Buffer.from('last words')));
    connection.say({ link: 'close', code: 'session_ended' });
    connection.socket.end();
    expect(await browser.closed).toEqual({ code: 4410, reason: 'session_ended' });
    expect(browser.text).toBe('last words');
  });

  it.each([
    ['a message of the control connection', Buffer.from([0xf0, ...Buffer.from('{"link":"gone"}')])],
    ['a LINK frame that is not JSON', Buffer.of(0xf0, 1, 2, 3)],
    ['an unknown type', Buffer.of(0x42)],
  ])('a host that sends %s closes with 4500', async (_what, frame) => {
    log.level = 'silent';
    const { browser, connection } = await relayed();
    connection.send(frame);
    expect(await browser.closed).toEqual({ code: 4500, reason: 'internal' });
  });

  it('a host that announces a frame beyond all bounds closes with 4500', async () => {
    log.level = 'silent';
    const { browser, connection } = await relayed();
    connection.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x81]));
    expect((await browser.closed).code).toBe(4500);
  });

  it.each([
    [true, { code: 1012, reason: 'restart' }],
    [false, { code: 4404, reason: 'not_found' }],
  ])('G5 a lost host connection with a session that lives: %s', async (isAlive, closed) => {
    const { browser, connection } = await relayed({ lives: async () => isAlive });
    connection.socket.destroy();
    expect(await browser.closed).toEqual(closed);
  });

  it('J10 a viewer whose session is lost with its host is told why, and closed with 4410', async () => {
    const exit = { code: -1, signal: 0, at: 1, reason: 'host-crash' as const };
    const { browser, connection } = await relayed({ lives: async () => false, loss: async () => exit });
    connection.socket.destroy();
    expect(await browser.closed).toEqual({ code: 4410, reason: 'session_ended' });
    expect(browser.events).toEqual([{ event: 'exit', code: -1, signal: 0, reason: 'host-crash' }]);
  });

  it('M4 fills its share into a pong, and only there', async () => {
    const { browser, connection } = await relayed();
    const other = encodeEvent({ event: 'pong', t: 1, gateway: 0, host: 5 });
    connection.send(other);
    browser.control({ op: 'ping', t: 42.5 });
    await vi.waitFor(() => expect(connection.frames).toHaveLength(1));
    const passedOn = decodeHostFrame(connection.frames[0] ?? Buffer.alloc(0));
    expect(passedOn).toEqual({ type: 'control', message: { op: 'ping', t: 42.5, at: expect.any(Number) } });
    await new Promise((resolve) => setTimeout(resolve, 30));
    connection.send(encodeEvent({ event: 'title', text: '"event":"pong"' }));
    connection.send(encodeEvent({ event: 'pong', t: 42.5, gateway: 0, host: 5 }));
    await vi.waitFor(() => expect(browser.events).toHaveLength(3));
    expect(browser.events.slice(0, 2)).toEqual([
      { event: 'pong', t: 1, gateway: 0, host: 5 },
      { event: 'title', text: '"event":"pong"' },
    ]);
    const pong = await browser.waitFor('pong', () => browser.events.length === 3).then(() => browser.events[2]);
    if (pong?.event !== 'pong') throw new Error('no pong');
    expect(pong).toMatchObject({ t: 42.5, host: 5, sockets: 7 });
    expect(pong.gateway).toBeGreaterThan(20);
    expect(pong.gateway).toBeLessThan(10_000);
    expect(meter.hops).toEqual(['gateway', 'host']);
  });

  it("M4 the answer to the relay's own ping measures the network", async () => {
    await relayed({ times: { attachMs: 10_000, pingMs: 20 } });
    await vi.waitFor(() => expect(meter.hops).toContain('network'), 5_000);
  });

  it('M6 an echo is one keystroke and the first output after it; output without one is none', async () => {
    const { browser, connection } = await relayed();
    connection.send(encodeOutput(0, Buffer.from('prompt')));
    await browser.waitForText('prompt');
    expect(meter.echoes).toEqual([]);
    browser.type('ab');
    browser.type('c');
    await vi.waitFor(() => expect(connection.frames.filter(([type]) => type === FRAME.input)).toHaveLength(2));
    connection.send(encodeEvent({ event: 'title', text: 'no output' }));
    connection.send(encodeOutput(6, Buffer.from('a')));
    connection.send(encodeOutput(7, Buffer.from('bc')));
    await browser.waitForText('abc');
    expect(meter.echoes).toHaveLength(1);
    expect(meter.echoes[0]).toBeGreaterThan(0);
  });

  it('M6 what a reader sends is no keystroke', async () => {
    const { browser, connection } = await relayed({ viewer: { id, epoch: 3, mode: 'read' } });
    browser.type('x');
    await vi.waitFor(() => expect(connection.frames).toHaveLength(1));
    connection.send(encodeOutput(0, Buffer.from('x')));
    await browser.waitForText('x');
    expect(meter.echoes).toEqual([]);
  });

  it('M2 bytes are counted as they pass, both ways', async () => {
    const { browser, connection } = await relayed();
    const input = encodeInput(1, new Uint8Array(1_000));
    const output = encodeOutput(0, new Uint8Array(3_000));
    browser.send(input);
    connection.send(output);
    await browser.waitFor('the output', () => browser.position === 3_000);
    await vi.waitFor(() => expect(connection.frames).toHaveLength(1));
    expect(meter.bytesOut).toBe(output.length);
    // The viewer ACKs what it got.
    await vi.waitFor(() => expect(meter.bytesIn).toBe(input.length + encodeAck(3_000).length));
  });

  it.each([
    ['pings', { op: 'ping', t: 1 } as const],
    ['sizes', { op: 'resize', cols: 80, rows: 24 } as const],
  ])('M7 too many %s close with 4429, a burst of 100 does not, and input is not counted', async (_what, message) => {
    const { browser, connection } = await relayed();
    for (let n = 0; n < 100; n++) browser.control(message);
    for (let n = 0; n < 300; n++) browser.type('x');
    await vi.waitFor(() => expect(connection.frames).toHaveLength(400), 10_000);
    for (let n = 0; n < 1_000; n++) browser.control(message);
    expect(await browser.closed).toEqual({ code: 4429, reason: 'rate_limited' });
    expect(connection.frames.length).toBeLessThan(1_000);
  });

  it('V7 a browser that does not read stops its host connection, within bounds, and goes on where it was', async () => {
    const { browser, connection } = await relayed();
    browser.autoAck = false;
    browser.socket.pause();
    const before = residentMemory();
    const written = await floodUntilPaused(connection);
    expect(residentMemory() - before).toBeLessThan(32 * 1024 * 1024);
    expect(written).toBeLessThan(32 * 1024 * 1024);
    browser.socket.resume();
    await browser.waitFor('every byte', () => browser.position === written);
    expect(browser.holes).toEqual([]);
    connection.send(encodeOutput(written, Buffer.from('after')));
    await browser.waitForText('after', written);
  });

  it('V7 what waits for a browser arrives as it was sent', async () => {
    const { browser, connection } = await relayed();
    browser.autoAck = false;
    const seen: number[] = [];
    browser.socket.on('message', (frame: Buffer) => {
      const [first = -1, ...others] = new Set(frame.subarray(9));
      seen.push(others.length > 0 ? -1 : first);
    });
    browser.socket.pause();
    for (let n = 0; n < 250; n++) connection.send(encodeOutput(n * 60_000, Buffer.alloc(60_000, n)));
    let passedOn = 0;
    await vi.waitFor(
      () => {
        const before = passedOn;
        passedOn = meter.bytesOut;
        expect(passedOn).toBeGreaterThan(0);
        expect(passedOn, 'the gateway waits').toBe(before);
      },
      { timeout: 10_000, interval: 100 },
    );
    browser.socket.resume();
    await vi.waitFor(() => expect(seen).toEqual(Array.from({ length: 250 }, (_, n) => n)), { timeout: 10_000 });
  });

  it('a host that does not read stops its browser, and gets every byte later', async () => {
    const { browser, connection } = await relayed();
    connection.socket.pause();
    const frame = encodeInput(1, new Uint8Array(16 * 1024).fill(120));
    let sent = 0;
    await vi.waitFor(
      () => {
        for (let i = 0; i < 64; i++) browser.send(frame);
        sent += 64;
        // What the kernel does not take stays in the browser: the relay does not read it.
        expect(browser.socket.bufferedAmount).toBeGreaterThan(4 * 1024 * 1024);
      },
      { timeout: 10_000, interval: 20 },
    );
    connection.socket.resume();
    await vi.waitFor(() => expect(connection.frames).toHaveLength(sent), 10_000);
    expect(connection.frames.every((one) => one.equals(Buffer.from(frame)))).toBe(true);
  });

  it('I2 what was typed before the browser left reaches the host', async () => {
    const { browser, connection } = await relayed();
    browser.type('exit\r');
    browser.socket.close();
    await vi.waitFor(() => expect(connection.frames).toHaveLength(1));
    await vi.waitFor(() => expect(connection.socket.destroyed).toBe(true));
  });
});
