import { expect, it } from 'vitest';
import type { EndReason } from '@/lib/protocol/wire';
import { lossNotice } from './loss-notice';

function lost(number: number, tabName: string, reason?: EndReason) {
  const exit = reason && { code: -1, signal: 0, at: 0, reason };
  return { id: `session_1_0000000${number}`, epoch: 1, tabName, ...(exit && { exit }) };
}

it('P11 one notice names all terminals that were lost, by their causes', () => {
  const notice = lossNotice([lost(1, 'Shell', 'host-crash'), lost(2, 'Build'), lost(3, 'Api', 'host-crash')], []);
  expect(notice?.title).toBe('3 terminals were lost');
  expect(notice?.description).toBe('Shell, Api: the terminal host crashed. Build: the terminal host is gone.');
  expect(notice?.otherId).toBe('session_1_00000001');
});

it('P11 the notice leads to a terminal that is not in front, or nowhere', () => {
  const both = [lost(1, 'Shell', 'oom'), lost(2, 'Build', 'oom')];
  expect(lossNotice(both, [], 'session_1_00000001')?.otherId).toBe('session_1_00000002');
  expect(lossNotice(both.slice(0, 1), [], 'session_1_00000001')?.otherId).toBeNull();
});

it('P11 each loss is told once, and again when the restarted terminal is lost too', () => {
  const first = lossNotice([lost(1, 'Shell', 'reboot')], []);
  expect(lossNotice([lost(1, 'Shell', 'reboot')], first?.told ?? [])).toBeNull();
  const both = lossNotice([lost(1, 'Shell', 'reboot'), lost(2, 'Build', 'oom')], first?.told ?? []);
  expect(both?.description).toMatch(/^Build: /);
  expect(lossNotice([{ ...lost(1, 'Shell', 'reboot'), epoch: 2 }], both?.told ?? [])).not.toBeNull();
  expect(lossNotice([], [])).toBeNull();
});

it('P11 a long list is cut, and so is what is remembered', () => {
  const many = Array.from({ length: 9 }, (_, index) => lost(index, `T${index}`, 'oom'));
  expect(lossNotice(many, [])?.description).toBe(
    'T0, T1, T2, T3 and 5 more: memory ran out, and the system ended the terminal host.',
  );
  const told = Array.from({ length: 500 }, (_, index) => `session ${index}`);
  expect(lossNotice(many, told)?.told).toHaveLength(200);
});
