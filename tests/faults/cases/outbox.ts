/** Faults of what stands between an answer and the database: web itself, its disk, its outbox, its resolver. */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { signal, until } from '@/tests/harness/processes';
import { check, type FaultCase, type Scene } from '../case';
import { Records } from '../records';
import type { StackPlan } from '../stack';
import { balanced, degradedParts, isHealed, whenWeb } from './stores';

const OUTBOX = /^outbox-.*\.jsonl$/;
const RESOLVER = '127.53.0.1';
const DISK_MEGABYTES = 48;

function outboxOf({ stack }: Scene): string {
  const { dataDir } = stack.app;
  return join(dataDir, readdirSync(dataDir).find((name) => OUTBOX.test(name)) ?? 'outbox');
}

function needsRoot(): string | null {
  return process.getuid?.() === 0 ? null : 'it needs root, for a mount of its own';
}

/** The data directory is a small file system, seen by this stack's processes only. */
const smallDisk: NonNullable<StackPlan['prepare']> = ({ dataDir }) => {
  execFileSync('mkdir', ['-p', dataDir]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MEGABYTES}m,mode=700`, 'tmpfs', dataDir]);
  return () => execFileSync('umount', ['-l', dataDir]);
};

export const outboxCases: FaultCase[] = [
  {
    id: 'C21',
    title: 'web is killed again and again while records are written',
    group: 'stores',
    stage: 'own',
    plan: { services: { postgres: {} } },
    load: { idle: 1 },
    deadlineMs: 1_200_000,
    async run(scene) {
      const { stack, chance, ledger, slack, isLong, isQuick, say } = scene;
      const records = new Records(stack, chance);
      const kills = isLong ? 100 : isQuick ? 3 : 8;
      ledger.webGoes();
      records.start();
      for (let kill = 0; kill < kills; kill++) {
        await sleep(chance.between(100, 1_500));
        if (kill % 3 === 1) await stack.services.postgres.kill();
        await sleep(chance.between(10, 400));
        signal(stack.webPid, 'SIGKILL');
        if (kill % 3 === 1) await stack.services.postgres.start();
        const isBack = async () => (await stack.rest('GET', '/api/health').catch(() => null))?.status === 200;
        await until('web is back', isBack, 30_000 * slack);
      }
      await records.stop();
      ledger.webIsBack();
      const done = records.calls.filter(({ status }) => status >= 200 && status < 300).length;
      say(`${kills} kills, ${done} of ${records.calls.length} calls were acknowledged`);
      await balanced(scene, records);
    },
  },
  {
    id: 'C24s',
    title: 'the disk of the outbox is full while the database is down',
    group: 'stores',
    stage: 'own',
    plan: { services: { postgres: {} }, prepare: smallDisk, settings: { HOLDFAST_HISTORY: 'memory' } },
    load: { idle: 1 },
    obstacle: needsRoot,
    async run(scene) {
      const { stack, chance, slack } = scene;
      const records = new Records(stack, chance);
      await records.perform({ creates: 5, renames: 1, deletes: 1 });
      await stack.services.postgres.stop();
      scene.onEnd(() => stack.services.postgres.start());
      await records.perform({ creates: 5, renames: 1, deletes: 1 });
      const filler = join(stack.app.dataDir, 'filler');
      scene.onEnd(() => rmSync(filler, { force: true }));
      try {
        for (const size of [1_048_576, 4_096, 1]) {
          for (;;) writeFileSync(filler, Buffer.alloc(size), { flag: 'a' });
        }
      } catch {
        // it is full now
      }
      const full = new Records(stack, chance);
      full.start();
      await until('a create is refused', () => full.calls.some(({ status }) => status === 507), 20_000 * slack);
      await full.stop();
      check((await degradedParts(stack)).includes('store'), 'web does not say that nothing can be written');
      const strange = full.calls.filter(({ status }) => status >= 500 && status !== 507);
      check(strange.length === 0, `calls were answered with ${strange[0]?.status}`);
      rmSync(filler);
      await until('web can write again', async () => !(await degradedParts(stack)).includes('store'), 15_000 * slack);
      await records.perform({ creates: 3, renames: 0, deletes: 0 });
      await stack.services.postgres.start();
      await balanced(scene, full);
      check((await records.faults()).length === 0, 'what was acknowledged before is not there');
    },
  },
  {
    id: 'C41s',
    title: 'everything is killed, and the outbox is cut and has a flipped byte',
    group: 'stores',
    stage: 'own',
    plan: { services: { postgres: {} } },
    load: { idle: 1 },
    async run(scene) {
      const { stack, chance, ledger, slack, say } = scene;
      await stack.services.postgres.stop();
      const records = new Records(stack, chance);
      await records.perform({ creates: 40, renames: 0, deletes: 0 });
      await whenWeb(scene, 'is killed with its launcher and the gateway', () => {
        for (const pid of [stack.app.launcherPid, stack.webPid, stack.gatewayPid]) process.kill(pid, 'SIGKILL');
      });
      const file = outboxOf(scene);
      truncateSync(file, statSync(file).size - 20);
      const bytes = readFileSync(file);
      const middle = Math.floor(bytes.length / 2);
      bytes[middle] = (bytes[middle] ?? 0) ^ 0x20;
      writeFileSync(file, bytes);
      await stack.app.launch();
      ledger.webIsBack();
      await stack.services.postgres.start();
      await until('the outbox is empty', () => isHealed(stack), 30_000 * slack);
      const lost = (await records.faults()).filter((line) => line.includes('lost'));
      say(`${lost.length} of 40 were in the two damaged lines`);
      check(lost.length <= 2, lost.join('\n  '));
    },
  },
  {
    id: 'C45',
    title: 'nobody tells the address of the database',
    group: 'stores',
    stage: 'own',
    obstacle: needsRoot,
    plan: {
      settings: {
        HOLDFAST_STORE: 'auto',
        DATABASE_URL: 'postgres://app@database.holdfast.test:5432/app',
      },
      wrap: [
        'unshare',
        '-m',
        'sh',
        '-c',
        'mount --bind "$FAULT_RESOLVER" /etc/resolv.conf && shift 0 && exec "$@"',
        'sh',
      ],
      prepare: (app) => {
        const file = join(app.directory, 'resolv.conf');
        writeFileSync(file, `nameserver ${RESOLVER}\noptions timeout:30 attempts:1\n`);
        app.env['FAULT_RESOLVER'] = file;
        return () => undefined;
      },
    },
    load: { idle: 1 },
    async run(scene) {
      const { stack, chance, slack, say } = scene;
      const resolver = createSocket('udp4');
      scene.onEnd(() => resolver.close());
      resolver.bind(53, RESOLVER);
      await once(resolver, 'listening');
      check((await degradedParts(stack)).includes('db'), 'web does not say that the database is away');
      const records = new Records(stack, chance);
      const since = performance.now();
      await records.perform({ creates: 20, renames: 5, deletes: 3 });
      const { maxMs, p95Ms } = records.speed(since);
      say(`slowest ${Math.round(maxMs)} ms, p95 ${Math.round(p95Ms)} ms`);
      check(maxMs <= 1_000 * slack, `the slowest call took ${Math.round(maxMs)} ms`);
      check((await records.faults()).length === 0, 'not everything is there');
    },
  },
];
