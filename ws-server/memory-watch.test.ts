import { expect, it } from 'vitest';
import { createLog } from '@/lib/log';
import type { LiveSession } from '@/lib/protocol/control';
import { newId } from '@/lib/protocol/ids';
import { liveSession } from '@/tests/harness/scripted-host';
import type { CallArgs } from './link';
import { MemoryWatch, memoryOf } from './memory-watch';

const MB = 1024 * 1024;
const log = createLog('test', 'error');
log.level = 'silent';

/** A watch over hosts that need 200 MB, and give back at each stage what `gives` says. */
function watchOver(gives: Record<string, number>, sessions: LiveSession[] = [], bare: string[] = []) {
  let bytes = 200 * MB;
  const calls: CallArgs<'shed'>[] = [];
  const watch = new MemoryWatch({
    bytesMax: 100 * MB,
    intervalMs: 1,
    settleMs: 0,
    measure: async () => bytes,
    sessions: () => sessions,
    shed: async (args) => {
      calls.push(args);
      const freedBytes = gives[args.stage] ?? 0;
      bytes -= freedBytes;
      return { freedBytes, bare: args.stage === 'look' ? bare : [], ended: args.stage === 'end' ? args.ids : [] };
    },
    log,
  });
  return { watch, stages: () => calls.map(({ stage }) => stage), calls, need: (more: number) => (bytes = more) };
}

it.each([
  ['caches', ['caches']],
  ['scrollback', ['caches', 'scrollback']],
  ['viewers', ['caches', 'scrollback', 'viewers']],
])('T17 giving memory back stops with %s when that is enough, and nobody is refused', async (enough, expected) => {
  const { watch, stages } = watchOver({ [enough]: 150 * MB });
  await watch.check();
  expect(stages()).toEqual(expected);
  expect(watch.isShort).toBe(false);
  watch.refuseIfShort();
  await watch.check();
  expect(stages()).toEqual(expected);
});

it('T18 what is not enough refuses new sessions until there is memory again', async () => {
  const { watch, stages, need } = watchOver({});
  await watch.check();
  expect(stages()).toEqual(['caches', 'scrollback', 'viewers', 'look']);
  expect(() => watch.refuseIfShort()).toThrow(
    expect.objectContaining({ code: 'no_capacity', details: expect.objectContaining({ reason: 'memory' }) }),
  );
  need(99 * MB);
  await watch.check();
  watch.refuseIfShort();
});

it('T19 bare idle sessions end oldest first, five at a time, only as many as it takes, and the newest five stay', async () => {
  const sessions = Array.from({ length: 20 }, (_, n) =>
    liveSession({ id: newId('session'), lastActivity: 1_000 + ((n * 7) % 20) }),
  );
  const bare = sessions.slice(0, 18);
  const oldest = bare.sort((a, b) => a.lastActivity - b.lastActivity).map(({ id }) => id);
  const some = watchOver({ end: 60 * MB }, sessions, oldest);
  await some.watch.check();
  const ended = (calls: CallArgs<'shed'>[]) => calls.filter(({ stage }) => stage === 'end').map(({ ids }) => ids);
  expect(ended(some.calls)).toEqual([oldest.slice(0, 5), oldest.slice(5, 10)]);
  expect(some.watch.isShort).toBe(false);
  const all = watchOver({}, sessions, oldest);
  await all.watch.check();
  expect(ended(all.calls).flat()).toEqual(oldest.slice(0, 13));
});

it('T17 memory is what ends with our processes', async () => {
  const own = await memoryOf([process.pid]);
  expect(own).toBeGreaterThan(10 * MB);
  expect(own).toBeLessThanOrEqual(process.memoryUsage.rss() * 1.2);
  expect(await memoryOf([2 ** 22 + 1])).toBe(0);
});
