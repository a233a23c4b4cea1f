/** Runs web and sidecar until it is told to stop: what `start` and `dev` have in common. */
import { get } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Config } from '@/lib/config';
import { createLoginToken } from '@/lib/secrets';
import { systemCode } from '@/lib/system-code';
import { endRecordedChildren, recordChild } from './child-record';
import { CommandError } from './command-error';
import { checkPaths, logFile, prepareDirectories, rotateLogs, tailOf } from './directories';
import { EmbeddedDatabase } from './embedded';
import { sayGoodbye } from './farewell';
import { askLauncher, takeLauncherLock } from './launcher-lock';
import { parseJson } from './parse-json';
import { onStopSignals } from './stop-signals';
import { type ChildSpec, QUICK_DEATHS_MAX, SupervisedChild } from './supervise';

const READY_DEADLINE_MS = 60_000;
const READY_POLL_MS = 50;
const PROBE_DEADLINE_MS = 20_000;
const STOP_GRACE_MS = 4_000;
const TAIL_LINES = 20;

/** What web and gateway answer when browsers can use them. Web may have to do without something, but not without the sidecar. */
const isReadySchema = z.union([
  z.object({ status: z.enum(['ready', 'ok']) }),
  z.object({
    status: z.literal('degraded'),
    degraded: z.array(z.string()).refine((missing) => missing.length > 0 && !missing.includes('sidecar')),
  }),
]);

const missingSchema = z.object({ degraded: z.array(z.string()) });
/** What is said at the start when a store does not answer, by its name in `degraded`. */
const AWAY: Readonly<Record<string, string>> = {
  db: 'The database cannot be used yet: changes wait on the disk of this machine.',
  redis: 'Redis cannot be used yet; everything else works.',
};

/** What to run, and what to do before web and sidecar are started. */
export type Launch = {
  config: Config;
  prepare: (signal: AbortSignal) => Promise<void>;
  /** The processes, with the settings that are in effect once the database runs or cannot. */
  children: (config: Config) => ChildSpec[];
  say: (line: string) => void;
};

/** Runs everything until a stop signal or `holdfast stop`, and gives the exit code. */
export async function launch({ config, prepare, children, say }: Launch): Promise<number> {
  checkPaths(config);
  prepareDirectories(config);
  const stopping = new AbortController();
  let isReady = false;
  const lock = await takeLauncherLock([config.dataDir, config.runDir], {
    status: () => ({ pid: process.pid, publicUrl: config.publicUrl, isReady }),
    stop: () => stopping.abort(),
  });
  if (!lock) throw await alreadyRunning(config);

  const supervised: SupervisedChild[] = [];
  const database = new EmbeddedDatabase({ config, say });
  const removeSignals = onStopSignals({
    stop: () => stopping.abort(),
    force: () => {
      for (const child of [...supervised, database]) child.kill();
      process.exit(130);
    },
  });
  let farewell = '';
  try {
    await endRecordedChildren(config.runDir, STOP_GRACE_MS);
    await checkPorts(config);
    rotateLogs(config);
    const [prepared, settled] = await Promise.allSettled([prepare(stopping.signal), database.start(stopping.signal)]);
    if (prepared.status === 'rejected') throw prepared.reason;
    if (settled.status === 'rejected') throw settled.reason;
    if (stopping.signal.aborted) return 0;
    for (const spec of children(settled.value)) {
      const onStart = recordChild.bind(null, config.runDir, spec.name);
      supervised.push(new SupervisedChild(spec, { say, onStart }));
    }
    await waitUntilReady(config, supervised, stopping.signal);
    if (!stopping.signal.aborted) {
      isReady = true;
      say(`Holdfast is ready: ${config.publicUrl}/#t=${createLoginToken(config.dataDir)}`);
      const stopped = new Promise((resolve) => stopping.signal.addEventListener('abort', resolve, { once: true }));
      const away = AWAY[(await missingStores(config, stopping.signal))[0] ?? ''];
      if (away) say(`${away} ${logFile(config, 'web')} says why.`);
      await stopped;
    }
    farewell = await sayGoodbye(config);
    return 0;
  } finally {
    await Promise.all(supervised.map((child) => child.stop(STOP_GRACE_MS)));
    await database.stop();
    if (farewell) say(farewell);
    removeSignals();
    await lock.release(farewell);
  }
}

/** What web does without, as far as it concerns its stores. */
async function missingStores({ host, webPort }: Config, signal: AbortSignal): Promise<string[]> {
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${webPort}/api/ready`;
  const ready = missingSchema.safeParse(await probe(url, signal));
  return ready.data?.degraded.filter((part) => part in AWAY) ?? [];
}

async function alreadyRunning({ dataDir, runDir }: Config): Promise<CommandError> {
  const status = await askLauncher(dataDir);
  const other = status ? null : await askLauncher(runDir);
  if (other)
    return new CommandError(
      `HOLDFAST_RUN_DIR: the Holdfast of another data directory (pid ${other.pid}) uses ${runDir}.`,
    );
  const pid = status ? ` (pid ${status.pid})` : '';
  return new CommandError(`Holdfast already runs on this data directory${pid}: open it with \`npm run open\`.`);
}

async function checkPorts({ host, webPort, wsPort }: Config): Promise<void> {
  const ports = [
    { setting: 'PORT', port: webPort },
    { setting: 'WS_PORT', port: wsPort },
  ];
  const problems: string[] = [];
  if (webPort === wsPort) problems.push(`PORT and WS_PORT are both ${webPort}: web and sidecar need one port each.`);
  for (const { setting, port } of ports) {
    const code = await whyPortIsNotFree(host, port);
    if (code === 'EADDRINUSE') {
      problems.push(`${setting}: port ${port} of ${host} is taken by another program. Set ${setting} to a free port.`);
    } else if (code) {
      problems.push(`${setting}: port ${port} of ${host} cannot be used (${code}). Set ${setting} to another port.`);
    }
  }
  if (problems.length > 0) throw new CommandError(problems);
}

function whyPortIsNotFree(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(systemCode(error) ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** Returns when web and gateway answer, or when the launcher is told to stop. */
async function waitUntilReady(config: Config, supervised: SupervisedChild[], signal: AbortSignal): Promise<void> {
  const urlHost = config.host.includes(':') ? `[${config.host}]` : config.host;
  const webUrl = `http://${urlHost}:${config.webPort}/api/ready`; // which asks the gateway, too
  const sidecarUrl = `http://${urlHost}:${config.wsPort}/health`;
  const deadline = Date.now() + READY_DEADLINE_MS;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);

  async function waitFor(child: SupervisedChild): Promise<void> {
    const url = child.spec.name === 'web' ? webUrl : sidecarUrl;
    while (!either.aborted && !isReadySchema.safeParse(await probe(url, either)).success) {
      if (Date.now() > deadline) throw notReady(child, `is not ready after ${READY_DEADLINE_MS / 1000} s`);
      if (child.quickDeaths >= QUICK_DEATHS_MAX) throw notReady(child, 'cannot be started');
      await sleep(READY_POLL_MS);
    }
  }

  try {
    await Promise.all(supervised.map(waitFor));
  } finally {
    failed.abort(); // one that cannot start ends the wait for the other
  }
}

/** Each probe has a connection of its own: an idle one would keep the server from ending in time. */
function probe(url: string, signal: AbortSignal): Promise<unknown> {
  const either = AbortSignal.any([signal, AbortSignal.timeout(PROBE_DEADLINE_MS)]);
  return new Promise((resolve) => {
    get(url, { agent: false, signal: either }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('close', () => resolve(response.statusCode === 200 ? parseJson(body) : null));
    }).once('error', () => resolve(null)); // not listening yet
  });
}

function notReady({ spec }: SupervisedChild, what: string): CommandError {
  const lines = [`The ${spec.name} process ${what}.`];
  if ('file' in spec.output) {
    const { file } = spec.output;
    lines.push(`The end of ${file}:`, ...tailOf(file, TAIL_LINES).map((line) => `  ${line}`));
  }
  return new CommandError(lines);
}
