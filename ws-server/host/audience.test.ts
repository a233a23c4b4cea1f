import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Attach, decodeViewerFrame } from '@/lib/protocol/wire';
import { Audience } from './audience';
import { Ring } from './ring';
import { SizeMarks } from './size-marks';
import { Viewer } from './viewer';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A session's audience, and the lengths of the lists that its first viewer was told. */
function gathering() {
  const audience = new Audience(() => undefined);
  const told: number[] = [];
  const stream = {
    ring: new Ring(64 * 1024),
    marks: new SizeMarks(),
    due: 0,
    snapshot: () => {
      throw new Error('nobody asks for a snapshot');
    },
  };
  const come = (index: number) => {
    const attach: Attach = { op: 'attach', revision: 1, client: `client-${index}`, cursor: null, cols: 80, rows: 24 };
    const sink = {
      send: (...parts: Uint8Array[]) => {
        const frame = index === 0 ? decodeViewerFrame(new Uint8Array(Buffer.concat(parts))) : null;
        if (frame?.type === 'event' && frame.message.event === 'viewers') told.push(frame.message.list.length);
      },
      close: () => undefined,
    };
    const viewer = new Viewer({ name: `v${index}`, mode: 'write', attach }, sink, stream);
    audience.add(viewer);
    audience.tell();
    return viewer;
  };
  return { audience, told, come };
}

it('V11 one viewer more, or one less, is told at once', () => {
  const { audience, told, come } = gathering();
  come(0);
  vi.advanceTimersByTime(1_000);
  const second = come(1);
  expect(told).toEqual([1, 2]);
  vi.advanceTimersByTime(1_000);
  audience.remove(second);
  audience.tell();
  expect(told).toEqual([1, 2, 1]);
});

it('V11 viewers that come all at once are told of together, and the last list has them all', () => {
  const { told, come } = gathering();
  for (let index = 0; index < 50; index += 1) come(index);
  expect(told).toEqual([1]);
  vi.advanceTimersByTime(2_000);
  expect(told.at(-1)).toBe(50);
  expect(told.length).toBeLessThanOrEqual(3);
});

it('V11 nobody is told anything after the end', () => {
  const { audience, told, come } = gathering();
  for (let index = 0; index < 3; index += 1) come(index);
  audience.clear();
  vi.advanceTimersByTime(2_000);
  expect(told).toEqual([1]);
  expect(vi.getTimerCount()).toBe(0);
});
