/** From nothing to a prompt: for Holdfast the REST call that creates the session, the socket with its ticket, and attach. */
import { percentile } from '../statistics';
import { ready } from '../wait';
import { BOTH, type Case } from './case';

const WARM_UP = 3;

export const open: Case = {
  name: 'open',
  layout: 'usual',
  peers: BOTH,
  needsFresh: false,
  async measure(peer, { sizes }) {
    const times: number[] = [];
    for (let n = 0; n < sizes.opens + WARM_UP; n++) {
      const startedAt = performance.now();
      const terminal = await ready(peer.open());
      if (n >= WARM_UP) times.push(performance.now() - startedAt);
      await terminal.close();
    }
    return { p50: percentile(times, 0.5), p95: percentile(times, 0.95) };
  },
  rows: () => [
    {
      label: 'open to prompt p50',
      unit: 'ms',
      value: 'p50',
      beside: 'difference',
      target: { text: '≤ naive + 20', isReached: ({ naive, holdfast }) => holdfast <= naive + 20 },
    },
    { label: 'open to prompt p95', unit: 'ms', value: 'p95', beside: 'difference' },
  ],
};
