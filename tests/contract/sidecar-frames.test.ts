/** What passes over a socket: bytes unchanged; malformed, oversized and late frames end that socket and nothing else. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LiveSession } from '@/lib/protocol/control';
import { decodeViewerFrame, encodeAck, encodeControl, encodeInput } from '@/lib/protocol/wire';
import { type Sidecar, startSidecar } from '@/tests/harness/sidecar';
import type { Viewer } from '@/tests/harness/viewer';

let sidecar: Sidecar;
let session: LiveSession;

beforeAll(async () => {
  sidecar = await startSidecar();
  session = await sidecar.openSession();
});

afterAll(() => sidecar?.stop());

describe('frames', () => {
  const attach = () =>
    encodeControl({ op: 'attach', revision: 1, client: 'a'.repeat(16), cursor: null, cols: 80, rows: 24 });

  /** The shell still runs, and has seen nothing of what was sent. */
  async function expectUnharmed(): Promise<void> {
    const viewer = await sidecar.connect(session);
    const attached = await viewer.attach();
    expect({ cols: attached.cols, rows: attached.rows }).toEqual({ cols: 80, rows: 24 });
    const mark = `fine-${Math.random().toString(36).slice(2)}`;
    await viewer.line(`echo ${mark}-$$`);
    await viewer.waitForText(`${mark}-${session.pid}\r\n`);
    await viewer.close();
  }

  it.each<[string, (viewer: Viewer) => void]>([
    ['an unknown type', (viewer) => viewer.send(Buffer.of(0x7f))],
    ["the host's type", (viewer) => viewer.send(Buffer.of(0x81, 0, 0, 0, 0, 0, 0, 0, 0))],
    ['a LINK frame', (viewer) => viewer.send(Buffer.from([0xf0, ...Buffer.from('{"link":"call","n":1}')]))],
    ['an empty message', (viewer) => viewer.send(Buffer.alloc(0))],
    ['text', (viewer) => viewer.socket.send('{"op":"attach"}')],
    ['a second attach', (viewer) => viewer.send(attach())],
    ['a short INPUT', (viewer) => viewer.send(Buffer.of(1, 0, 0))],
    ['INPUT number 0', (viewer) => viewer.send(encodeInput(0, Buffer.from('x')))],
    ['a hole in the input', (viewer) => viewer.send(encodeInput(viewer.inputSeq + 2, Buffer.from('x')))],
    ['a short ACK', (viewer) => viewer.send(Buffer.of(2, 0))],
    ['an ACK beyond 2^53', (viewer) => viewer.send(Buffer.from([2, ...Buffer.alloc(8, 0xff)]))],
    ['an ACK beyond what was sent', (viewer) => viewer.send(encodeAck(2 ** 40))],
    ['CONTROL that is not JSON', (viewer) => viewer.send(Buffer.from('\u0003{{{'))],
    ['an unknown op', (viewer) => viewer.send(Buffer.from('\u0003{"op":"exec"}'))],
    ['a signal off the list', (viewer) => viewer.send(Buffer.from('\u0003{"op":"signal","name":"STOP"}'))],
    ['a size of 0', (viewer) => viewer.send(Buffer.from('\u0003{"op":"resize","cols":0,"rows":24}'))],
    ['a size of 65536', (viewer) => viewer.send(Buffer.from('\u0003{"op":"resize","cols":65536,"rows":24}'))],
    ['a size in text', (viewer) => viewer.send(Buffer.from('\u0003{"op":"resize","cols":"80","rows":24}'))],
  ])('W2 %s closes that socket with 4400 and changes nothing else', async (_what, send) => {
    const bystander = await sidecar.connect(session);
    await bystander.attach();
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    send(viewer);
    expect(await viewer.closed).toEqual({ code: 4400, reason: 'bad_request' });
    await expectUnharmed();
    expect(bystander.ending).toBeNull();
    await bystander.close();
  });

  it.each<[string, () => Uint8Array]>([
    ['INPUT', () => encodeInput(1, Buffer.from('echo typed-before-attach\r'))],
    ['ACK', () => encodeAck(0)],
    ['another op', () => encodeControl({ op: 'take' })],
    ['a ping', () => encodeControl({ op: 'ping', t: 1 })],
    ['an attach without a size', () => Buffer.from(`\u0003{"op":"attach","revision":1,"client":"${'a'.repeat(16)}"}`)],
  ])('V1 a first frame that is %s closes with 4400, and nothing is typed', async (_what, frame) => {
    const viewer = await sidecar.connect(session);
    viewer.send(frame());
    expect(await viewer.closed).toEqual({ code: 4400, reason: 'bad_request' });
    const after = await sidecar.connect(session);
    await after.attach();
    await after.line('echo after');
    await after.waitForText('after\r\n');
    expect(after.text + after.snapshots.map(({ data }) => Buffer.from(data)).join('')).not.toContain('typed-before');
    await after.close();
  });

  it('V1 a socket that does not attach within 5 s closes with 4408', async () => {
    const start = performance.now();
    const viewer = await sidecar.connect(session);
    expect(await viewer.closed).toEqual({ code: 4408, reason: 'timeout' });
    expect(performance.now() - start).toBeGreaterThan(4_000);
    expect(performance.now() - start).toBeLessThan(7_000);
  });

  it('W1 H2 every message is one binary frame, and what a program writes arrives unchanged', async () => {
    // Every byte value, sequences that screens act on, characters cut short, and noise; no query that the host would answer.
    const written = Buffer.concat([
      Buffer.from(Array.from({ length: 256 }, (_, value) => value)),
      Buffer.from(
        '\x1b[31mred\x1b[m\x1b]0;title\x07\x1b[?1049h\x1b[2J\x1b[?1049l\x1b]52;c;aGk=\x07\x1bPq#0\x1b\\\r\n\n\r\0\x7f\b',
      ),
      Buffer.from('\u00e9\u{1f600}').subarray(0, 5),
      randomBytes(300_000).map((byte) => (byte === 0x1b || byte === 0x9b || byte === 0x05 ? 0x20 : byte)),
    ]);
    writeFileSync(join(sidecar.homeDir, 'bytes'), written);
    const viewer = await sidecar.connect(session);
    const messages: { isBinary: boolean; first: number; isFrame: boolean }[] = [];
    viewer.socket.on('message', (data, isBinary) => {
      const bytes = Buffer.isBuffer(data) ? data : Buffer.alloc(0);
      messages.push({ isBinary, first: bytes[0] ?? 0, isFrame: decodeViewerFrame(bytes) !== null });
    });
    await viewer.attach();
    await viewer.line(
      `stty raw -echo; cat ${join(sidecar.homeDir, 'bytes')}; stty sane; printf '\\033c'; echo "over"-$?`,
    );
    await viewer.waitForText('over-0\r\n');
    expect(viewer.output.includes(written)).toBe(true);
    expect(viewer.holes).toEqual([]);
    expect(messages.filter(({ isBinary, isFrame }) => !isBinary || !isFrame)).toEqual([]);
    expect(new Set(messages.map(({ first }) => first))).toEqual(new Set([0x81, 0x82, 0x83]));
    await viewer.close();
  });

  it('W5 a frame above 64 KiB closes with 1009, one of 64 KiB does not', async () => {
    const big = await sidecar.connect(session);
    await big.attach();
    big.send(Buffer.alloc(64 * 1024 + 1, 1));
    expect((await big.closed).code).toBe(1009);

    const bytes = 64 * 1024 - 5;
    const fits = await sidecar.connect(session);
    await fits.attach();
    await fits.line(`stty raw -echo; echo rea'dy'; head -c ${bytes} | tr -d x | wc -c; stty sane`);
    const ready = await fits.waitForText('ready');
    const inputSeq = fits.inputSeq + 1;
    fits.send(encodeInput(inputSeq, Buffer.alloc(bytes, 'x')));
    await fits.waitForText('0', ready);
    await expect.poll(() => fits.receipted).toBe(inputSeq); // it may come behind the echo
    await fits.close();
    await expectUnharmed();
  });

  it('W5 a message in a thousand pieces is cut off', async () => {
    const viewer = await sidecar.connect(session);
    await viewer.attach();
    for (let i = 0; i < 1_000; i++) viewer.socket.send(Buffer.of(1), { fin: false });
    expect([1006, 1008]).toContain((await viewer.closed).code);
    await expectUnharmed();
  });
});
