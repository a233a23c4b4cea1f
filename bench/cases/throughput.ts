/** One terminal prints a lot and the client reads as fast as it can: speed, CPU, missing bytes, and the screen at the end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuBetween, cpuOf } from '../machine';
import type { Peer } from '../peers/peer';
import { readFast } from '../reader';
import { Screen } from '../screen';
import type { Values } from '../table';
import { compareOutput, END, marked, throughPty, transcript } from '../text';
import { Finder, ready, waitForQuiet } from '../wait';
import { BOTH, type Case, type Sizes } from './case';

const DEADLINE_MS = 120_000;
/** The server may still work on what it has passed on: its CPU is taken when it rests (ms). */
const REST_MS = 300;
const REST_CPU_S = 0.02;

type Input = { command: string; printed: () => Buffer };

const inputs = {
  log: ({ logFile }: Sizes): Input => ({ command: `cat ${logFile}`, printed: () => throughPty(logFile) }),
  yes: ({ yesLines }: Sizes): Input => ({
    command: `yes | head -n ${yesLines}`,
    printed: () => Buffer.alloc(yesLines * 3, 'y\r\n'),
  }),
};

/** The screens that a pure replay gives; each is made once. */
const replays = new Map<string, Promise<string>>();

async function replay(command: string, printed: Buffer): Promise<string> {
  const screen = new Screen();
  await screen.write(transcript(marked(command), printed));
  const dump = screen.dump();
  screen.dispose();
  return dump;
}

async function isScreenExact(peer: Peer, id: string, wanted: string): Promise<boolean> {
  const screen = new Screen();
  const terminal = await peer.attach(id);
  const chunks: Buffer[] = [];
  terminal.onData = (chunk) => chunks.push(chunk);
  await waitForQuiet(terminal, 500);
  terminal.drop();
  for (const chunk of chunks) await screen.write(chunk);
  const isEqual = screen.dump() === wanted;
  screen.dispose();
  return isEqual;
}

async function cpuAtRest(peer: Peer, before: Map<number, number>): Promise<number> {
  let seconds = cpuBetween(before, cpuOf(peer.processes()));
  for (let n = 0; n < 60; n++) {
    await sleep(REST_MS);
    const now = cpuBetween(before, cpuOf(peer.processes()));
    if (now - seconds < REST_CPU_S) return now;
    seconds = now;
  }
  return seconds;
}

async function run(peer: Peer, { command, printed }: Input): Promise<Values> {
  const terminal = await ready(peer.open());
  await waitForQuiet(terminal, 300);
  const chunks: Buffer[] = [];
  const finder = new Finder(END);
  const before = cpuOf(peer.processes());
  const startedAt = performance.now();
  const endedAt = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${command} was not over in time`)), DEADLINE_MS);
    terminal.onClose = reject;
    readFast(terminal, (chunk) => {
      chunks.push(chunk);
      if (!finder.push(chunk)) return;
      clearTimeout(timer);
      resolve(performance.now());
    });
    terminal.write(`${marked(command)}\r`);
  });
  terminal.onClose = () => undefined;
  const cpuSeconds = await cpuAtRest(peer, before);
  const wanted = printed();
  const { missing, isEqual } = compareOutput(chunks, wanted);
  const values: Values = {
    speed: wanted.length / 1e3 / (endedAt - startedAt),
    cpu: (cpuSeconds / wanted.length) * 1e8,
    missing: isEqual ? 0 : Math.max(1, missing, terminal.skippedBytes),
  };
  if (terminal.id !== null) {
    const key = `${command} ${wanted.length}`;
    const reference = replays.get(key) ?? replay(command, wanted);
    replays.set(key, reference);
    values['exact'] = (await isScreenExact(peer, terminal.id, await reference)) ? 1 : 0;
  }
  await terminal.close();
  return values;
}

function throughputCase(kind: keyof typeof inputs, what: (sizes: Sizes) => string): Case {
  return {
    name: `throughput-${kind}`,
    layout: 'one-host',
    peers: BOTH,
    needsFresh: kind === 'log',
    measure: (peer, { sizes }) => run(peer, inputs[kind](sizes)),
    rows: (sizes) => [
      {
        label: `${what(sizes)} absorbed`,
        unit: 'MB/s',
        value: 'speed',
        beside: 'ratio',
        target: { text: '≥ 1.00 × naive', isReached: ({ naive, holdfast }) => holdfast >= naive },
      },
      {
        label: `${kind}: missing`,
        unit: 'bytes',
        value: 'missing',
        beside: 'nothing',
        target: { text: '0', isReached: ({ holdfast }) => holdfast === 0 },
      },
      {
        label: `${kind}: screen and scrollback as in a pure replay`,
        unit: '1 = yes',
        value: 'exact',
        beside: 'nothing',
        target: { text: '1', isReached: ({ holdfast }) => holdfast === 1 },
      },
      {
        label: `${kind}: server CPU for 100 MB`,
        unit: 's',
        value: 'cpu',
        beside: 'ratio',
        ...(kind === 'log' && {
          target: { text: '≤ 2.00 × naive', isReached: ({ naive, holdfast }) => holdfast <= 2 * naive },
        }),
      },
    ],
  };
}

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

/** `cat` of a build log. */
export const throughputLog = throughputCase('log', ({ logBytes }) => `${megabytes(logBytes)} of log`);
/** `yes`, three bytes in a line: what a pty gives in its smallest pieces. */
export const throughputYes = throughputCase('yes', ({ yesLines }) => `${megabytes(yesLines * 3)} of yes`);
