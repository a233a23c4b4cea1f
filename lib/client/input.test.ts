import { expect, test } from 'vitest';
import { INPUT_BYTES_MAX, UNRECEIPTED_BYTES_MAX } from '@/lib/protocol/limits';
import { decodeHostFrame } from '@/lib/protocol/wire';
import { InputQueue, OFFLINE_BYTES_MAX, WAITING_BYTES_MAX } from './input';

const bytes = (data: string): Uint8Array => new TextEncoder().encode(data);
const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);

/** Every frame that may be sent now, as `sequence:text`. */
function drain(queue: InputQueue): string[] {
  const frames: string[] = [];
  for (let frame = queue.next(); frame; frame = queue.next()) {
    const decoded = decodeHostFrame(frame);
    if (decoded.type !== 'input') throw new Error('not an INPUT frame');
    frames.push(`${decoded.inputSeq}:${text(decoded.data)}`);
  }
  return frames;
}

test('I1 frames are counted from 1, by one', () => {
  const queue = new InputQueue();
  queue.add(bytes('a'), true);
  expect(drain(queue)).toEqual(['1:a']);
  queue.add(bytes('b'), true);
  queue.add(bytes('c'), true);
  expect(drain(queue)).toEqual(['2:bc']);
});

test('I3 never more than 64 KiB are unreceipted, in frames of at most 16 KiB', () => {
  const queue = new InputQueue();
  const pasted = new Uint8Array(200_000).map((_, index) => index % 251);
  queue.add(pasted, true);
  const sent: number[] = [];
  let last = 0;
  let inFlight = 0;
  for (;;) {
    const frame = queue.next();
    if (!frame) {
      expect(inFlight).toBeLessThanOrEqual(UNRECEIPTED_BYTES_MAX);
      if (inFlight === 0) break;
      queue.receipt(last);
      inFlight = 0;
      continue;
    }
    const decoded = decodeHostFrame(frame);
    if (decoded.type !== 'input') throw new Error('not an INPUT frame');
    expect(decoded.data.length).toBeLessThanOrEqual(INPUT_BYTES_MAX);
    last = decoded.inputSeq;
    inFlight += decoded.data.length;
    sent.push(...decoded.data);
  }
  expect(Uint8Array.from(sent)).toEqual(pasted);
});

test('I3 a receipt makes room for what waits', () => {
  const queue = new InputQueue();
  queue.add(new Uint8Array(UNRECEIPTED_BYTES_MAX), true);
  queue.add(bytes('later'), true);
  expect(drain(queue)).toHaveLength(4);
  expect(drain(queue)).toEqual([]);
  queue.receipt(1);
  expect(drain(queue)).toEqual(['5:later']);
});

test('C3 after a short break, frames that the host accepted are not sent again, the others once', () => {
  const queue = new InputQueue();
  for (const key of ['a', 'b', 'c']) {
    queue.add(bytes(key), true);
    drain(queue);
  }
  queue.add(bytes('d'), false);
  queue.resume({ inputSeq: 2, isSameStream: true, mayResend: true });
  expect(drain(queue)).toEqual(['3:c', '4:d']);
  expect(queue.unsent).toBeNull();
});

test('C3 frames that are accepted but not yet written still count as unreceipted', () => {
  const queue = new InputQueue();
  queue.add(new Uint8Array(UNRECEIPTED_BYTES_MAX), true);
  expect(drain(queue)).toHaveLength(4);
  queue.resume({ inputSeq: 4, isSameStream: true, mayResend: true });
  queue.add(bytes('x'), true);
  expect(drain(queue)).toEqual([]);
  queue.receipt(4);
  expect(drain(queue)).toEqual(['5:x']);
});

test('C3 after a long break nothing old is sent until the user says so', () => {
  const queue = new InputQueue();
  queue.add(bytes('rm '), true);
  drain(queue);
  queue.add(bytes('-rf x\r'), false);
  queue.resume({ inputSeq: 0, isSameStream: true, mayResend: false });
  expect(drain(queue)).toEqual([]);
  expect(text(queue.unsent)).toBe('rm -rf x\r');
  queue.add(bytes('ls'), true);
  expect(drain(queue)).toEqual(['1:ls']);
  queue.sendUnsent();
  expect(drain(queue)).toEqual(['2:rm -rf x\r']);
  expect(queue.unsent).toBeNull();
});

test('C3 unsent input can be thrown away', () => {
  const queue = new InputQueue();
  queue.add(bytes('old'), false);
  queue.resume({ inputSeq: 0, isSameStream: true, mayResend: false });
  queue.discardUnsent();
  expect(queue.unsent).toBeNull();
  expect(drain(queue)).toEqual([]);
});

test('C3 after a restart of the session nothing old is sent, and counting starts anew', () => {
  const queue = new InputQueue();
  queue.add(bytes('a'), true);
  drain(queue);
  queue.receipt(1);
  queue.add(bytes('b'), true);
  drain(queue);
  queue.resume({ inputSeq: 0, isSameStream: false, mayResend: true });
  expect(text(queue.unsent)).toBe('b');
  queue.add(bytes('c'), true);
  expect(drain(queue)).toEqual(['1:c']);
});

test('C3 a host that has forgotten this client gets nothing twice', () => {
  const queue = new InputQueue();
  queue.add(bytes('a'), true);
  drain(queue);
  queue.receipt(1);
  queue.add(bytes('b'), true);
  drain(queue);
  queue.resume({ inputSeq: 0, isSameStream: true, mayResend: true });
  expect(drain(queue)).toEqual([]);
  expect(text(queue.unsent)).toBe('b');
});

test('C3 typing without a connection is kept up to 4 KiB, a paste up to 8 MiB', () => {
  const queue = new InputQueue();
  expect(queue.add(new Uint8Array(OFFLINE_BYTES_MAX), false)).toBe(true);
  expect(queue.add(bytes('x'), false)).toBe(false);
  expect(queue.add(new Uint8Array(WAITING_BYTES_MAX - OFFLINE_BYTES_MAX), true)).toBe(true);
  expect(queue.add(bytes('x'), true)).toBe(false);
});
