/** The memory of our processes is above its limit. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, until } from '@/tests/harness/processes';
import { check, type FaultCase } from '../case';

/** Idle sessions are looked at after a minute, memory each half minute. */
const SHED_DEADLINE_MS = 180_000;
const HOLD_MS = 40_000;
const KEPT = 5;
const IDLE = 10;

export const memoryCases: FaultCase[] = [
  {
    id: 'C43',
    title: 'memory is short with busy and with bare idle sessions',
    group: 'engine',
    stage: 'own',
    // Less than the processes need from the first moment on.
    plan: { settings: { HOLDFAST_MEMORY_MB: '64', HOLDFAST_MAX_SESSIONS_PROJECT: '20' } },
    load: { writers: 2, typists: 2, idle: IDLE, screens: 3, builds: 4 },
    deadlineMs: 420_000,
    async run({ stack, load, slack, say }) {
      const idle = load.of('idle');
      const busy = load.living.filter(({ kind }) => kind !== 'idle');
      // Nobody looks at the idle ones, nor at what works in the background: only the latter is busy.
      for (const { client } of [...idle, ...load.of('build')]) {
        client.close();
        stack.clients.delete(client);
      }
      const ids = new Set(idle.map(({ id }) => id));
      const isUnwatched = async () => (await stack.live()).every(({ id, viewers }) => !ids.has(id) || viewers === 0);
      await until('nobody looks at the idle ones', isUnwatched, 10_000);
      const usedAt = new Map((await stack.live()).map(({ id, lastActivity }) => [id, lastActivity]));
      const over = async () => (await stack.terminals()).filter(({ id, status }) => ids.has(id) && status === 'ended');
      await until('bare idle sessions end', async () => (await over()).length >= IDLE - KEPT, SHED_DEADLINE_MS * slack);
      await sleep(HOLD_MS);
      const ended = await over();
      for (const { id } of ended) load.lost.add(id);
      check(ended.length === IDLE - KEPT, `${ended.length} idle sessions were ended, and ${KEPT} are to be kept`);
      for (const { id, exit } of ended) check(exit?.reason === 'memory', `${id} ended for ${exit?.reason}`);
      const dead = busy.filter(({ shell }) => !isRunning(shell.pid));
      check(dead.length === 0, `busy sessions were ended: ${dead.map(({ name }) => name).join(', ')}`);
      const isEnded = new Set(ended.map(({ id }) => id));
      const times = (which: boolean) =>
        idle.flatMap(({ id }) => (isEnded.has(id) === which ? (usedAt.get(id) ?? 0) : []));
      const [newestEnded, oldestKept] = [Math.max(...times(true)), Math.min(...times(false))];
      check(newestEnded <= oldestKept, 'a newer idle session was ended before an older one');
      say(`${ended.length} idle sessions ended, ${busy.length} busy ones go on`);
    },
  },
];
