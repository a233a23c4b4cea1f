import { expect, it } from 'vitest';
import { FRAME_BYTES_MAX } from '@/lib/protocol/limits';
import { giveFrameBack, takeFrame } from './frame-blocks';

it('memory of a large frame is used again once it was given back, and not before', () => {
  const frames = [takeFrame(60_000), takeFrame(FRAME_BYTES_MAX)];
  expect(frames.map(({ length }) => length)).toEqual([60_000, FRAME_BYTES_MAX]);
  expect(frames[0]?.buffer).not.toBe(frames[1]?.buffer);
  const [first] = frames;
  if (first) giveFrameBack(first);
  const [again, next] = [takeFrame(9_000), takeFrame(9_000)];
  expect(again.buffer).toBe(first?.buffer);
  expect(next.buffer).not.toBe(first?.buffer);
});

it('what is no block is not taken for one', () => {
  const small = takeFrame(100);
  const huge = takeFrame(FRAME_BYTES_MAX + 1);
  for (const frame of [small, huge, Buffer.alloc(60_000)]) giveFrameBack(frame);
  const taken = takeFrame(60_000).buffer;
  expect([small.buffer, huge.buffer]).not.toContain(taken);
  expect(taken.byteLength).toBe(FRAME_BYTES_MAX);
});

it('a browser that reads late keeps no more than some blocks waiting for the next flood', () => {
  const frames = Array.from({ length: 200 }, () => takeFrame(60_000));
  for (const frame of frames) giveFrameBack(frame);
  const known = new Set(frames.map(({ buffer }) => buffer));
  const kept = frames.map(() => takeFrame(60_000)).filter(({ buffer }) => known.has(buffer));
  expect(kept).toHaveLength(64);
});
