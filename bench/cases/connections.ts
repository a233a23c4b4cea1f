/** A thousand sockets that come at once, ten for each session: how long that takes, and what one of them costs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryOf } from '../machine';
import type { Terminal } from '../peers/terminal';
import { percentile } from '../statistics';
import { ready } from '../wait';
import { type Case, OURS } from './case';

const VIEWERS_PER_SESSION = 10;
const SETTLE_MS = 12_000;
const DEADLINE_MS = 60_000;

/** Resolves with the time of the first frame that shows something. */
function shown(terminal: Terminal): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no screen after ${DEADLINE_MS} ms`)), DEADLINE_MS);
    terminal.onClose = (reason) => reject(new Error(reason));
    terminal.onData = () => {
      clearTimeout(timer);
      resolve(performance.now());
    };
  });
}

export const connections: Case = {
  name: 'connections',
  layout: 'usual',
  peers: OURS,
  needsFresh: true,
  async measure(peer, { sizes }) {
    const ids: string[] = [];
    for (let n = 0; n < sizes.connections / VIEWERS_PER_SESSION; n++) {
      const terminal = await ready(peer.open());
      terminal.drop();
      if (terminal.id !== null) ids.push(terminal.id);
    }
    await sleep(SETTLE_MS);
    const before = memoryOf(peer.terminalProcesses());
    const startedAt = performance.now();
    const terminals: Terminal[] = [];
    const times = await Promise.all(
      Array.from({ length: sizes.connections }, async (_, n) => {
        const terminal = await peer.attach(ids[n % ids.length] ?? '');
        terminals.push(terminal);
        return (await shown(terminal)) - startedAt;
      }),
    );
    await sleep(SETTLE_MS);
    const after = memoryOf(peer.terminalProcesses());
    for (const terminal of terminals) terminal.drop();
    return {
      storm: Math.max(...times) / 1000,
      p50: percentile(times, 0.5) / 1000,
      each: (after.pss - before.pss) / sizes.connections / 1024,
    };
  },
  rows: ({ connections: count }) => [
    {
      label: `${count} connections: gateway and hosts, PSS for each`,
      unit: 'KiB',
      value: 'each',
      beside: 'nothing',
      target: { text: '≤ 64', isReached: ({ holdfast }) => holdfast <= 64 },
    },
    {
      label: `${count} connections at once: until the last has its screen`,
      unit: 's',
      value: 'storm',
      beside: 'nothing',
    },
  ],
};
