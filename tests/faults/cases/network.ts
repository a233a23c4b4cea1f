/** Faults of the line between a client and the gateway. */
import { setTimeout as sleep } from 'node:timers/promises';
import { dumpTerminal } from '@/tests/harness/dump';
import { residentBytes, until } from '@/tests/harness/processes';
import { check, type FaultCase } from '../case';
import { FaultClient } from '../client';

const SLOW_BYTES_PER_SECOND = 1_000;
const SLOW_MS = 6_000;
/** What the gateway may grow by for one slow client: its window and its socket's buffers. */
const SLOW_MEMORY_BYTES = 32 * 1024 * 1024;
/** A viewer beside the slow one gets at least this (bytes per second). */
const NEIGHBOUR_RATE = 2_000_000;
const CLIENT_SILENCE_MS = 35_000 + 2_500;
const FREED_MS = 45_000;
/** Longer than typed input is sent again by itself. */
const OUTAGE_MS = 12_000;
/** Lines of 48 bytes: 3 MB, which fit the ring. */
const OUTAGE_LINES = 60_000;

export const networkCases: FaultCase[] = [
  {
    id: 'C31',
    title: 'a client reads 1 kB/s while its program floods',
    group: 'engine',
    stage: 'shared',
    isQuick: true,
    async run({ stack, load, chance, onEnd, slack, say }) {
      const member = chance.pick(load.of('idle'));
      const slow = await FaultClient.open(stack, member.id, { mode: 'read', hasTerminal: true });
      const quick = await FaultClient.open(stack, member.id, { mode: 'read', hasTerminal: true });
      onEnd(() => {
        for (const client of [slow, quick]) {
          client.close();
          stack.clients.delete(client);
        }
      });
      slow.line.throttle(SLOW_BYTES_PER_SECOND);
      const memoryBefore = residentBytes(stack.gatewayPid);
      const before = quick.outputBytes;
      member.client.type("yes 'a line of this flood'\r");
      await until('the flood has begun', () => quick.outputBytes > before + 100_000, 10_000 * slack);
      const [from, startedAt] = [quick.outputBytes, performance.now()];
      await sleep(SLOW_MS);
      const rate = ((quick.outputBytes - from) / (performance.now() - startedAt)) * 1000;
      const growth = residentBytes(stack.gatewayPid) - memoryBefore;
      member.client.type('\x03');
      check(rate >= NEIGHBOUR_RATE / slack, `the viewer beside it got ${Math.round(rate)} B/s`);
      check(growth <= SLOW_MEMORY_BYTES * slack, `the gateway grew by ${growth} bytes`);
      slow.line.throttle(null);
      const isShown = () =>
        JSON.stringify(dumpTerminal(slow.terminal)) === JSON.stringify(dumpTerminal(quick.terminal));
      await until('the slow viewer shows what the other shows', isShown, 20_000 * slack);
      check(slow.gaps > 0, 'the slow viewer was not told that output was skipped');
      say(
        `beside it ${(rate / 1e6).toFixed(1)} MB/s, ${slow.gaps} announced gaps, gateway +${Math.round(growth / 1e6)} MB`,
      );
    },
  },
  {
    id: 'C32',
    title: 'a client vanishes without a word',
    group: 'engine',
    stage: 'shared',
    async run({ stack, load, chance, onEnd, slack, say }) {
      const member = chance.pick(load.of('idle'));
      const viewers = async () => (await stack.terminal(member.id)).viewers;
      await until('its own viewer is counted', async () => (await viewers()) === 1);
      const half = await FaultClient.open(stack, member.id, { mode: 'read' });
      onEnd(() => {
        half.close();
        stack.clients.delete(half);
      });
      await until('both viewers are counted', async () => (await viewers()) === 2);
      half.line.vanish();
      half.line.cut();
      const since = performance.now();
      await Promise.all([
        until('the client knows', () => half.kind !== 'live', CLIENT_SILENCE_MS * slack).then(() =>
          say(`the client knew after ${Math.round((performance.now() - since) / 1000)} s`),
        ),
        until('the viewer is freed', async () => (await viewers()) === 1, FREED_MS * slack + 1_000).then(() =>
          say(`the gateway knew after ${Math.round((performance.now() - since) / 1000)} s`),
        ),
      ]);
      half.line.heal();
      half.connection.wake();
      await half.isLive();
      await until('it is counted again', async () => (await viewers()) === 2);
    },
  },
  {
    id: 'C33',
    title: 'the network goes for 12 s and comes back, with 3 MB printed meanwhile',
    group: 'engine',
    stage: 'shared',
    isQuick: true,
    async run({ load, chance, slack, say }) {
      const [writer, typist] = [chance.pick(load.of('writer')), chance.pick(load.of('typist'))];
      const isVanished = chance.happens(0.5);
      const lines = [writer.client.line, typist.client.line];
      const [gaps, unsent] = [writer.client.gaps, typist.typist?.questions ?? 0];
      for (const line of lines) {
        if (isVanished) line.vanish();
        line.cut();
      }
      load.burst(writer, OUTAGE_LINES);
      await sleep(OUTAGE_MS);
      const printed = writer.writer?.last ?? 0;
      for (const line of lines) line.heal();
      // As a browser does when the network is back.
      for (const { client } of [writer, typist]) client.connection.wake();
      await until(
        'both are live again',
        () => writer.client.kind === 'live' && typist.client.kind === 'live',
        20_000 * slack,
      );
      const isCaughtUp = () => (writer.writer?.last ?? 0) >= printed + OUTAGE_LINES;
      await until('everything missed has come', isCaughtUp, 30_000 * slack);
      check(writer.client.gaps === gaps, 'output was skipped though the ring held it');
      const shown = () => (typist.typist?.questions ?? 0) > unsent;
      await until('what was typed meanwhile is shown as unsent', shown, 5_000 * slack);
      say(
        `${isVanished ? 'without a word' : 'with a reset'}, ${(writer.writer?.last ?? 0) - printed} lines came later`,
      );
    },
  },
];
