/** Idle sessions on one host, each with a viewer: what one more of them costs when the screens hibernate. */
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryOf } from '../machine';
import type { Peer } from '../peers/peer';
import type { Terminal } from '../peers/terminal';
import type { Values } from '../table';
import { ready } from '../wait';
import { BOTH, type Case } from './case';

/** Screens hibernate within 10 s, after which the host collects, once in a minute (ms); the baseline has none. */
const SETTLE_MS = { naive: 1_000, holdfast: 12_000 };
const NEXT_SETTLE_MS = { naive: 1_000, holdfast: 65_000 };
const AT_ONCE = 8;

async function openUntil(peer: Peer, terminals: Terminal[], count: number): Promise<void> {
  let left = count - terminals.length;
  const work = async () => {
    while (left-- > 0) terminals.push(await ready(peer.open()));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

export const idle: Case = {
  name: 'idle',
  layout: 'one-host',
  peers: BOTH,
  needsFresh: true,
  async measure(peer, { sizes }) {
    const terminals: Terminal[] = [];
    const values: Values = {};
    const steps = [...new Set([...sizes.idleExtraSteps, ...sizes.idleSteps])].sort((a, b) => a - b);
    for (const [n, step] of steps.entries()) {
      await openUntil(peer, terminals, step);
      await sleep((n === 0 ? SETTLE_MS : NEXT_SETTLE_MS)[peer.name]);
      const path = memoryOf(peer.terminalProcesses());
      const all = memoryOf(peer.processes());
      Object.assign(values, { [`path${step}`]: path.pss, [`all${step}`]: all.pss, [`rss${step}`]: all.rss });
    }
    if (terminals.some(({ closed }) => closed)) throw new Error('an idle session was closed');
    const [small, large] = sizes.idleSteps;
    const slope = (what: string) =>
      ((values[`${what}${large}`] ?? Number.NaN) - (values[`${what}${small}`] ?? Number.NaN)) / (large - small) / 1e3;
    for (const terminal of terminals) terminal.drop();
    return { ...values, path: slope('path'), all: slope('all'), rss: slope('rss') };
  },
  rows: ({ idleSteps: [small, large] }) => {
    const range = `${small} → ${large}`;
    return [
      {
        label: `idle session, PSS, ${range} on one host, host and gateway`,
        unit: 'kB',
        value: 'path',
        beside: 'ratio',
        target: { text: '≤ 300', isReached: ({ holdfast }) => holdfast <= 300 },
      },
      { label: `idle session, PSS, ${range}, with web and launcher`, unit: 'kB', value: 'all', beside: 'ratio' },
      { label: `idle session, RSS, ${range}, with web and launcher`, unit: 'kB', value: 'rss', beside: 'ratio' },
    ];
  },
};
