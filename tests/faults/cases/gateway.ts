/** Faults of the gateway's process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@/tests/harness/processes';
import { check, type FaultCase, quantile, type Scene } from '../case';
import { FaultClient } from '../client';
import type { Member } from '../load';

const RESUME_P95_MS = 3_000;
const RESUME_DEADLINE_MS = 30_000;
const STORM_P95_MS = 500;
const STORM_DEADLINE_MS = 15_000;
/** With those of the load, the gateway's whole room for connections. */
const STORM_SOCKETS = 950;

/** How long after a time each client was live again (ms). */
async function resumeTimes(clients: Iterable<FaultClient>, since: number, deadlineMs: number): Promise<number[]> {
  const all = [...clients];
  const isBack = (client: FaultClient) => client.kind === 'live' && (client.liveAt ?? 0) > since;
  await until('every viewer is back', () => all.every(isBack), deadlineMs);
  return all.map(({ liveAt }) => (liveAt ?? 0) - since);
}

async function addViewers({ stack, onEnd }: Scene, sessions: readonly Member[], count: number): Promise<FaultClient[]> {
  const viewers: FaultClient[] = [];
  onEnd(() => {
    for (const viewer of viewers) {
      viewer.close();
      stack.clients.delete(viewer);
    }
  });
  while (viewers.length < count) {
    const batch = Array.from({ length: Math.min(25, count - viewers.length) }, (_, n) => {
      const member = sessions[(viewers.length + n) % sessions.length];
      if (!member) throw new Error('there is no session to view');
      return FaultClient.open(stack, member.id, { mode: 'read', isDirect: true });
    });
    viewers.push(...(await Promise.all(batch)));
  }
  return viewers;
}

export const gatewayCases: FaultCase[] = [
  {
    id: 'C01',
    title: 'the gateway is killed under attached writers',
    group: 'engine',
    stage: 'shared',
    isQuick: true,
    async run(scene) {
      const { stack, load, slack, say, isQuick } = scene;
      await addViewers(scene, load.living, isQuick ? 10 : 30);
      await stack.settleGateway();
      const killedAt = await stack.killGateway();
      const times = await resumeTimes(stack.clients, killedAt, RESUME_DEADLINE_MS * slack);
      const p95 = quantile(times, 0.95);
      say(`${times.length} viewers are back, p95 ${Math.round(p95)} ms`);
      check(p95 <= RESUME_P95_MS * slack, `the p95 of coming back is ${Math.round(p95)} ms`);
    },
  },
  {
    id: 'C02',
    title: 'the gateway is killed again and again while people type',
    group: 'engine',
    stage: 'shared',
    isQuick: true,
    deadlineMs: 300_000,
    async run({ stack, load, chance, isQuick, slack, say }) {
      // Over three seeds these are the twenty of the fault list.
      const rounds = isQuick ? 3 : 7;
      for (let round = 0; round < rounds; round++) {
        await sleep(chance.between(100, 1_500));
        for (const { typist } of load.of('typist')) for (let n = chance.below(4); n > 0; n--) typist?.line();
        const killedAt = await stack.killGateway();
        // Now and then the next one comes before everybody is back.
        if (chance.happens(0.7)) await resumeTimes(stack.clients, killedAt, RESUME_DEADLINE_MS * slack);
      }
      await until(
        'every viewer is live',
        () => [...stack.clients].every(({ kind }) => kind === 'live'),
        30_000 * slack,
      );
      const typed = load.of('typist').reduce((sum, { typist }) => sum + (typist?.typed ?? 0), 0);
      say(`${rounds} kills, ${typed} lines typed so far`);
    },
  },
  {
    id: 'C35',
    title: 'the gateway is killed under a thousand connections',
    group: 'engine',
    stage: 'shared',
    deadlineMs: 300_000,
    async run(scene) {
      const { stack, load, ledger, slack, say } = scene;
      // Output for a thousand viewers is work for our side of the machine, and no part of the fault.
      const quiet = load.living.filter(({ kind }) => kind !== 'writer' && kind !== 'typist');
      await addViewers(scene, quiet, STORM_SOCKETS - load.members.length);
      await stack.settleGateway();
      const calm = (await ledger.answers()).length;
      const killedAt = await stack.killGateway();
      const times = await resumeTimes(stack.clients, killedAt, 60_000 * slack);
      const answers = (await ledger.answers()).slice(calm);
      const slowest = Math.max(...times);
      const p95 = quantile(
        answers.map(({ ms }) => ms),
        0.95,
      );
      const errors = answers.filter(({ path, status }) => path.endsWith('/list') && (status ?? 500) >= 500);
      check(errors.length === 0, `the list was answered with ${errors[0]?.status}`);
      say(`${times.length} viewers are back within ${Math.round(slowest)} ms, REST p95 ${Math.round(p95)} ms`);
      check(slowest <= STORM_DEADLINE_MS * slack, `the last viewer came back after ${Math.round(slowest)} ms`);
      check(p95 <= STORM_P95_MS * slack, `the p95 of the list was ${Math.round(p95)} ms`);
    },
  },
];
