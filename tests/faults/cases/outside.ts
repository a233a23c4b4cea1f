/** Faults around the processes: another build, a log that nobody reads, a clock that is set. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { poolReplySchema } from '@/lib/protocol/control';
import { closeCode } from '@/lib/protocol/errors';
import { TICKET_TTL_MS } from '@/lib/protocol/limits';
import { TICKET_PREFIX } from '@/lib/protocol/wire';
import { bundleSidecar } from '@/tests/harness/bundle';
import { isRunning, until } from '@/tests/harness/processes';
import { startSidecar } from '@/tests/harness/sidecar';
import { openViewer } from '@/tests/harness/viewer';
import { check, type FaultCase, type Scene } from '../case';

/** Refused sockets, each of which is a line in the log: more than a pipe holds, and more than may wait for it. */
const REFUSALS = { quick: 1_500, full: 8_000 };
const ECHO_MS = 500;
const HOUR_S = 3_600;
const STEPS = 8;
const FAKETIME = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib', '/usr/lib64']
  .map((directory) => join(directory, 'faketime', 'libfaketime.so.1'))
  .find((file) => existsSync(file));

/** The same program as the next version would be: a newer link, and another version's name. */
async function nextBuild(onEnd: (undo: () => unknown) => void): Promise<string> {
  const program = await bundleSidecar();
  const directory = mkdtempSync(`${dirname(program)}-next-`);
  onEnd(() => rmSync(directory, { recursive: true, force: true }));
  cpSync(dirname(program), directory, { recursive: true });
  for (const name of ['gateway.js', 'host.js']) {
    const file = join(directory, name);
    const source = readFileSync(file, 'utf8');
    const changed = source
      .replace(/(LINK_REVISION = )(\d+);/, (_, start: string, revision: string) => `${start}${Number(revision) + 1};`)
      .replace(/(\bVERSION = )"[^"]+";/, '$1"99.0.0";');
    check(changed !== source, `${name} has no revision to change`);
    writeFileSync(file, changed);
  }
  return join(directory, basename(program));
}

/** Sets the clock that web and gateway read, by so many seconds from the real one. */
function setClock({ stack }: Pick<Scene, 'stack'>, seconds: number): void {
  writeFileSync(clockFile(stack.app.directory), `${seconds < 0 ? '' : '+'}${seconds}`);
}

function clockFile(directory: string): string {
  return join(directory, 'clock');
}

export const outsideCases: FaultCase[] = [
  {
    id: 'C30',
    title: 'the clock is set two hours ahead, two hours back, and again each second',
    group: 'engine',
    stage: 'own',
    plan: {
      prepare(app) {
        writeFileSync(clockFile(app.directory), '+0');
        Object.assign(app.env, {
          LD_PRELOAD: FAKETIME,
          FAKETIME_TIMESTAMP_FILE: clockFile(app.directory),
          FAKETIME_NO_CACHE: '1',
          DONT_FAKE_MONOTONIC: '1',
        });
        return () => undefined;
      },
    },
    load: { writers: 2, typists: 2, idle: 3, builds: 1 },
    obstacle: () => (FAKETIME ? null : 'it needs libfaketime (apt-get install faketime)'),
    async run(scene) {
      const { stack, load, chance, slack, onEnd, say } = scene;
      onEnd(() => setClock(scene, 0));
      const member = chance.pick(load.of('idle'));
      const old = await stack.attach(member.id, 'read');
      const mintedAt = performance.now();
      setClock(scene, 2 * HOUR_S);
      await sleep(2_000);
      setClock(scene, -2 * HOUR_S);
      await until(
        'the ticket is old',
        () => performance.now() - mintedAt > TICKET_TTL_MS + 1_000,
        TICKET_TTL_MS + 5_000,
      );
      for (const seconds of [-2 * HOUR_S, -60, 0]) {
        setClock(scene, seconds);
        await sleep(300);
        const ticket = old.protocols.find((name) => name.startsWith(TICKET_PREFIX))?.slice(TICKET_PREFIX.length) ?? '';
        const viewer = await openViewer({ url: old.connectionUrl, ticket, origin: null });
        const { code } = await viewer.closed;
        check(code === closeCode('unauthorized'), `a ticket of 31 s ago, at ${seconds} s, was closed with ${code}`);
      }
      for (let step = 0; step < STEPS; step++) {
        setClock(scene, Math.round(chance.between(-2, 2) * HOUR_S));
        await sleep(1_000);
        chance.pick(load.living).client.line.reset();
        const { status } = await stack.rest('GET', '/api/terminal/list');
        check(status === 200, `the list was answered with ${status}: signed out by the clock`);
      }
      setClock(scene, 0);
      await until(
        'every viewer is live',
        () => [...stack.clients].every(({ kind }) => kind === 'live'),
        20_000 * slack,
      );
      const renamed = await stack.terminal(member.id);
      for (const [offset, tabName] of [[HOUR_S, 'later'] as const, [-HOUR_S, 'earlier'] as const]) {
        setClock(scene, offset);
        const { rev } = await stack.terminal(member.id);
        const { status } = await stack.rest('PATCH', `/api/terminal/${member.id}`, { tabName, rev });
        check(status === 200, `a rename under another clock was answered with ${status}`);
      }
      const now = await stack.terminal(member.id);
      check(now.tabName === 'earlier' && now.rev === renamed.rev + 2, 'an older clock lost to a newer one');
      say(`${STEPS} steps of the clock`);
    },
  },
  {
    id: 'C40',
    title: 'an old gateway meets a new host, and the reverse',
    group: 'engine',
    stage: 'alone',
    async run({ onEnd }) {
      const [oldBuild, newBuild] = [await bundleSidecar(), await nextBuild(onEnd)];
      const sidecar = await startSidecar();
      onEnd(() => sidecar.stop());
      const hostOf = async (id: string) => {
        const { backends } = poolReplySchema.parse((await sidecar.control('GET', '/v1/pool')).json);
        return backends.find(({ hostId }) => hostId === id) ?? null;
      };
      const types = async (session: { id: string; epoch: number }, word: string) => {
        const viewer = await sidecar.connect(session);
        await viewer.attach();
        await viewer.line(`echo ${word.slice(0, 2)}''${word.slice(2)}`);
        await viewer.waitForText(word);
        await viewer.close();
      };

      const first = await sidecar.openSession();
      await types(first, 'before');
      sidecar.setProgram(newBuild);
      await sidecar.restartGateway();
      await types(first, 'onward');
      const second = await sidecar.openSession();
      check(second.hostId !== first.hostId, 'a new session went to a host of the old build');
      check((await hostOf(first.hostId))?.state === 'draining', 'the host of the old build takes new sessions');
      await types(second, 'newest');

      sidecar.setProgram(oldBuild);
      await sidecar.restartGateway();
      await types(first, 'back');
      check(isRunning(second.pid), 'an old gateway ended a session of a new host');
      const viewer = await sidecar.connect(second);
      const answer = await Promise.race([viewer.attach().then(() => null), viewer.closed]).catch(() => viewer.closed);
      const isRefused = answer !== null && answer.code === closeCode('upgrade_required');
      check(answer === null || isRefused, `a newer host was answered with ${answer?.code} ${answer?.reason}`);

      sidecar.setProgram(newBuild);
      await sidecar.restartGateway();
      await types(second, 'again');
      await types(first, 'also');
      check(isRunning(first.pid) && isRunning(second.pid), 'a session ended over the changes of build');
    },
  },
  {
    id: 'C44',
    title: 'nobody reads the log',
    group: 'engine',
    stage: 'alone',
    isQuick: true,
    async run({ onEnd, slack, say, isQuick }) {
      const asked = isQuick ? REFUSALS.quick : REFUSALS.full;
      const sidecar = await startSidecar({ isLogBlocked: true });
      onEnd(() => sidecar.stop());
      const session = await sidecar.openSession();
      const viewer = await sidecar.connect(session);
      await viewer.attach();
      const url = `${sidecar.wsUrl}/v1/sessions/${session.id}`;
      const refuse = async () => {
        const refused = await openViewer({ url, ticket: 'bm8.bm8', origin: sidecar.origin });
        await refused.closed;
      };
      for (let n = 0; n < asked; n += 50) await Promise.all(Array.from({ length: 50 }, refuse));
      const startedAt = performance.now();
      await viewer.line("echo still''here");
      await viewer.waitForText('stillhere', 0, ECHO_MS * slack * 4);
      const ms = performance.now() - startedAt;
      check(ms <= ECHO_MS * slack, `with a full log an echo took ${Math.round(ms)} ms`);
      sidecar.readLogs();
      await until(
        'what was kept can be read',
        () => sidecar.logs.some((line) => line.includes('socket refused')),
        10_000,
      );
      const dropped = () =>
        Number(/"dropped":(\d+)/.exec(sidecar.logs.findLast((line) => line.includes('"dropped"')) ?? '')?.[1] ?? 0);
      const isCounted = async () => {
        await refuse(); // the count follows the next line that can be written
        return dropped() > 0;
      };
      if (!isQuick) await until('what was lost is counted', isCounted, 10_000);
      say(`echo after ${Math.round(ms)} ms; ${dropped()} lines of the log were dropped and counted`);
      await viewer.close();
    },
  },
];
