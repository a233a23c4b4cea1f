/** The connection is cut and another viewer comes: is its screen the same, cell by cell, and how soon? */
import { setTimeout as sleep } from 'node:timers/promises';
import { SCROLLBACK_LINES } from '@/lib/protocol/limits';
import type { Peer } from '../peers/peer';
import type { Terminal } from '../peers/terminal';
import { Screen } from '../screen';
import { median } from '../statistics';
import { PROMPT } from '../text';
import { ready, waitForQuiet, waitForText } from '../wait';
import { type Case, OURS, type Sizes } from './case';

const QUIET_MS = 400;
const AWAY_LINES = 3_000;

type Scene = {
  name: string;
  /** What is typed, and what is waited for. */
  steps: (sizes: Sizes) => { type: string; until?: string }[];
  /** What the program prints after the first viewer has gone. */
  away?: string;
};

const SCENES: Scene[] = [
  {
    name: 'lines',
    steps: () => [
      {
        type: `for i in $(seq 5000); do printf '\\033[3%dmline %d\\033[0m of the output\\n' $((i % 7 + 1)) $i; done; echo scene''-set\r`,
        until: `scene-set\r\n${PROMPT}`,
      },
    ],
  },
  {
    name: 'less',
    steps: ({ manyFile }) => [{ type: `less -R -M ${manyFile}\r` }, { type: ' ' }, { type: ' ' }],
  },
  {
    name: 'vim',
    steps: ({ manyFile }) => [
      { type: `vim -u NONE -n -R --cmd 'set nocp ruler hlsearch number t_Co=256' +120 ${manyFile}\r` },
      { type: '/commit\r' },
    ],
  },
  {
    name: 'away',
    steps: () => [{ type: `sleep 1; for i in $(seq ${AWAY_LINES}); do echo "away line $i"; done\r` }],
    away: Array.from({ length: AWAY_LINES }, (_, n) => `away line ${n + 1}\r\n`).join('') + PROMPT,
  },
];

type Outcome = { times: number[]; isEqual: boolean; replies: number; history: number };

/** Plays a scene to a first viewer, cuts it, and compares what later ones get with a replay of everything. */
async function play(peer: Peer, scene: Scene, sizes: Sizes): Promise<Outcome> {
  const wanted = new Screen();
  const opened = await peer.open();
  const chunks: Buffer[] = [];
  opened.onData = (chunk) => chunks.push(chunk);
  const first = await ready(Promise.resolve(opened));
  for (const { type, until } of scene.steps(sizes)) {
    const shown = until === undefined ? null : waitForText(first, until);
    first.write(type);
    await shown;
    await waitForQuiet(first, scene.away === undefined ? QUIET_MS : 200);
  }
  first.drop();
  if (scene.away !== undefined) {
    chunks.push(Buffer.from(scene.away));
    await sleep(3_000);
  }
  for (const chunk of chunks) await wanted.write(chunk);
  const outcome: Outcome = { times: [], isEqual: true, replies: 0, history: 0 };
  for (let n = 0; n < sizes.reattaches; n++) await compare(peer, first, wanted.dump(), outcome);
  wanted.dispose();
  if (first.id !== null) await (await peer.attach(first.id)).close();
  return outcome;
}

async function compare(peer: Peer, { id }: Terminal, wanted: string, outcome: Outcome): Promise<void> {
  if (id === null) throw new Error('the session ended with its connection');
  const screen = new Screen();
  const startedAt = performance.now();
  let drawnAt = startedAt;
  let drawing = Promise.resolve();
  const terminal = await peer.attach(id);
  terminal.onData = (chunk) => {
    drawing = drawing
      .then(() => screen.write(chunk))
      .then(() => {
        drawnAt = performance.now();
      });
  };
  await waitForQuiet(terminal, QUIET_MS);
  await drawing;
  outcome.times.push(drawnAt - startedAt);
  outcome.isEqual &&= screen.dump() === wanted;
  outcome.replies += screen.replies;
  outcome.history = screen.historyLines;
  terminal.drop();
  screen.dispose();
}

export const reattach: Case = {
  name: 'reattach',
  layout: 'usual',
  peers: OURS,
  needsFresh: false,
  async measure(peer, { sizes }) {
    const outcomes = new Map<string, Outcome>();
    for (const scene of SCENES) outcomes.set(scene.name, await play(peer, scene, sizes));
    const all = [...outcomes.values()];
    return {
      ...Object.fromEntries([...outcomes].map(([name, { times }]) => [`${name}Time`, median(times)])),
      ...Object.fromEntries([...outcomes].map(([name, { isEqual }]) => [`${name}Equal`, isEqual ? 1 : 0])),
      slowest: Math.max(...all.map(({ times }) => median(times))),
      equal: all.filter(({ isEqual }) => isEqual).length,
      replies: all.reduce((sum, { replies }) => sum + replies, 0),
      history: outcomes.get('lines')?.history ?? 0,
    };
  },
  rows: () => [
    {
      label: 'reattach: lines, less, vim, away: equal cell by cell',
      unit: 'of 4',
      value: 'equal',
      beside: 'nothing',
      target: { text: '4', isReached: ({ holdfast }) => holdfast === 4 },
    },
    {
      label: 'reattach: history after 5,000 lines',
      unit: 'lines',
      value: 'history',
      beside: 'nothing',
      target: { text: `${SCROLLBACK_LINES}`, isReached: ({ holdfast }) => holdfast === SCROLLBACK_LINES },
    },
    {
      label: 'reattach: ticket to screen drawn, slowest of the four',
      unit: 'ms',
      value: 'slowest',
      beside: 'nothing',
      target: { text: '≤ 50', isReached: ({ holdfast }) => holdfast <= 50 },
    },
    {
      label: 'reattach: replies typed',
      unit: 'count',
      value: 'replies',
      beside: 'nothing',
      target: { text: '0', isReached: ({ holdfast }) => holdfast === 0 },
    },
  ],
};
