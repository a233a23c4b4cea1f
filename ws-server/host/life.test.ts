import { expect, it } from 'vitest';
import { sessionStateSchema } from '@/lib/protocol/control';
import { Life } from './life';

const STATES = sessionStateSchema.options;
type State = (typeof STATES)[number];

/** The shortest ways to each state. */
const WAYS: Record<State, State[]> = {
  creating: [],
  active: ['active'],
  inactive: ['active', 'inactive'],
  terminating: ['active', 'terminating'],
  ended: ['active', 'terminating', 'ended'],
  error: ['error'],
};
const ALLOWED = [
  'creating active',
  'creating error',
  'active inactive',
  'active terminating',
  'inactive active',
  'inactive terminating',
  'terminating ended',
];

function go(life: Life, state: State): void {
  if (state === 'terminating') life.terminate('closed');
  else life.become(state);
}

it('T1 a state follows only one that it may follow; anything else throws and changes nothing', () => {
  for (const from of STATES) {
    for (const to of STATES) {
      const life = new Life();
      for (const state of WAYS[from]) go(life, state);
      const reason = life.reason;
      if (ALLOWED.includes(`${from} ${to}`)) {
        go(life, to);
        expect(life.state).toBe(to);
      } else {
        expect(() => go(life, to), `${from} ${to}`).toThrow(`a session that is ${from} cannot become ${to}`);
        expect([life.state, life.reason]).toEqual([from, reason]);
      }
    }
  }
});

it('T2 the first reason of an end stays', () => {
  const life = new Life();
  life.become('active');
  life.terminate('idle');
  expect(() => life.terminate('closed')).toThrow();
  life.become('ended');
  expect(life.reason).toBe('idle');
});
