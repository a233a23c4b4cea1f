import { expect, it } from 'vitest';
import { WINDOW_BYTES } from '@/lib/protocol/limits';
import type { Attach } from '@/lib/protocol/wire';
import { Ring } from './ring';
import { SizeMarks } from './size-marks';
import { Viewer } from './viewer';

const HEADER_BYTES = 9;

function attached(output: Uint8Array, due: number) {
  const ring = new Ring(4 * 1024 * 1024);
  ring.append(output);
  const frames: number[] = [];
  const attach: Attach = { op: 'attach', revision: 1, client: 'a-client-of-tests', cursor: null, cols: 80, rows: 24 };
  const stream = {
    ring,
    marks: new SizeMarks(),
    due,
    snapshot: () => {
      throw new Error('nobody falls off this ring');
    },
  };
  const sink = {
    send: (...parts: Uint8Array[]) => {
      frames.push(parts.reduce((sum, { length }) => sum + length, -HEADER_BYTES));
    },
    close: () => undefined,
  };
  const viewer = new Viewer({ name: 'v1', mode: 'write', attach }, sink, stream);
  viewer.resumeAt(0);
  viewer.pump();
  return { viewer, frames, stream };
}

it('H12 V4 a viewer whose window is full gets whole frames as it ACKs, and no crumbs', () => {
  const output = new Uint8Array(1024 * 1024);
  const { viewer, frames } = attached(output, output.length);
  const [first = 0] = frames;
  expect(first).toBeGreaterThan(60 * 1024);
  expect(frames).toEqual(new Array(Math.floor(WINDOW_BYTES / first)).fill(first));
  const before = frames.length;
  for (let position = 1000; position < first / 2; position += 1000) viewer.ack(position);
  expect(frames).toHaveLength(before);
  viewer.ack(first);
  expect(frames).toHaveLength(before + 1);
  for (let sent = 0; sent < output.length; ) {
    sent = frames.reduce((sum, bytes) => sum + bytes, 0);
    viewer.ack(sent);
  }
  expect(frames.slice(0, -1).every((bytes) => bytes === first)).toBe(true);
  expect(viewer.isDrained).toBe(true);
});

it('H12 an ACK brings nothing that is still gathered for the next frame', () => {
  const { viewer, frames, stream } = attached(new Uint8Array(5000), 1000);
  expect(frames).toEqual([1000]);
  viewer.ack(1000);
  expect(frames).toEqual([1000]);
  stream.due = 5000;
  viewer.pump();
  expect(frames).toEqual([1000, 4000]);
});
