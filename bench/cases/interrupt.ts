/** Ctrl-C while a terminal floods a client that draws 5 MB/s: the time until the prompt is drawn. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SlowDrawing } from '../reader';
import { PROMPT } from '../text';
import { Finder, ready, waitForQuiet } from '../wait';
import { BOTH, type Case, type Sizes } from './case';

const DRAWN_BYTES_PER_S = 5e6;
const FLOOD_MS = 3_000;

function interruptCase(kind: 'yes' | 'log', command: (sizes: Sizes) => string): Case {
  return {
    name: `ctrl-c-${kind}`,
    layout: 'one-host',
    peers: BOTH,
    needsFresh: false,
    async measure(peer, { sizes }) {
      const terminal = await ready(peer.open());
      await waitForQuiet(terminal, 300);
      const drawing = new SlowDrawing(terminal, DRAWN_BYTES_PER_S);
      terminal.write(`${command(sizes)}\r`);
      await sleep(FLOOD_MS);
      const finder = new Finder(PROMPT.trimEnd());
      const startedAt = performance.now();
      const time = await new Promise<number>((resolve) => {
        const timer = setTimeout(() => resolve(sizes.drawSecondsMax * 1000), sizes.drawSecondsMax * 1000);
        drawing.onDrawn = (chunk) => {
          if (!finder.push(chunk)) return;
          clearTimeout(timer);
          resolve(performance.now() - startedAt);
        };
        terminal.write('\x03');
      });
      drawing.stop();
      await terminal.close();
      return { time };
    },
    rows: ({ drawSecondsMax }) => [
      {
        label: `Ctrl-C to prompt, ${kind}, draws 5 MB/s (${drawSecondsMax * 1000}: not in time)`,
        unit: 'ms',
        value: 'time',
        beside: 'ratio',
        target: { text: '≤ 100', isReached: ({ holdfast }) => holdfast <= 100 },
      },
    ],
  };
}

export const interruptYes = interruptCase('yes', () => 'yes');
export const interruptLog = interruptCase('log', ({ logFile }) => `cat ${`${logFile} `.repeat(20)}`);
