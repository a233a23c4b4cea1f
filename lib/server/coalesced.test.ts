import { expect, it } from 'vitest';
import { Coalesced } from './coalesced';

it('runs one at a time, and everybody who asks meanwhile shares one more run', async () => {
  const coalesced = new Coalesced();
  const log: string[] = [];
  let finish = () => {};
  const first = coalesced.run('key', async () => {
    log.push('first begins');
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    log.push('first ends');
  });
  const others = Array.from({ length: 5 }, () => coalesced.run('key', async () => void log.push('second')));
  await coalesced.run('other key', async () => void log.push('other'));
  finish();
  await Promise.all([first, ...others]);
  await coalesced.run('key', async () => void log.push('third'));
  expect(log).toEqual(['first begins', 'other', 'first ends', 'second', 'third']);
});

it('a failure reaches those who asked for that run, and nobody else', async () => {
  const coalesced = new Coalesced();
  const failing = coalesced.run('key', () => Promise.reject(new Error('no')));
  const next = coalesced.run('key', async () => {});
  await expect(failing).rejects.toThrow('no');
  await expect(next).resolves.toBeUndefined();
});
