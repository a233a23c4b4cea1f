/** A client that is slower than its program: what the server holds for it, and what the browser has to. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RING_BYTES_MAX, WINDOW_BYTES } from '@/lib/protocol/limits';
import { peakOf, resetPeak, residentOf } from '../machine';
import type { Peer } from '../peers/peer';
import type { Terminal } from '../peers/terminal';
import { readFast, readSlowly, SlowDrawing } from '../reader';
import { ready, waitForQuiet } from '../wait';
import { BOTH, type Case, type Sizes, toMegabytes } from './case';

const SLOW_BYTES_PER_S = 1e6;
const SAMPLE_MS = 50;

const endlessLog = ({ logFile }: Sizes) => `while :; do cat ${logFile}; done\r`;

/** By how much resident memory grows at most while a terminal floods a client (bytes). */
async function growth(peer: Peer, sizes: Sizes, attend: (terminal: Terminal) => () => void): Promise<number> {
  const terminal = await ready(peer.open());
  await waitForQuiet(terminal, 800);
  const pids = peer.processes();
  resetPeak(pids);
  const before = residentOf(pids);
  const leave = attend(terminal);
  terminal.write(endlessLog(sizes));
  let most = before;
  for (const end = performance.now() + sizes.floodSeconds * 1000; performance.now() < end; await sleep(SAMPLE_MS)) {
    most = Math.max(most, residentOf(pids));
  }
  const peak = Math.max(most, peakOf(pids));
  leave();
  await terminal.close();
  return peak - before;
}

/** Memory of the server for a client that reads 1 MB/s, beside one that reads everything. */
export const slowReader: Case = {
  name: 'slow',
  layout: 'one-host',
  peers: BOTH,
  needsFresh: true,
  async measure(peer, bench) {
    const fast = await growth(peer, bench.sizes, (terminal) => {
      readFast(terminal, () => undefined);
      return () => undefined;
    });
    const fresh = await bench.restart();
    const slow = await growth(fresh, bench.sizes, (terminal) => readSlowly(terminal, SLOW_BYTES_PER_S));
    return { fast: toMegabytes(fast), slow: toMegabytes(slow) };
  },
  rows: () => [
    { label: 'server RSS growth, log, fast client', unit: 'MB', value: 'fast', beside: 'ratio' },
    {
      label: 'server RSS growth, log, client reads 1 MB/s',
      unit: 'MB',
      value: 'slow',
      beside: 'ratio',
      target: {
        text: `≤ fast + ${toMegabytes(RING_BYTES_MAX + WINDOW_BYTES).toFixed(1)} (ring + window)`,
        isReached: ({ holdfast }, { fast = 0 }) => holdfast <= fast + toMegabytes(RING_BYTES_MAX + WINDOW_BYTES),
      },
    },
  ],
};

/** What has come to a browser that draws 1 MB/s and is not drawn. */
export const backlog: Case = {
  name: 'backlog',
  layout: 'one-host',
  peers: BOTH,
  needsFresh: false,
  async measure(peer, { sizes }) {
    const terminal = await ready(peer.open());
    await waitForQuiet(terminal, 300);
    const drawing = new SlowDrawing(terminal, SLOW_BYTES_PER_S);
    terminal.write(endlessLog(sizes));
    await sleep(sizes.floodSeconds * 1000);
    drawing.stop();
    await terminal.close();
    return { backlog: drawing.backlogBytesMax / 1024 };
  },
  rows: () => [
    {
      label: 'browser backlog, log, draws 1 MB/s',
      unit: 'KiB',
      value: 'backlog',
      beside: 'ratio',
      target: {
        text: `≤ ${WINDOW_BYTES / 1024} (window)`,
        isReached: ({ holdfast }) => holdfast <= WINDOW_BYTES / 1024,
      },
    },
  ],
};
