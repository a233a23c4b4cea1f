/** One byte to a terminal, and the time until its echo is back: idle, and while a neighbour floods. The echo is the tty's own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from '../load';
import type { Layout, Peer } from '../peers/peer';
import type { Terminal } from '../peers/terminal';
import { percentile } from '../statistics';
import type { Row } from '../table';
import { ready, waitForQuiet, waitForText } from '../wait';
import { BOTH, type Case } from './case';

const WARM_UP = 50;
const ECHO_DEADLINE_MS = 5_000;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const READY = "printf 're''ady'; cat\r";

/** Opens a terminal that echoes and waits until it is quiet. */
export async function openEcho(opening: Promise<Terminal>): Promise<Terminal> {
  const terminal = await ready(opening);
  const started = waitForText(terminal, 'ready');
  terminal.write(READY);
  await started;
  await waitForQuiet(terminal, 200);
  return terminal;
}

/** Milliseconds from key to echo, as many as wanted or until `isOver`; a lost echo counts as the deadline. */
export async function echoTimes(terminal: Terminal, count: number, isOver = () => false): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < count + WARM_UP && !isOver(); n++) {
    const letter = LETTERS[n % LETTERS.length] ?? 'a';
    const startedAt = performance.now();
    const back = new Promise<number>((resolve) => {
      const timer = setTimeout(() => resolve(ECHO_DEADLINE_MS), ECHO_DEADLINE_MS);
      terminal.onData = (chunk) => {
        if (!chunk.includes(letter)) return;
        clearTimeout(timer);
        resolve(performance.now() - startedAt);
      };
    });
    terminal.write(letter);
    const time = await back;
    if (n >= WARM_UP) times.push(time);
    // An uneven pause, so that no timer of a server stays in step with us.
    await sleep(1 + Math.random() * 5);
  }
  terminal.onData = () => undefined;
  return times;
}

function summary(times: number[]) {
  return { p50: percentile(times, 0.5), p95: percentile(times, 0.95), p99: percentile(times, 0.99) };
}

/** Nothing else happens on the server. */
export const echoIdle: Case = {
  name: 'echo',
  layout: 'one-host',
  peers: BOTH,
  needsFresh: false,
  async measure(peer, { sizes }) {
    const terminal = await openEcho(peer.open());
    try {
      return summary(await echoTimes(terminal, sizes.echoSamples));
    } finally {
      await terminal.close();
    }
  },
  rows: () => [
    {
      label: 'echo idle p50',
      unit: 'ms',
      value: 'p50',
      beside: 'difference',
      target: { text: '≤ naive + 0.25', isReached: ({ naive, holdfast }) => holdfast <= naive + 0.25 },
    },
    { label: 'echo idle p99', unit: 'ms', value: 'p99', beside: 'difference' },
  ],
};

async function underFlood(peer: Peer, samples: number) {
  const terminal = await openEcho(peer.open());
  try {
    const load = await Load.open({ address: peer.address, sessions: 1, command: 'yes', end: null });
    try {
      load.go();
      await sleep(500);
      const times = await echoTimes(terminal, samples);
      return { ...summary(times), flood: await load.speed() };
    } finally {
      await load.stop();
    }
  } finally {
    await terminal.close();
  }
}

function floodCase(name: string, options: { layout: Layout; where: string; factor: number }): Case {
  const { layout, where, factor } = options;
  const rows: Row[] = [
    { label: `echo beside yes, ${where}, p50`, unit: 'ms', value: 'p50', beside: 'ratio' },
    {
      label: `echo beside yes, ${where}, p99`,
      unit: 'ms',
      value: 'p99',
      beside: 'ratio',
      target: {
        text: `≤ ${factor.toFixed(2)} × naive`,
        isReached: ({ naive, holdfast }) => holdfast <= factor * naive,
      },
    },
  ];
  return {
    name,
    layout,
    peers: BOTH,
    needsFresh: false,
    measure: (peer, { sizes }) => underFlood(peer, sizes.echoSamples),
    rows: () => rows,
  };
}

/** Another session of the same host runs `yes`, read at full speed by another process. */
export const echoOneHost = floodCase('echo-one-host', { layout: 'one-host', where: 'one host', factor: 1.25 });
/** The session that runs `yes` is on another host. */
export const echoTwoHosts = floodCase('echo-two-hosts', { layout: 'host-each', where: 'two hosts', factor: 1 });
