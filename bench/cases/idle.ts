/** Idle sessions on one host, each with a viewer: what one more of them costs when the screens hibernate. */
import { memoryOf } from '../machine';
import type { Peer } from '../peers/peer';
import type { Terminal } from '../peers/terminal';
import type { Values } from '../table';
import { ready } from '../wait';
import { BOTH, type Case } from './case';

/** Opened and closed before: code that is compiled and a heap that has grown once are no cost of one more session. */
const WARM_UP = 100;
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
    await openUntil(peer, terminals, Math.min(WARM_UP, sizes.idleSteps[1]));
    for (const terminal of terminals.splice(0)) await terminal.close();
    const steps = [...new Set([...sizes.idleExtraSteps, ...sizes.idleSteps])].sort((a, b) => a - b);
    for (const step of steps) {
      await openUntil(peer, terminals, step);
      await peer.atRest(step);
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
