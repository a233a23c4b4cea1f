/** `npm run bench`: runs the cases over Holdfast and the naive baseline in turn, and prints one table of medians. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Bench, Case, Sizes } from './cases/case';
import { churn } from './cases/churn';
import { connections } from './cases/connections';
import { echoIdle, echoOneHost, echoTwoHosts } from './cases/echo';
import { idle } from './cases/idle';
import { interruptLog, interruptYes } from './cases/interrupt';
import { many } from './cases/many';
import { open } from './cases/open';
import { reattach } from './cases/reattach';
import { restart } from './cases/restart';
import { backlog, slowReader } from './cases/slow';
import { stores } from './cases/stores';
import { throughputLog, throughputYes } from './cases/throughput';
import { load, machine } from './machine';
import type { PeerName } from './peers/peer';
import { Servers } from './servers';
import { shown } from './statistics';
import { fill, format, mediansOf, type Values } from './table';
import { writeLog } from './text';

const CASES: readonly Case[] = [
  echoIdle,
  echoOneHost,
  echoTwoHosts,
  throughputLog,
  throughputYes,
  slowReader,
  backlog,
  interruptYes,
  interruptLog,
  open,
  reattach,
  restart,
  many,
  idle,
  connections,
  churn,
  stores,
];

/** One measurement may take this long (ms). */
const MEASURE_DEADLINE_MS = 10 * 60_000;
const MANY_FILE_BYTES = 10e6;

/** All sizes but the files, which are made for a run. */
type Scale = Omit<Sizes, 'logFile' | 'manyFile'> & { rounds: number };

const FULL: Scale = {
  rounds: 3,
  logBytes: 200e6,
  yesLines: 20_000_000,
  echoSamples: 2_000,
  floodSeconds: 10,
  drawSecondsMax: 30,
  opens: 50,
  idleSteps: [10, 500],
  idleExtraSteps: [1, 100],
  reattaches: 7,
  connections: 1_000,
  manySessions: 100,
  cycles: 1_000,
  storeRounds: 500,
};

/** The same cases, smaller: about three minutes on two quiet cores. */
const QUICK: Scale = {
  ...FULL,
  rounds: 1,
  logBytes: 40e6,
  yesLines: 4_000_000,
  echoSamples: 200,
  floodSeconds: 1.5,
  drawSecondsMax: 2,
  opens: 10,
  idleSteps: [10, 100],
  idleExtraSteps: [],
  reattaches: 1,
  connections: 100,
  manySessions: 10,
  cycles: 30,
  storeRounds: 100,
};

const USAGE = `Usage: npm run bench -- [options]

  --quick         smaller and once: about three minutes
  --case NAME     only this case; may be given more than once
  --rounds N      how often each case runs; medians are shown
  --json FILE     write what each round measured

Cases: ${CASES.map(({ name }) => name).join(' ')}`;

type Options = {
  sizes: Scale;
  cases: readonly Case[];
  rounds: number;
  isQuick: boolean;
  json: string | undefined;
};

/** One measurement, as it stands in the JSON file. */
type Record = {
  case: string;
  peer: PeerName;
  round: number;
  load: number;
  seconds: number;
  values?: Values;
  error?: string;
};

function readOptions(): Options | string {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        case: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const sizes = values.quick ? QUICK : FULL;
    const rounds = Number(values.rounds ?? sizes.rounds);
    const unknown = values.case.filter((name) => !CASES.some((each) => each.name === name));
    if (values.help) return USAGE;
    if (unknown.length > 0) return `Unknown case: ${unknown.join(', ')}\n\n${USAGE}`;
    if (!Number.isInteger(rounds) || rounds < 1) return `--rounds must be a whole number from 1\n\n${USAGE}`;
    const cases = values.case.length === 0 ? CASES : CASES.filter(({ name }) => values.case.includes(name));
    return { sizes, cases, rounds, isQuick: values.quick, json: values.json };
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The peers of a case in the order of a round: whoever began the last one does not begin this one. */
function turn(peers: readonly PeerName[], round: number): PeerName[] {
  const shift = round % peers.length;
  return [...peers.slice(shift), ...peers.slice(0, shift)];
}

function withDeadline<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const failed = new Promise<never>((_, reject) => {
    const either = AbortSignal.any([signal, AbortSignal.timeout(MEASURE_DEADLINE_MS)]);
    const fail = () => reject(new Error(signal.aborted ? 'stopped' : `not over after ${MEASURE_DEADLINE_MS / 1000} s`));
    either.addEventListener('abort', fail, { once: true });
    if (either.aborted) fail();
  });
  return Promise.race([work, failed]);
}

async function measure(each: Case, name: PeerName, { servers, sizes, signal }: Run): Promise<Values> {
  if (each.layout === 'none') return withDeadline(each.measure(sizes), signal);
  const bench: Bench = { sizes, restart: () => servers.fresh(name, each.layout) };
  const peer = each.needsFresh ? await servers.fresh(name, each.layout) : await servers.running(name, each.layout);
  return withDeadline(each.measure(peer, bench), signal);
}

type Run = { servers: Servers; sizes: Sizes; signal: AbortSignal };

async function runAll({ cases, rounds }: Options, run: Run): Promise<Record[]> {
  const records: Record[] = [];
  for (const each of cases) {
    for (let round = 0; round < rounds; round++) {
      for (const peer of turn(each.peers, round)) {
        if (run.signal.aborted) return records;
        const record: Record = { case: each.name, peer, round, load: load(), seconds: 0 };
        const startedAt = performance.now();
        try {
          record.values = await measure(each, peer, run);
        } catch (error) {
          record.error = error instanceof Error ? error.message : String(error);
          if (each.layout !== 'none') await run.servers.discard(peer, each.layout);
        }
        record.seconds = (performance.now() - startedAt) / 1000;
        records.push(record);
        say(progress(record));
      }
    }
  }
  return records;
}

function progress({ case: name, peer, round, load: busy, seconds, values, error }: Record): string {
  const head = `${new Date().toTimeString().slice(0, 8)} ${name} ${peer} round ${round + 1} (${seconds.toFixed(1)} s, load ${busy.toFixed(1)})`;
  const list = Object.entries(values ?? {}).map(([key, value]) => `${key} ${shown(value)}`);
  return `${head}: ${error ? `FAILED: ${error}` : list.join(', ')}`;
}

function table(cases: readonly Case[], sizes: Sizes, records: readonly Record[]): string {
  const valuesOf = (name: string, peer: PeerName) =>
    mediansOf(
      records.flatMap(({ case: of, peer: by, values }) => (of === name && by === peer && values ? [values] : [])),
    );
  const lines = cases.flatMap((each) => {
    const [naive, holdfast] = [valuesOf(each.name, 'naive'), valuesOf(each.name, 'holdfast')];
    return each.rows(sizes).map((row) => fill(row, naive, holdfast));
  });
  return format(lines);
}

function footer(records: readonly Record[], rounds: number): string {
  const loads = records.map((record) => record.load);
  return [
    `Medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}. ${machine()}; 1-minute load ${shown(Math.min(...loads))} to ${shown(Math.max(...loads))}, our own included.`,
    'Naive is node-pty and ws: a text frame for each read, no flow control, no screen.',
    'CPU and memory are those of the baseline’s one process, and of launcher, web, gateway and hosts of Holdfast together',
    'where nothing else is said; the programs in the terminals are not counted, and clients are processes of their own.',
  ].join('\n');
}

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === 'string') {
    (options.startsWith('Usage') ? process.stdout : process.stderr).write(`${options}\n`);
    return options.startsWith('Usage') ? 0 : 2;
  }
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort());
  const directory = mkdtempSync(join(tmpdir(), 'hf-bench-'));
  const servers = new Servers();
  const startedAt = performance.now();
  try {
    const sizes: Sizes = {
      ...options.sizes,
      logFile: join(directory, 'log.txt'),
      manyFile: join(directory, 'many.txt'),
    };
    writeLog(sizes.logFile, sizes.logBytes);
    writeLog(sizes.manyFile, MANY_FILE_BYTES);
    const records = await runAll(options, { servers, sizes, signal: stopping.signal });
    if (options.json !== undefined) {
      const { cases, isQuick, rounds } = options;
      const names = cases.map(({ name }) => name);
      writeFileSync(
        options.json,
        `${JSON.stringify({ machine: machine(), isQuick, rounds, cases: names, records }, null, 1)}\n`,
      );
    }
    if (stopping.signal.aborted) return 130;
    say(`\n${table(options.cases, sizes, records)}\n\n${footer(records, options.rounds)}`);
    say(`${((performance.now() - startedAt) / 1000).toFixed(0)} s in all.`);
    return records.some(({ error }) => error !== undefined) ? 1 : 0;
  } finally {
    await servers.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

process.exit(await main());
