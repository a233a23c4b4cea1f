import { afterEach, expect, it, vi } from 'vitest';
import { Output } from './output';

afterEach(() => {
  vi.useRealTimers();
});

it('V8 when all is drawn after the end, all of it is due to viewers, also in a flood', async () => {
  // What is gathered for the next frame waits for a timer, which the end does not wait for.
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  const heldBack = await new Promise<number>((resolve) => {
    let isFirst = true;
    const output = new Output(
      { cols: 80, rows: 24 },
      {
        reply: () => undefined,
        title: () => undefined,
        fault: () => undefined,
        pause: () => undefined,
        unwritten: () => 0,
        flush: () => {
          if (!isFirst) return;
          isFirst = false;
          output.append(Buffer.from('last words'));
          output.close();
        },
        drained: () => {
          output.keepLast();
          resolve(output.ring.end - output.due);
        },
      },
    );
    output.append(Buffer.from('a line of a flood\r\n'.repeat(1_000)));
  });
  expect(heldBack).toBe(0);
});
