import { expect, it } from 'vitest';
import { endReasonSchema } from '@/lib/protocol/wire';
import { causeOfLoss, describeEnding, isFailedExit, isLoss } from './endings';

it('C14 the end of a program is told by its code or its signal', () => {
  expect(describeEnding({ code: 3, signal: 0, reason: 'exited' })).toEqual({
    word: 'exit 3',
    sentence: 'Exited with code 3.',
  });
  expect(describeEnding({ code: 0, signal: 9 }).sentence).toBe('Ended by SIGKILL.');
  expect(describeEnding({ code: 0, signal: 42 }).word).toBe('signal 42');
  expect(describeEnding(null).word).toBe('ended');
});

it('C14 every reason has a sentence of its own, and a loss says that it is one', () => {
  const sentences = endReasonSchema.options.map((reason) => describeEnding({ code: -1, signal: 0, reason }).sentence);
  expect(new Set(sentences).size).toBe(endReasonSchema.options.length);
  for (const reason of endReasonSchema.options) {
    const exit = { code: -1, signal: 0, reason };
    expect(describeEnding(exit).sentence.startsWith('Lost:')).toBe(isLoss(exit));
  }
  expect(causeOfLoss({ code: -1, signal: 0, reason: 'reboot' })).toBe('the machine was started again');
  expect(causeOfLoss({ code: -1, signal: 0 })).toBe('the terminal host is gone');
  expect(causeOfLoss(null)).toBe(causeOfLoss({ code: 0, signal: 1, reason: 'idle' }));
});

it('C14 only a program that ended by itself can have failed', () => {
  expect(isFailedExit({ code: 1, signal: 0 })).toBe(true);
  expect(isFailedExit({ code: 0, signal: 11, reason: 'exited' })).toBe(true);
  expect(isFailedExit({ code: 0, signal: 0, reason: 'exited' })).toBe(false);
  expect(isFailedExit({ code: 0, signal: 1, reason: 'idle' })).toBe(false);
  expect(isFailedExit({ code: -1, signal: 0, reason: 'oom' })).toBe(false);
});
