import { mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createLog } from '@/lib/log';
import { newId } from '@/lib/protocol/ids';
import { WINDOW_BYTES } from '@/lib/protocol/limits';
import {
  type Attach,
  type Control,
  decodeViewerFrame,
  type Event,
  encodeAck,
  encodeControl,
  encodeInput,
} from '@/lib/protocol/wire';
import { dumpTerminal } from '@/tests/harness/dump';
import {
  type CallArgs,
  decodeLinkFrame,
  encodeLinkFrame,
  FrameReader,
  LINK_FRAME,
  LINK_REVISION,
  monotonicMs,
  type ToGateway,
  type ToHost,
  toGatewaySchema,
  writeFrame,
} from '@/ws-server/link';
import { takeCensus } from './census';
import { Screen } from './screen';
import { HostServer } from './server';

const fault = (error: unknown) => {
  throw error;
};

const env = { PATH: '/usr/local/bin:/usr/bin:/bin', TERM: 'xterm-256color', LANG: 'C.UTF-8', HOME: '/tmp' };
const WAIT = { timeout: 10_000, interval: 10 };
let directory = '';
let socketPath = '';
let host: HostServer;
const sockets = new Set<Socket>();

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hf-host-'));
  socketPath = join(directory, 'host.sock');
  host = new HostServer({
    hostId: 'testhost',
    capacity: 40,
    idleTimeoutMs: 0,
    groupDirectory: null,
    log: createLog('host', 'error'),
  });
  await host.listen(socketPath);
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await host.sessions.endAll();
  host.close();
  rmSync(directory, { recursive: true, force: true });
});

type Opened = { id: string; epoch: number };

async function open(script: string, options: Partial<CallArgs<'open'>> = {}): Promise<Opened> {
  const at = { id: newId('session'), epoch: 1 };
  await host.sessions.call('open', {
    ...at,
    type: 'system',
    cwd: directory,
    cols: 80,
    rows: 24,
    label: {},
    roots: [directory],
    launch: { file: '/bin/sh', args: ['-c', script], env },
    ...options,
  });
  return at;
}

/** A viewer on the unix socket, as the gateway makes one. */
class Probe {
  readonly events: Event[] = [];
  readonly snapshots: { position: number; cols: number; rows: number; text: Buffer }[] = [];
  readonly client: string;
  #chunks: Uint8Array[] = [];
  /** Position of the first byte in `output`. */
  from = 0;
  received = 0;
  /** How much output had come when each receipt did. */
  readonly receiptedAt: number[] = [];
  closed: string | null = null;
  acks = true;
  readonly #socket: Socket;

  constructor(at: Opened, options: { mode?: 'write' | 'read'; client?: string } = {}) {
    this.client = options.client ?? `client-${crypto.randomUUID()}`;
    this.#socket = connect(socketPath);
    sockets.add(this.#socket);
    const reader = new FrameReader((frame) => this.#take(frame));
    this.#socket.on('data', (chunk) => reader.push(chunk));
    writeFrame(this.#socket, encodeLinkFrame({ link: 'viewer', ...at, mode: options.mode ?? 'write' }));
  }

  attach(options: Partial<Omit<Attach, 'op'>> = {}): this {
    this.control({ op: 'attach', revision: 1, client: this.client, cursor: null, cols: 80, rows: 24, ...options });
    return this;
  }

  control(message: Control): void {
    this.raw(encodeControl(message));
  }

  raw(frame: Uint8Array): void {
    writeFrame(this.#socket, frame);
  }

  input(inputSeq: number, text: string): void {
    this.raw(encodeInput(inputSeq, Buffer.from(text)));
  }

  ack(position: number): void {
    this.raw(encodeAck(position));
  }

  leave(): void {
    this.#socket.destroy();
  }

  /** Raw output since the last snapshot. */
  get output(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.output.toString();
  }

  /** Everything that a person could have read: the last snapshot and what followed. */
  get seen(): string {
    return (this.snapshots.at(-1)?.text.toString() ?? '') + this.text;
  }

  all<E extends Event['event']>(event: E): Extract<Event, { event: E }>[] {
    return this.events.filter((each): each is Extract<Event, { event: E }> => each.event === event);
  }

  #take(frame: Buffer): void {
    if (frame[0] === LINK_FRAME) {
      const message = decodeLinkFrame(frame, toGatewaySchema);
      if (message.link === 'close') this.closed = message.code;
      return;
    }
    const decoded = decodeViewerFrame(frame);
    if (!decoded) return;
    if (decoded.type === 'event') {
      this.events.push(decoded.message);
      if (decoded.message.event === 'receipt') this.receiptedAt.push(this.received);
      return;
    }
    if (decoded.type === 'snapshot') {
      const { position, cols, rows } = decoded;
      this.snapshots.push({ position, cols, rows, text: Buffer.from(decoded.data) });
      this.from = position;
      this.received = position;
      this.#chunks = [];
    } else {
      if (this.#chunks.length === 0) this.from = decoded.position;
      else expect(decoded.position).toBe(this.received);
      this.#chunks.push(decoded.data);
      this.received = decoded.position + decoded.data.length;
    }
    if (this.acks) this.ack(this.received);
  }
}

const until = (check: () => void) => vi.waitFor(check, WAIT);

describe('pings', () => {
  it('M4 the pong holds the time since the gateway passed the ping on, the time that the host was busy included', async () => {
    const probe = new Probe(await open('exec cat')).attach();
    await vi.waitFor(() => expect(probe.all('attached')).toHaveLength(1), WAIT);
    probe.control({ op: 'ping', t: 7, at: monotonicMs() });
    const until = performance.now() + 100;
    while (performance.now() < until); // this process is the host: its ping waits
    await vi.waitFor(() => expect(probe.all('pong')).toHaveLength(1), WAIT);
    expect(probe.all('pong')[0]).toMatchObject({ t: 7, gateway: 0 });
    expect(probe.all('pong')[0]?.host).toBeGreaterThanOrEqual(100);
    probe.control({ op: 'ping', t: 8 });
    await vi.waitFor(() => expect(probe.all('pong')).toHaveLength(2), WAIT);
    expect(probe.all('pong')[1]).toMatchObject({ t: 8, host: 0 });
  });
});

describe('what gateways are told', () => {
  it('B12 an older gateway is greeted with its own revision', async () => {
    const greet = (revision: number) =>
      new Promise<number>((resolve, reject) => {
        const socket = connect(socketPath);
        sockets.add(socket);
        socket.on('error', reject);
        const reader = new FrameReader((frame) => {
          const message = decodeLinkFrame(frame, toGatewaySchema);
          if (message.link === 'hello') resolve(message.revision);
        });
        socket.on('data', (chunk) => reader.push(chunk));
        writeFrame(socket, encodeLinkFrame({ link: 'control', revision }));
      });
    expect(await greet(1)).toBe(1);
    expect(await greet(LINK_REVISION)).toBe(LINK_REVISION);
    expect(await greet(LINK_REVISION + 5)).toBe(LINK_REVISION);
  });

  it('B14 an answer that the link does not take is refused, and the connection stays', async () => {
    const socket = connect(socketPath);
    sockets.add(socket);
    const answers: ToGateway[] = [];
    const reader = new FrameReader((frame) => answers.push(decodeLinkFrame(frame, toGatewaySchema)));
    socket.on('data', (chunk) => reader.push(chunk));
    const call = (n: number, args: ToHost) => {
      writeFrame(socket, encodeLinkFrame(args));
      return vi.waitFor(() => {
        const answer = answers.find((each) => 'n' in each && each.n === n);
        if (!answer) throw new Error('no answer');
        return answer;
      }, WAIT);
    };
    writeFrame(socket, encodeLinkFrame({ link: 'control', revision: LINK_REVISION }));
    await vi.waitFor(() => expect(answers).toHaveLength(1), WAIT);
    const label = { note: 'x'.repeat(7_000_000) };
    const opened = [await open('read line', { label }), await open('read line', { label })];
    const answer = await call(1, { link: 'call', n: 1, call: 'list', args: {} });
    expect(answer).toMatchObject({ link: 'failure', error: { code: 'payload_too_large' } });
    expect(await call(2, { link: 'call', n: 2, call: 'beat', args: {} })).toMatchObject({ link: 'reply' });
    for (const at of opened) await host.sessions.call('end', { ...at, forget: true });
    socket.destroy();
  });

  it('B13 a beat counts sessions, bytes, memory and time, and the worst delay since the last one', async () => {
    const before = await host.sessions.call('beat', {});
    const at = await open('head -c 100000 /dev/zero; read line');
    await vi.waitFor(async () => {
      const { bytesOut } = await host.sessions.call('beat', {});
      expect(bytesOut).toBeGreaterThanOrEqual(before.bytesOut + 100_000);
    }, WAIT);
    await vi.waitFor(async () => {
      const blockedAt = performance.now();
      while (performance.now() - blockedAt < 300);
      expect((await host.sessions.call('beat', {})).loopLagMs).toBeGreaterThan(200);
    }, WAIT);
    const after = await host.sessions.call('beat', {});
    expect(after.sessions).toBe(before.sessions + 1);
    expect(after.cpuSeconds).toBeGreaterThan(before.cpuSeconds);
    expect(after.rss).toBeGreaterThan(10_000_000);
    await host.sessions.call('end', { ...at, forget: true });
  });

  it('B4 a beat says whether the host is wanted while it is empty', async () => {
    const { wantedAt } = host.sessions;
    await host.sessions.call('beat', {});
    await host.sessions.call('beat', { keep: false });
    expect(host.sessions.wantedAt).toBe(wantedAt);
    await host.sessions.call('beat', { keep: true });
    expect(host.sessions.wantedAt).toBeGreaterThan(wantedAt);
  });
});

describe('attach', () => {
  it('V3 a viewer without a cursor gets attached, then a SNAPSHOT, then what follows', async () => {
    const at = await open('printf hello; read x; printf world; sleep 60');
    const first = new Probe(at).attach();
    await until(() => expect(first.seen).toContain('hello'));
    const second = new Probe(at).attach();
    await until(() => expect(second.snapshots).toHaveLength(1));
    expect(second.snapshots[0]?.text.toString()).toContain('hello');
    expect(second.all('attached')[0]).toMatchObject({
      epoch: 1,
      status: 'active',
      mode: 'write',
      window: WINDOW_BYTES,
    });
    expect(second.all('gap')).toEqual([]);
    second.input(1, '\n');
    await until(() => expect(second.text).toContain('world'));
    await until(() => expect(first.text).toContain('world'));
  });

  it('V2 a cursor inside the ring is answered with exactly the missing bytes', async () => {
    const at = await open('seq 1 2000; sleep 60');
    const first = new Probe(at).attach({ cursor: { epoch: 1, position: 0 } });
    await until(() => expect(first.text).toContain('2000\r\n'));
    const again = new Probe(at).attach({ cursor: { epoch: 1, position: 100 } });
    await until(() => expect(again.text).toContain('2000\r\n'));
    expect(again.snapshots).toEqual([]);
    expect(again.all('gap')).toEqual([]);
    expect(again.from).toBe(100);
    expect(again.output.equals(first.output.subarray(100))).toBe(true);
  });

  it('V3 a cursor of another epoch, ahead of the end, or off the ring gets gap and SNAPSHOT', async () => {
    const at = await open('yes 0123456789012345678901234567890123456789 | head -c 6000000; sleep 60');
    const probe = new Probe(at).attach();
    await until(() => expect(probe.received).toBeGreaterThan(6_000_000));
    for (const cursor of [
      { epoch: 9, position: 5 },
      { epoch: 1, position: 99_000_000 },
      { epoch: 1, position: 10 },
    ]) {
      const late = new Probe(at).attach({ cursor });
      await until(() => expect(late.snapshots).toHaveLength(1));
      expect(late.all('gap')[0]?.from).toBe(cursor.position);
    }
  });

  it('V1 W2 anything but attach first, twice attach, unknown types and bad JSON are refused with bad_request', async () => {
    const at = await open('cat');
    const bad: ((probe: Probe) => void)[] = [
      (probe) => probe.input(1, 'x'),
      (probe) => probe.raw(Buffer.from([0x77])),
      (probe) => probe.raw(Buffer.from([0x03, 0x7b])),
      (probe) => probe.raw(Buffer.concat([Buffer.from([0x03]), Buffer.from('{"op":"format"}')])),
      (probe) => probe.raw(Buffer.from([0x02, 1, 2])),
      (probe) => probe.attach().attach(),
      (probe) => probe.attach({ cols: 0 }),
      (probe) => probe.attach({ rows: 65_536 }),
      (probe) => probe.attach().raw(Buffer.from([0x01, 0, 0, 0, 0, 65])),
      (probe) => probe.attach().control({ op: 'resize', cols: 1e9, rows: 24 }),
    ];
    for (const act of bad) {
      const probe = new Probe(at);
      act(probe);
      await until(() => expect(probe.closed, act.toString()).toBe('bad_request'));
    }
    const fine = new Probe(at).attach();
    fine.input(1, 'still here\n');
    await until(() => expect(fine.text).toContain('still here'));
  });

  it('V9 the same client again closes its older connection and keeps its place', async () => {
    const at = await open('cat');
    const older = new Probe(at).attach();
    older.input(1, 'one\n');
    await until(() => expect(older.text).toContain('one\r\none'));
    const newer = new Probe(at, { client: older.client }).attach({ cursor: { epoch: 1, position: older.received } });
    await until(() => expect(older.closed).toBe('conflict'));
    older.input(2, 'late\n');
    newer.input(2, 'two\n');
    await until(() => expect(newer.text).toContain('two\r\ntwo'));
    expect(newer.text).not.toContain('late');
    expect(newer.all('attached')[0]).toMatchObject({ inputSeq: 1, driver: newer.all('attached')[0]?.viewer });
  });

  it('G5 an unknown session is not_found, a lower epoch epoch_superseded', async () => {
    const at = await open('cat', { epoch: 3 });
    const unknown = new Probe({ id: newId('session'), epoch: 1 });
    await until(() => expect(unknown.closed).toBe('not_found'));
    const lower = new Probe({ ...at, epoch: 2 });
    await until(() => expect(lower.closed).toBe('epoch_superseded'));
  });
});

describe('flow', () => {
  it('V4 V7 a viewer that never ACKs gets one window, and slows neither program nor others', async () => {
    const at = await open('read x; yes abcdefghijklmnopqrstuvwxyz | head -c 3000000; sleep 60');
    const silent = new Probe(at).attach({ cursor: { epoch: 1, position: 0 } });
    silent.acks = false;
    const reader = new Probe(at).attach({ cursor: { epoch: 1, position: 0 } });
    reader.input(1, '\n');
    await until(() => expect(reader.received).toBeGreaterThan(3_000_000));
    expect(silent.received).toBeLessThanOrEqual(WINDOW_BYTES);
    expect(silent.received).toBeGreaterThan(WINDOW_BYTES - 70_000);
    expect(silent.snapshots).toEqual([]);
  });

  it('V6 a viewer that fell behind is skipped forward when it types, with a gap mark', async () => {
    const at = await open('stty -echo; read x; seq 1 100000; read y; echo done; sleep 60');
    const slow = new Probe(at).attach({ cursor: { epoch: 1, position: 0 } });
    slow.acks = false;
    const reader = new Probe(at).attach({ cursor: { epoch: 1, position: 0 } });
    reader.input(1, '\n');
    await until(() => expect(reader.text).toContain('100000\r\n'));
    slow.acks = true;
    slow.input(1, '\n');
    await until(() => expect(slow.snapshots).toHaveLength(1));
    expect(slow.all('gap')).toHaveLength(1);
    expect(slow.snapshots[0]?.text.toString()).toContain('99999');
    await until(() => expect(slow.text).toContain('done'));
  });

  it('V5 nothing follows a SNAPSHOT until it is ACKed', async () => {
    const at = await open('echo first; read x; seq 1 5000; sleep 60');
    const probe = new Probe(at);
    probe.acks = false;
    probe.attach();
    await until(() => expect(probe.snapshots).toHaveLength(1));
    const other = new Probe(at).attach();
    other.input(1, '\n');
    await until(() => expect(other.text).toContain('5000\r\n'));
    expect(probe.output).toHaveLength(0);
    probe.acks = true;
    probe.ack(probe.snapshots[0]?.position ?? 0);
    await until(() => expect(probe.text).toContain('5000\r\n'));
  });

  it('V10 an ACK beyond what was sent is refused', async () => {
    const at = await open('cat');
    const probe = new Probe(at).attach();
    await until(() => expect(probe.snapshots).toHaveLength(1));
    probe.ack(1_000_000);
    await until(() => expect(probe.closed).toBe('bad_request'));
  });

  it('S1 every viewer draws the same screen at the same position, whenever it came', async () => {
    const at = await open(
      'i=0; while [ $i -lt 300 ]; do printf "\\033[3%dmrow %d \\346\\274\\242 e\\314\\201\\033[0m\\r\\n" $((i % 8)) $i; i=$((i+1)); done; sleep 60',
    );
    const whole = new Probe(at).attach({ cursor: { epoch: 1, position: 0 } });
    const late: Probe[] = [];
    for (let n = 0; n < 10; n++) {
      const probe = new Probe(at).attach();
      late.push(probe);
      await until(() => expect(probe.snapshots).toHaveLength(1));
    }
    await until(() => expect(whole.text).toContain('row 299'));
    for (const probe of late) {
      await until(() => expect(probe.received).toBe(whole.received));
      const draw = (parts: Uint8Array[]) => {
        const screen = new Screen({ cols: 80, rows: 24 }, { reply: () => undefined, title: () => undefined, fault });
        for (const part of parts) screen.write(part);
        return dumpTerminal(screen.terminal);
      };
      expect(draw([probe.snapshots[0]?.text ?? Buffer.alloc(0), probe.output])).toEqual(draw([whole.output]));
    }
  });
});

describe('input', () => {
  it('I1 I2 repeated frames are receipted and not written, a hole is refused', async () => {
    const at = await open('stty -echo; cat');
    const probe = new Probe(at).attach();
    probe.input(1, 'a');
    probe.input(2, 'b');
    probe.input(2, 'b');
    probe.input(1, 'a');
    probe.input(3, '\n');
    await until(() => expect(probe.text).toContain('ab\r\n'));
    await until(() => expect(probe.all('receipt').at(-1)?.inputSeq).toBe(3));
    const again = new Probe(at, { client: probe.client }).attach();
    await until(() => expect(again.all('attached')[0]?.inputSeq).toBe(3));
    again.input(3, 'x\n');
    again.input(5, 'y\n');
    await until(() => expect(again.closed).toBe('bad_request'));
    const last = new Probe(at, { client: probe.client }).attach({ cursor: { epoch: 1, position: 0 } });
    last.input(4, 'end\n');
    await until(() => expect(last.text).toContain('end\r\n'));
    expect(last.text).not.toMatch(/[xy]/);
  });

  it('I2 an echo comes before its receipt, and a receipt without an echo', async () => {
    const cursor = { epoch: 1, position: 0 };
    const probe = new Probe(await open('cat >/dev/null')).attach({ cursor });
    for (let seq = 1; seq <= 20; seq++) {
      probe.input(seq, 'x');
      await until(() => expect(probe.all('receipt').at(-1)?.inputSeq).toBe(seq));
    }
    // In a process that is held up the receipt may come first.
    expect(probe.receiptedAt.slice(1).filter((received, n) => received > n).length).toBeGreaterThan(10);
    const silent = new Probe(await open('stty -echo; printf ready; sleep 60')).attach({ cursor });
    await until(() => expect(silent.text).toBe('ready'));
    silent.input(1, 'x');
    await until(() => expect(silent.all('receipt').at(-1)?.inputSeq).toBe(1));
    expect(silent.text).toBe('ready');
  });

  it('I3 more than 64 KiB that the program does not read is refused with payload_too_large', async () => {
    const at = await open('stty raw -echo; printf ready; sleep 60');
    const probe = new Probe(at).attach({ cursor: { epoch: 1, position: 0 } });
    await until(() => expect(probe.text).toContain('ready'));
    for (let seq = 1; seq <= 8; seq++) probe.input(seq, 'z'.repeat(16_000));
    await until(() => expect(probe.closed).toBe('payload_too_large'));
  });

  it('I4 a read-only viewer writes 0 bytes and is told so', async () => {
    const at = await open('cat');
    const writer = new Probe(at).attach();
    const watcher = new Probe(at, { mode: 'read' }).attach({ cols: 200, rows: 60 });
    watcher.input(1, 'evil\n');
    watcher.control({ op: 'take' });
    watcher.control({ op: 'signal', name: 'KILL' });
    await until(() => expect(watcher.all('error')).toHaveLength(3));
    writer.input(1, 'good\n');
    await until(() => expect(writer.text).toContain('good'));
    expect(writer.text).not.toContain('evil');
    expect(writer.all('resized')).toEqual([]);
  });
});

describe('size', () => {
  it('Z5 of many sizes at once few are applied, at most 20 in a second, and the last one is', async () => {
    const at = await open('read x; stty size; read x');
    const viewer = new Probe(at).attach({ cols: 100, rows: 30 });
    await until(() => expect(viewer.snapshots).toHaveLength(1));
    const startedAt = performance.now();
    for (let n = 1; n <= 60; n++) {
      viewer.control({ op: 'resize', cols: 100 + n, rows: 30 });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => expect(viewer.all('resized').at(-1)).toMatchObject({ cols: 160, rows: 30 }));
    const spans = Math.ceil((performance.now() - startedAt) / 50);
    expect(viewer.all('resized').filter(({ cols }) => cols > 100).length).toBeLessThanOrEqual(spans + 1);
    viewer.input(1, '\n');
    await until(() => expect(viewer.text).toContain('30 160'));
  });

  it('Z1 Z2 Z3 the first drives, then who types; joining never resizes; leaving hands over', async () => {
    const at = await open('while read x; do stty size; done');
    const first = new Probe(at).attach({ cols: 100, rows: 30 });
    await until(() => expect(first.snapshots[0]).toMatchObject({ cols: 100, rows: 30 }));
    const second = new Probe(at).attach({ cols: 60, rows: 20 });
    await until(() => expect(second.snapshots[0]).toMatchObject({ cols: 100, rows: 30 }));
    second.control({ op: 'resize', cols: 61, rows: 21 });
    first.input(1, '\n');
    await until(() => expect(first.text).toContain('30 100'));
    second.input(1, '\n');
    await until(() => expect(first.all('resized').at(-1)).toMatchObject({ cols: 61, rows: 21 }));
    await until(() => expect(second.all('viewers').at(-1)?.driver).toBe(second.all('attached')[0]?.viewer));
    second.leave();
    await until(() => expect(first.all('resized').at(-1)).toMatchObject({ cols: 100, rows: 30 }));
    first.control({ op: 'resize', cols: 90, rows: 25 });
    await until(() => expect(first.all('resized').at(-1)).toMatchObject({ cols: 90, rows: 25 }));
    const replay = new Probe(at).attach({ cursor: { epoch: 1, position: 0 }, cols: 50, rows: 10 });
    await until(() => expect(replay.all('resized').map(({ cols }) => cols)).toEqual([100, 61, 100, 90]));
  });
});

describe('queries', () => {
  const QUERIES =
    '\\033[c\\033[>c\\033[5n\\033[6n\\033[?6n\\033[?25$p\\033[4$p\\033P$qm\\033\\\\\\033[>q\\033[18t\\033]11;?\\007\\033]4;1;?\\007\\005';

  it('S5 S6 queries are answered once by the host, with no viewer and with three, in fixed forms', async () => {
    const script = `stty raw -echo; printf '\\033[H'; printf "\\033]2;\\$(touch pwned)\\007"; printf '${QUERIES}'; printf '\\033[21t\\033[20t'; dd bs=1 count=170 2>/dev/null | od -An -c; sleep 60`;
    const alone = await open(script);
    const watched = await open(`read go; ${script}`);
    const viewers = [1, 2, 3].map(() => new Probe(watched).attach());
    await until(() => expect(viewers.every(({ snapshots }) => snapshots.length === 1)).toBe(true));
    viewers[0]?.input(1, '\n');
    await until(() => expect(viewers[2]?.text.length).toBeGreaterThan(100));
    const late = new Probe(alone).attach({ cursor: { epoch: 1, position: 0 } });
    await until(() => expect(late.text.length).toBeGreaterThan(100));
    const answers = (probe: Probe | undefined) => probe?.text.slice(probe.text.indexOf(' 033'));
    expect(answers(late)).toContain('[   ?   1   ;   2   c');
    expect(answers(viewers[2])).toBe(answers(late));
    expect(late.text).not.toMatch(/p\s+w\s+n\s+e\s+d/);
  });
});

describe('end', () => {
  it('V8 H1 a natural end sends the rest, exit and session_ended; later viewers see the last screen', async () => {
    const at = await open('seq 1 3000; exit 5');
    const probe = new Probe(at).attach({ cursor: { epoch: 1, position: 0 } });
    await until(() => expect(probe.closed).toBe('session_ended'));
    expect(probe.all('exit')).toEqual([{ event: 'exit', code: 5, signal: 0, reason: 'exited' }]);
    if (probe.snapshots.length === 0) expect(probe.text.endsWith('3000\r\n')).toBe(true);
    const late = new Probe(at).attach();
    await until(() => expect(late.closed).toBe('session_ended'));
    expect(late.all('attached')[0]?.status).toBe('ended');
    expect(late.snapshots[0]?.text.toString()).toContain('3000');
    expect(late.all('exit')[0]?.code).toBe(5);
  });

  it('H7 ending a session ends its jobs, also stopped ones and those that ignore HUP', async () => {
    const at = await open(
      'sh -c \'trap "" HUP; sleep 300\' & sleep 300 & sh -c "kill -STOP \\$\\$" & echo started; wait; sleep 300',
    );
    const probe = new Probe(at).attach();
    await until(() => expect(probe.seen).toContain('started'));
    const { pid } = host.sessions.find(at.id, 1).facts();
    const members = async () => [...(await takeCensus()).values()].filter(({ session }) => session === pid);
    await vi.waitFor(async () => expect((await members()).length).toBeGreaterThanOrEqual(4), WAIT);
    const ended = await host.sessions.call('end', { ...at, forget: true });
    expect(ended.exit).not.toBeNull();
    expect(await members()).toEqual([]);
    expect(() => host.sessions.find(at.id, 1)).toThrow();
  });
});

describe('start', () => {
  it('H4 a directory outside the roots, a file, a missing one and a link to outside are refused', async () => {
    symlinkSync('/etc', join(directory, 'escape'));
    const codeOf = (cwd: string) =>
      open('cat', { cwd }).then(
        () => 'opened',
        (error) => error.code,
      );
    expect(await codeOf('/etc')).toBe('forbidden');
    expect(await codeOf(join(directory, 'escape'))).toBe('forbidden');
    expect(await codeOf(join(directory, 'nothing'))).toBe('conflict');
    expect(await codeOf(socketPath)).toBe('conflict');
    expect(await codeOf(`${directory}-evil`)).toBe('conflict');
  });

  it('R10 a higher epoch replaces an ended session, never a living one', async () => {
    const at = await open('exit 0');
    await until(() => expect(host.sessions.find(at.id, 1).isEnded).toBe(true));
    await open('cat', { id: at.id, epoch: 2 });
    expect(host.sessions.find(at.id, 2).facts().position).toBeLessThan(10);
    await expect(open('cat', { id: at.id, epoch: 3 })).rejects.toMatchObject({ code: 'conflict' });
    await expect(open('cat', { id: at.id, epoch: 1 })).rejects.toMatchObject({ code: 'epoch_superseded' });
  });

  it('the socket is for its owner only', () => {
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
  });
});
