/** Everything is killed: what the disk holds, and what pids mean afterwards. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startTimeOf } from '@/lib/processes';
import { AppError } from '@/lib/protocol/errors';
import { isRunning, signal, until } from '@/tests/harness/processes';
import { check, type FaultCase, type Scene } from '../case';
import type { Member } from '../load';
import type { Stack } from '../stack';

/** What was printed is on disk after this time at most (ms). */
const FLUSH_MS = 1_500;
const CUT_BYTES = 4_096;
const NEXT_PID = '/proc/sys/kernel/ns_last_pid';
const PID_TRIES = 200;
const STRANGERS_MAX = 6;
/** How long a stranger sleeps (s): also its mark. */
const STRANGER_S = 617;
const recordSchema = z.object({ pid: z.number() });

/** Ends every process of a stack at once, the launcher first. */
function killAll({ app, ...stack }: Pick<Stack, 'app'> & { pids: number[] }): void {
  signal(app.launcherPid, 'SIGKILL');
  for (const pid of stack.pids) signal(pid, 'SIGKILL');
}

function everyPid(stack: Stack): number[] {
  const ofSessions = stack.sessionProcesses().map(({ pid }) => pid);
  return [stack.webPid, stack.gatewayPid, ...stack.hosts().values(), ...ofSessions];
}

/** The newest file of a session's journal that holds something, or null. */
function journalFile({ app }: Stack, { id }: Member): string | null {
  const directory = join(app.dataDir, 'journal', id);
  try {
    const files = readdirSync(directory).map((name) => join(directory, name));
    return (
      files
        .filter((file) => statSync(file).size > CUT_BYTES)
        .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0] ?? null
    );
  } catch {
    return null; // it has none
  }
}

function flipByte(file: string): void {
  const bytes = readFileSync(file);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}

/** The highest line of a writer that can be read now. */
async function readableUpTo({ stack }: Scene, { id }: Member): Promise<number> {
  const { output } = await stack.terminal(id);
  return Math.max(0, ...output.flatMap((line) => Number(/^writer\d+ (\d{8}) /.exec(line)?.[1] ?? [])));
}

/** Starts the product again after everything was killed; all sessions of the load are lost. */
async function startAgain(scene: Scene): Promise<void> {
  const { stack, load, ledger, slack } = scene;
  await stack.app.launch();
  ledger.webIsBack();
  for (const { id, name, client } of load.members) {
    const isLost = async () => {
      // Until web has looked through all journals it says that it has to be asked again.
      const session = await stack.terminal(id).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'sidecar_unavailable') return null;
        throw error;
      });
      return session?.status === 'lost' && session.exit?.reason === 'host-crash';
    };
    await until(`the record of ${name} says lost, host-crash`, isLost, 15_000 * slack);
    client.connection.wake();
    await client.isOver(20_000 * slack);
  }
}

async function killEverything({ stack, load, ledger }: Scene): Promise<number[]> {
  load.quiet();
  await sleep(FLUSH_MS);
  for (const { id } of load.members) load.lost.add(id);
  const pids = everyPid(stack);
  ledger.webGoes();
  killAll({ app: stack.app, pids });
  await until('everything has ended', () => !pids.some(isRunning), 10_000);
  return pids;
}

function pidObstacle(): string | null {
  try {
    accessSync(NEXT_PID, constants.W_OK);
    return process.getuid?.() === 0 ? null : 'it needs root';
  } catch {
    return `it needs root and ${NEXT_PID}`;
  }
}

/** Starts a sleeping stranger that has a pid of our choice; null when others were faster again and again. */
function becomeStranger(pid: number): { pid: number; startTime: string } | null {
  for (let n = 0; n < PID_TRIES; n++) {
    const script = `echo ${pid - 1} > ${NEXT_PID}; setsid sleep ${STRANGER_S} >/dev/null 2>&1 & echo $!`;
    const given = Number(spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout);
    if (given === pid) return { pid, startTime: startTimeOf(pid) ?? '' };
    signal(given, 'SIGKILL');
  }
  return null;
}

export const storageCases: FaultCase[] = [
  {
    id: 'C41',
    title: 'everything is killed, and the journals are damaged',
    group: 'engine',
    stage: 'shared',
    isQuick: true,
    deadlineMs: 240_000,
    async run(scene) {
      const { stack, load, chance, say } = scene;
      const writers = load.of('writer');
      const [cut, flipped, ...whole] = writers;
      check(cut !== undefined && flipped !== undefined && whole.length > 0, 'there are too few writers');
      for (const member of writers) load.burst(member, 4_000 + chance.below(4_000));
      await sleep(FLUSH_MS);
      const printed = new Map(writers.map((member) => [member, member.writer?.last ?? 0]));
      await killEverything(scene);
      const [cutFile, flippedFile] = [journalFile(stack, cut), journalFile(stack, flipped)];
      check(cutFile !== null && flippedFile !== null, 'a writer has no journal');
      truncateSync(cutFile, statSync(cutFile).size - CUT_BYTES);
      flipByte(flippedFile);
      await startAgain(scene);
      for (const member of whole) {
        const newest = await readableUpTo(scene, member);
        const last = printed.get(member) ?? 0;
        check(newest >= last, `${member.name} can be read up to line ${newest}, and line ${last} was on its screen`);
      }
      for (const member of [cut, flipped]) {
        const newest = await readableUpTo(scene, member);
        check(newest > 0, `nothing of ${member.name} can be read, though only a part of its journal is damaged`);
        say(`of the damaged journal of ${member.name} ${newest} of ${printed.get(member)} lines can be read`);
      }
    },
  },
  {
    id: 'C42',
    title: 'the recorded pids belong to strangers',
    group: 'engine',
    stage: 'shared',
    obstacle: pidObstacle,
    deadlineMs: 240_000,
    async run(scene) {
      const { stack, load, onEnd, say } = scene;
      const { runDir } = stack.app;
      const recorded = ['hosts', 'children'].flatMap((name) =>
        readdirSync(join(runDir, name))
          .filter((file) => file.endsWith('.json'))
          .map((file) => recordSchema.parse(JSON.parse(readFileSync(join(runDir, name, file), 'utf8'))).pid),
      );
      const shells = load.members.slice(0, 3).map(({ shell }) => shell.pid);
      await killEverything(scene);
      const strangers = [...recorded, ...shells]
        .slice(0, STRANGERS_MAX + shells.length)
        .flatMap((pid) => becomeStranger(pid) ?? []);
      onEnd(() => {
        for (const { pid, startTime } of strangers) if (startTimeOf(pid) === startTime) signal(pid, 'SIGKILL');
      });
      check(strangers.length > 0, 'no pid could be taken over');
      await startAgain(scene);
      scene.ledger.webGoes();
      const { output } = await stack.app.command('stop', '--all');
      check(!output.includes('cannot'), output);
      await stack.app.interrupt();
      const ended = strangers.filter(({ pid, startTime }) => startTimeOf(pid) !== startTime);
      check(ended.length === 0, `strangers with our pids were ended: ${ended.map(({ pid }) => pid).join(', ')}`);
      say(`${strangers.length} strangers had our pids`);
      await stack.app.launch();
      scene.ledger.webIsBack();
    },
  },
];
