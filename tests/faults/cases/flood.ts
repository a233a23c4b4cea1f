/** A hundred sessions that print at once. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@/tests/harness/processes';
import { check, type FaultCase, quantile, type Scene } from '../case';
import { FaultClient } from '../client';

const SESSIONS = 100;
/** So many have a viewer that reads to the end. */
const WATCHED = 10;
/** What each prints, as base64 in lines of 76 characters and two line ends. */
const LINES = 128_200;
const RAW_LINE_BYTES = 57;
const AT_ONCE = 10;
const FLOOD_MS = 60_000;
const MEMORY_BYTES = 1_500_000_000;
const ECHO_P95_MS = 150;
const LOOK_MS = 500;
const COMMAND =
  "stty -echo; exec 9<> <(:); until [ -e go ]; do read -r -t 0.2 -u 9; done; echo be''gin; base64 data; echo do''ne";

/** Compares a stream with what is expected behind the word `begin`. */
class Expected {
  readonly #text: Buffer;
  #before = '';
  #offset = -1;
  /** The position of the first byte that is another one; null while all are right. */
  wrongAt: number | null = null;
  /** After an announced gap nothing more is compared but the end. */
  isCut = false;
  tail = '';

  constructor(text: Buffer) {
    this.#text = text;
  }

  get isWhole(): boolean {
    return this.#offset >= this.#text.length;
  }

  push(data: Uint8Array): void {
    let bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    this.tail = (this.tail + bytes.subarray(-200).toString('latin1')).slice(-200);
    if (this.isCut || this.isWhole) return;
    if (this.#offset < 0) {
      const seen = this.#before + bytes.toString('latin1');
      const begin = seen.indexOf('begin\r\n');
      this.#before = seen.slice(-10);
      if (begin < 0) return;
      bytes = Buffer.from(seen.slice(begin + 'begin\r\n'.length), 'latin1');
      this.#offset = 0;
    }
    const part = bytes.subarray(0, this.#text.length - this.#offset);
    if (!part.equals(this.#text.subarray(this.#offset, this.#offset + part.length))) this.wrongAt ??= this.#offset;
    this.#offset += part.length;
  }
}

/** Memory of a process (bytes), of pages that it shares only its share; 0 when it has ended. */
function ownBytes(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0; // it has just ended
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

type Flood = { id: string; client: FaultClient; expected: Expected };

async function openFloods({ stack, load, onEnd }: Scene, text: Buffer): Promise<Flood[]> {
  const project = await load.spareProject();
  const floods: Flood[] = [];
  onEnd(async () => {
    for (const { id, client } of floods) {
      client.close();
      stack.clients.delete(client);
      await stack.deleteTerminal(id);
    }
  });
  const open = async (name: string) => {
    const { id } = await stack.createTerminal(project, name);
    const expected = new Expected(text);
    const client = await FaultClient.open(stack, id, {
      onOutput: (data) => expected.push(data),
      onSnapshot: () => {
        expected.isCut ||= expected.tail.length > 0;
      },
    });
    client.type(`${COMMAND}\r`);
    floods.push({ id, client, expected });
  };
  for (let n = 0; n < SESSIONS; n += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, k) => open(`flood ${n + k}`)));
  }
  return floods;
}

/** Types into one session more until it is told to stop, and gives how long each echo took (ms). */
async function typeAlong({ stack, load, slack, onEnd }: Scene): Promise<() => Promise<number[]>> {
  const { id } = await stack.createTerminal(await load.spareProject(), 'one more');
  const client = await FaultClient.open(stack, id);
  onEnd(async () => {
    client.close();
    stack.clients.delete(client);
    await stack.deleteTerminal(id);
  });
  const times: number[] = [];
  let isOver = false;
  const typing = (async () => {
    while (!isOver) {
      const [before, startedAt] = [client.outputBytes, performance.now()];
      client.type('x');
      await until('an echo', () => client.outputBytes > before, 20_000 * slack);
      times.push(performance.now() - startedAt);
      await sleep(50);
    }
    return times;
  })();
  return () => {
    isOver = true;
    return typing;
  };
}

export const floodCases: FaultCase[] = [
  {
    id: 'C36',
    title: 'a hundred sessions print 10 MB each at once',
    group: 'engine',
    stage: 'own',
    plan: {
      settings: {
        HOLDFAST_MAX_SESSIONS_PROJECT: '200',
        HOLDFAST_MAX_SESSIONS_USER: '200',
        HOLDFAST_MEMORY_MB: '4000',
        MAX_SESSIONS_PER_BACKEND: '10',
        HOLDFAST_LOG_LEVEL: 'info',
      },
    },
    load: { idle: 1 },
    deadlineMs: 600_000,
    async run(scene) {
      const { stack, load, ledger, chance, slack, say } = scene;
      const raw = Buffer.from(Array.from({ length: LINES * RAW_LINE_BYTES }, () => chance.below(256)));
      const text = Buffer.from(raw.toString('base64').replace(/.{76}/g, '$&\r\n'));
      const { path } = await load.spareProject();
      writeFileSync(join(path, 'data'), raw);
      const floods = await openFloods(scene, text);
      const watched = floods.slice(0, WATCHED);
      for (const { client } of floods.slice(WATCHED)) {
        await until('the command is taken', () => client.heard('attached') !== null && client.outputBytes > 0, 20_000);
        client.close();
      }

      const stopTyping = await typeAlong(scene);
      const startedAt = performance.now();
      writeFileSync(join(path, 'go'), '');
      const ids = new Set(floods.map(({ id }) => id));
      let memory = 0;
      let shares = '';
      for (let done = 0; done < SESSIONS; await sleep(LOOK_MS)) {
        const [gateway, web] = [ownBytes(stack.gatewayPid), ownBytes(stack.webPid)];
        const hosts = [...stack.hosts().values()].map(ownBytes);
        const sum = hosts.reduce((total, bytes) => total + bytes, gateway + web);
        if (sum > memory) {
          memory = sum;
          const [all, most] = [sum - gateway - web, Math.max(...hosts)].map(megabytes);
          shares = `${hosts.length} hosts ${all} (the largest ${most}), gateway ${megabytes(gateway)}, web ${megabytes(web)}`;
        }
        const sessions = await stack.live();
        done = sessions.filter(({ id, position }) => ids.has(id) && position > text.length).length;
      }
      const ms = performance.now() - startedAt;
      const p95 = quantile(await stopTyping(), 0.95);
      const isRead = () => watched.every(({ expected }) => expected.tail.includes('done\r\n'));
      await until('the watched ones are read to the end', isRead, 60_000 * slack);
      const cut = watched.filter(({ expected }) => expected.isCut).length;
      say(
        `${(ms / 1000).toFixed(1)} s, ${megabytes(memory)} MB (${shares}), echo p95 ${Math.round(p95)} ms, ${cut} of ${WATCHED} were skipped forward`,
      );
      for (const { id, client, expected } of watched) {
        check(expected.wrongAt === null, `${id}: byte ${expected.wrongAt} of the output is another one`);
        check(expected.isWhole || (expected.isCut && client.gaps > 0), `${id}: output is missing and nothing said so`);
      }
      check(ms <= FLOOD_MS * slack, `it took ${Math.round(ms / 1000)} s`);
      check(memory <= MEMORY_BYTES, `our processes needed ${megabytes(memory)} MB: ${shares}`);
      check(p95 <= ECHO_P95_MS * slack, `the p95 of the echo was ${Math.round(p95)} ms`);
      // The hosts of the hundred stay for a while when they are empty.
      ledger.rebase();
    },
  },
];
