import { describe, expect, it, vi } from 'vitest';
import { newId } from '@/lib/protocol/ids';
import { TICKET_TTL_MS } from '@/lib/protocol/limits';
import { signTicket } from '@/lib/ticket';
import { Tickets } from './tickets';

const KEY = 'k'.repeat(43);
const session = newId('session');
const origin = 'http://127.0.0.1:4110';
const use = { session, origin };

function claims(changes: Partial<Parameters<typeof signTicket>[0]> = {}) {
  return { sub: 'local', sid: 's', session, epoch: 1, mode: 'write' as const, origin, aud: 'gateway-1', ...changes };
}

function tickets(options: { now?: () => number; usedMax?: number } = {}) {
  return new Tickets({ key: KEY, instanceId: 'gateway-1', ...options });
}

describe('Tickets', () => {
  it('G3 a ticket opens one socket, once', () => {
    const gate = tickets();
    const ticket = signTicket(claims(), KEY);
    expect(gate.redeem(ticket, use)).toMatchObject({ sub: 'local', session, mode: 'write' });
    expect(gate.redeem(ticket, use)).toBeNull();
    expect(gate.redeem(signTicket(claims(), KEY), use)).not.toBeNull();
  });

  it('G2 a ticket for another session, origin or gateway is refused and stays unused', () => {
    const gate = tickets();
    const ticket = signTicket(claims(), KEY);
    expect(gate.redeem(ticket, { session: newId('session'), origin })).toBeNull();
    expect(gate.redeem(ticket, { session, origin: 'http://localhost:4110' })).toBeNull();
    expect(gate.redeem(ticket, { session, origin: null })).toBeNull();
    expect(new Tickets({ key: KEY, instanceId: 'gateway-2' }).redeem(ticket, use)).toBeNull();
    expect(gate.redeem(ticket, use)).not.toBeNull();
  });

  it('G2 a ticket without an origin opens no socket that has one', () => {
    const gate = tickets();
    const ticket = signTicket(claims({ origin: null }), KEY);
    expect(gate.redeem(ticket, use)).toBeNull();
    expect(gate.redeem(ticket, { session, origin: null })).not.toBeNull();
  });

  it('G2 an expired ticket, one from the future and one with another key are refused', () => {
    const gate = tickets();
    expect(gate.redeem(signTicket(claims(), KEY, Date.now() - TICKET_TTL_MS - 1), use)).toBeNull();
    expect(gate.redeem(signTicket(claims(), KEY, Date.now() + 3_600_000), use)).toBeNull();
    expect(gate.redeem(signTicket(claims(), 'x'.repeat(43)), use)).toBeNull();
  });

  it('G2 text that is no ticket is refused', () => {
    const gate = tickets();
    const [payload, signature] = signTicket(claims(), KEY).split('.');
    for (const text of [
      '',
      '.',
      'a.b',
      payload,
      `${payload}.`,
      `.${signature}`,
      `${payload}.${signature}.x`,
      'a'.repeat(9000),
    ]) {
      expect(gate.redeem(text ?? '', use)).toBeNull();
    }
  });

  it('G3 used tickets are forgotten only when they are long invalid, and never to make room', () => {
    let now = 0;
    const gate = tickets({ now: () => now, usedMax: 2 });
    const first = signTicket(claims(), KEY);
    expect(gate.redeem(first, use)).not.toBeNull();
    now = 30_000;
    expect(gate.redeem(signTicket(claims(), KEY), use)).not.toBeNull();
    expect(gate.redeem(signTicket(claims(), KEY), use)).toBeNull();
    expect(gate.redeem(first, use)).toBeNull();
    now = 60_001;
    expect(gate.redeem(signTicket(claims(), KEY), use)).not.toBeNull();
  });
});

it('G2 a revocation also refuses tickets that were signed before it, and no others', () => {
  const gate = tickets();
  const now = Date.now();
  const [before, other, after] = [
    signTicket(claims({ sid: 'one' }), KEY, now - 1_000),
    signTicket(claims({ sid: 'two' }), KEY, now - 1_000),
    signTicket(claims({ sid: 'one' }), KEY, now + 5),
  ];
  gate.revoke({ sid: 'one' });
  expect(gate.redeem(before, use)).toBeNull();
  expect(gate.redeem(other, use)?.sid).toBe('two');
  vi.useFakeTimers({ now: now + 10 });
  expect(gate.redeem(after, use)?.sid).toBe('one');
  vi.useRealTimers();
});
