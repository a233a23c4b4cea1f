/** A hundred sessions print 10 MB each at once, all of them read, while somebody types in one more. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from '../load';
import { residentOf } from '../machine';
import type { Peer } from '../peers/peer';
import { percentile } from '../statistics';
import { marked, throughPty } from '../text';
import { BOTH, type Case, toMegabytes } from './case';
import { echoTimes, openEcho } from './echo';

const SAMPLE_MS = 100;

/** Samples resident memory until the load is done, and gives the highest sum (bytes). */
async function watchMemory(peer: Peer, load: Load): Promise<number> {
  let most = 0;
  while (!load.isDone) {
    most = Math.max(most, residentOf(peer.processes()));
    await sleep(SAMPLE_MS);
  }
  return most;
}

export const many: Case = {
  name: 'many',
  layout: 'usual',
  peers: BOTH,
  needsFresh: false,
  async measure(peer, { sizes }) {
    const command = marked(`cat ${sizes.manyFile}`);
    const printed = throughPty(sizes.manyFile).length;
    const echo = await openEcho(peer.open());
    const load = await Load.open({
      address: peer.address,
      sessions: sizes.manySessions,
      command,
      end: 'END-OF-RUN\r\n',
    });
    try {
      load.go();
      const memory = watchMemory(peer, load);
      const times = await echoTimes(echo, Number.POSITIVE_INFINITY, () => load.isDone);
      const { bytes, skipped, seconds, unfinished } = await load.done();
      const lost = bytes.reduce((sum, got, n) => sum + Math.max(skipped[n] ?? 0, printed - got, 0), 0);
      return {
        seconds,
        unfinished,
        lost: toMegabytes(lost),
        rss: toMegabytes(await memory),
        echo: percentile(times, 0.95),
      };
    } finally {
      await load.stop();
      echo.drop();
    }
  },
  rows: ({ manySessions }) => {
    const what = `${manySessions} × 10 MB`;
    return [
      {
        label: `${what}: lost for their readers`,
        unit: 'MB',
        value: 'lost',
        beside: 'difference',
        target: { text: '0', isReached: ({ holdfast }) => holdfast === 0 },
      },
      {
        label: `${what}: all is read`,
        unit: 's',
        value: 'seconds',
        beside: 'ratio',
        target: { text: '≤ 60', isReached: ({ holdfast }) => holdfast <= 60 },
      },
      {
        label: `${what}: RSS of all our processes at most`,
        unit: 'MB',
        value: 'rss',
        beside: 'ratio',
        target: { text: '≤ 1500', isReached: ({ holdfast }) => holdfast <= 1500 },
      },
      {
        label: `${what}: echo p95 in one more session`,
        unit: 'ms',
        value: 'echo',
        beside: 'ratio',
        target: { text: '≤ 150', isReached: ({ holdfast }) => holdfast <= 150 },
      },
    ];
  },
};
