import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AppError } from './errors';
import {
  type Control,
  decodeHostFrame,
  decodeViewerFrame,
  type Event,
  encodeAck,
  encodeControl,
  encodeEvent,
  encodeInput,
  encodeOutput,
  encodeSnapshot,
  type HostFrame,
  type ViewerFrame,
} from './wire';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const control = (message: Control): HostFrame => ({ type: 'control', message });
const event = (message: Event): ViewerFrame => ({ type: 'event', message });

/** The session of `wire.golden`, line by line. */
const SESSION: ({ to: 'host'; frame: HostFrame } | { to: 'viewer'; frame: ViewerFrame })[] = [
  {
    to: 'host',
    frame: control({
      op: 'attach',
      revision: 1,
      client: 'q3Zk0sX2cT9hYbW1mE7rDw',
      cursor: null,
      cols: 80,
      rows: 24,
      cell: { width: 7.8125, height: 17 },
      colours: { foreground: '#d7dae0', background: '#0d1014', cursor: '#7aa2f7' },
    }),
  },
  {
    to: 'viewer',
    frame: event({
      event: 'attached',
      revision: 1,
      epoch: 1,
      position: 18,
      inputSeq: 0,
      status: 'active',
      mode: 'write',
      window: 262144,
      viewer: 'v1',
      driver: 'v1',
      cols: 80,
      rows: 24,
    }),
  },
  {
    to: 'viewer',
    frame: { type: 'snapshot', position: 18, cols: 80, rows: 24, data: utf8('\x1b[32mme@box\x1b[0m:~$ ') },
  },
  { to: 'host', frame: { type: 'ack', position: 18 } },
  {
    to: 'viewer',
    frame: event({
      event: 'viewers',
      count: 1,
      driver: 'v1',
      list: [{ viewer: 'v1', mode: 'write', cols: 80, rows: 24 }],
    }),
  },
  { to: 'host', frame: { type: 'input', inputSeq: 1, data: utf8('echo héé\r') } },
  { to: 'viewer', frame: event({ event: 'receipt', inputSeq: 1 }) },
  { to: 'viewer', frame: { type: 'output', position: 18, data: utf8('echo héé\r\nhéé\r\n') } },
  { to: 'host', frame: { type: 'ack', position: 37 } },
  { to: 'host', frame: { type: 'input', inputSeq: 2, data: Uint8Array.of(0x00, 0x03, 0x1b, 0x7f, 0x80, 0xff) } },
  { to: 'host', frame: control({ op: 'resize', cols: 132, rows: 43 }) },
  { to: 'viewer', frame: event({ event: 'resized', cols: 132, rows: 43, position: 37 }) },
  { to: 'host', frame: control({ op: 'ping', t: 1234.5 }) },
  { to: 'viewer', frame: event({ event: 'pong', t: 1234.5, gateway: 0.2, host: 0.1 }) },
  { to: 'viewer', frame: event({ event: 'title', text: 'vim — notes.md' }) },
  { to: 'viewer', frame: event({ event: 'cwd', path: '/home/me/project' }) },
  { to: 'host', frame: control({ op: 'take' }) },
  { to: 'host', frame: control({ op: 'signal', name: 'INT' }) },
  { to: 'viewer', frame: event({ event: 'idle', endsAt: 1800000000000 }) },
  { to: 'host', frame: control({ op: 'keep' }) },
  { to: 'viewer', frame: event({ event: 'error', code: 'forbidden', message: 'This viewer may only read.' }) },
  { to: 'viewer', frame: event({ event: 'gap', from: 37, to: 4294967301 }) },
  { to: 'viewer', frame: { type: 'snapshot', position: 4294967301, cols: 132, rows: 43, data: utf8('') } },
  { to: 'host', frame: { type: 'ack', position: 4294967301 } },
  {
    to: 'host',
    frame: control({
      op: 'attach',
      revision: 1,
      client: 'q3Zk0sX2cT9hYbW1mE7rDw',
      cursor: { epoch: 1, position: 4294967301 },
      cols: 132,
      rows: 43,
    }),
  },
  { to: 'viewer', frame: { type: 'output', position: Number.MAX_SAFE_INTEGER, data: utf8('$') } },
  { to: 'viewer', frame: event({ event: 'exit', code: 130, signal: 0 }) },
];

function encode(line: (typeof SESSION)[number]): Uint8Array {
  const { frame } = line;
  switch (frame.type) {
    case 'input':
      return encodeInput(frame.inputSeq, frame.data);
    case 'ack':
      return encodeAck(frame.position);
    case 'control':
      return encodeControl(frame.message);
    case 'output':
      return encodeOutput(frame.position, frame.data);
    case 'snapshot':
      return encodeSnapshot(frame.position, frame, frame.data);
    case 'event':
      return encodeEvent(frame.message);
  }
}

const golden = readFileSync(new URL('./wire.golden', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [arrow, hex = ''] = line.split(';')[0]?.trim().split(/ (.*)/) ?? [];
    return {
      to: arrow === '>' ? 'host' : 'viewer',
      bytes: new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex')),
    };
  });

test('W6 the encoders give the example transcript byte for byte', () => {
  expect(SESSION.map((line) => ({ to: line.to, bytes: new Uint8Array(encode(line)) }))).toEqual(golden);
});

test('W6 the decoders take the example transcript', () => {
  const decoded = golden.map(({ to, bytes }) =>
    to === 'host' ? { to, frame: decodeHostFrame(bytes) } : { to, frame: decodeViewerFrame(bytes) },
  );
  expect(decoded).toEqual(SESSION);
});

const malformed: [string, () => unknown][] = [
  ['an empty frame to the host', () => decodeHostFrame(new Uint8Array())],
  ['an empty frame to a viewer', () => decodeViewerFrame(new Uint8Array())],
  ['a type of the other direction, to the host', () => decodeHostFrame(encodeOutput(1, utf8('x')))],
  ['a type of the other direction, to a viewer', () => decodeViewerFrame(encodeInput(1, utf8('x')))],
  ['an unknown type', () => decodeHostFrame(Uint8Array.of(0x7f))],
  ['a short INPUT', () => decodeHostFrame(Uint8Array.of(0x01, 0, 0, 0))],
  ['an INPUT with sequence 0', () => decodeHostFrame(encodeInput(0, utf8('x')))],
  ['a short ACK', () => decodeHostFrame(encodeAck(1).subarray(0, 8))],
  ['a long ACK', () => decodeHostFrame(Uint8Array.of(...encodeAck(1), 0))],
  ['a short OUTPUT', () => decodeViewerFrame(encodeOutput(1).subarray(0, 8))],
  ['a short SNAPSHOT', () => decodeViewerFrame(encodeSnapshot(1, { cols: 80, rows: 24 }, utf8('')).subarray(0, 12))],
  ['CONTROL that is not JSON', () => decodeHostFrame(Uint8Array.of(0x03, 0x7b))],
  ['CONTROL that is not UTF-8', () => decodeHostFrame(Uint8Array.of(0x03, 0x22, 0xff, 0x22))],
  ['an unknown op', () => decodeHostFrame(Uint8Array.of(0x03, ...utf8('{"op":"sudo"}')))],
  ['65536 cols', () => decodeHostFrame(Uint8Array.of(0x03, ...utf8('{"op":"resize","cols":65536,"rows":24}')))],
  ['cols as text', () => decodeHostFrame(Uint8Array.of(0x03, ...utf8('{"op":"resize","cols":"80","rows":24}')))],
  ['a known event without its fields', () => decodeViewerFrame(Uint8Array.of(0x83, ...utf8('{"event":"exit"}')))],
  ['an EVENT without a name', () => decodeViewerFrame(Uint8Array.of(0x83, ...utf8('{}')))],
];

test.each(malformed)('W2 %s is malformed', (_name, decode) => {
  expect(decode).toThrow(expect.objectContaining({ code: 'bad_request', details: { reason: 'malformed_frame' } }));
  expect(decode).toThrow(AppError);
});

test('W3 positions up to 2^53 - 1 pass, and the next one is malformed', () => {
  const frame = encodeAck(Number.MAX_SAFE_INTEGER);
  expect([...frame]).toEqual([0x02, 0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  expect(decodeHostFrame(frame)).toEqual({ type: 'ack', position: Number.MAX_SAFE_INTEGER });
  expect(() => decodeHostFrame(Uint8Array.of(0x02, 0x00, 0x20, 0, 0, 0, 0, 0, 0))).toThrow(AppError);
});

test('W3 a frame that is a view into a larger buffer is read at its own offset', () => {
  const inside = Uint8Array.of(9, 9, 9, ...encodeOutput(258, utf8('ab')), 9).subarray(3, 14);
  expect(decodeViewerFrame(inside)).toEqual({ type: 'output', position: 258, data: utf8('ab') });
});

test('W4 an unknown event is null for a client, and unknown fields of an op are dropped', () => {
  expect(decodeViewerFrame(Uint8Array.of(0x83, ...utf8('{"event":"fireworks","n":1}')))).toBeNull();
  expect(decodeHostFrame(Uint8Array.of(0x03, ...utf8('{"op":"take","later":true}')))).toEqual(control({ op: 'take' }));
});
