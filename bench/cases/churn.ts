/** Sessions are created and ended again and again: nothing of them may stay. */
import { setTimeout as sleep } from 'node:timers/promises';
import { handlesOf, memoryOf } from '../machine';
import type { Peer } from '../peers/peer';
import { ready } from '../wait';
import { type Case, OURS } from './case';

const AT_ONCE = 4;
const SETTLE_MS = 3_000;
/** Cycles before the first reading, as a share of those after it: heaps grow to their size. */
const WARM_UP_SHARE = 0.2;

async function cycle(peer: Peer, count: number): Promise<void> {
  let left = count;
  const work = async () => {
    while (left-- > 0) await (await ready(peer.open())).close();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await sleep(SETTLE_MS);
}

function reading(peer: Peer): { rss: number; handles: number; ptys: number } {
  const pids = peer.processes();
  return { rss: memoryOf(pids).rss, ...handlesOf(pids) };
}

const percent = (before: number, after: number) => (before === 0 ? after * 100 : (after / before - 1) * 100);

export const churn: Case = {
  name: 'churn',
  layout: 'usual',
  peers: OURS,
  needsFresh: true,
  async measure(peer, { sizes }) {
    await cycle(peer, Math.ceil(sizes.cycles * WARM_UP_SHARE));
    const before = reading(peer);
    const startedAt = performance.now();
    await cycle(peer, sizes.cycles);
    const seconds = (performance.now() - startedAt - SETTLE_MS) / 1000;
    const after = reading(peer);
    return {
      rss: percent(before.rss, after.rss),
      handles: percent(before.handles, after.handles),
      ptys: after.ptys - before.ptys,
      perSecond: sizes.cycles / seconds,
    };
  },
  rows: ({ cycles }) => [
    {
      label: `${cycles} × create and end: RSS`,
      unit: '% more',
      value: 'rss',
      beside: 'nothing',
      target: { text: '≤ 5', isReached: ({ holdfast }) => holdfast <= 5 },
    },
    {
      label: `${cycles} × create and end: handles`,
      unit: '% more',
      value: 'handles',
      beside: 'nothing',
      target: { text: '≤ 5', isReached: ({ holdfast }) => holdfast <= 5 },
    },
    {
      label: `${cycles} × create and end: ptys`,
      unit: 'more',
      value: 'ptys',
      beside: 'nothing',
      target: { text: '0', isReached: ({ holdfast }) => holdfast <= 0 },
    },
    { label: 'create and end, four at once', unit: 'per s', value: 'perSecond', beside: 'nothing' },
  ],
};
