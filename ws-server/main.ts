/** The gateway process: finds the hosts, then serves browsers on a port and web on a unix socket. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, ConfigError, loadConfig, ownEnvironment } from '@/lib/config';
import { createLog, type Logger } from '@/lib/log';
import { VERSION } from '@/lib/protocol/version';
import { loadSecret } from '@/lib/secrets';
import { createControlApi, isListening, listenOn } from './control-api';
import { Gateway } from './gateway';
import type { HostRecipe } from './host-process';
import { cleanEnvironment, launchOf } from './launch';
import { MemoryWatch, memoryOf } from './memory-watch';
import { GatewayMetrics } from './metrics';
import { Pool } from './pool';
import { Tickets } from './tickets';

/** After this time (ms) the process ends whatever is still open. */
const SHUTDOWN_DEADLINE_MS = 1_800;

/** A host gives memory back when its sessions are idle: by its own request, and young objects get little room to begin with (MiB). */
const HOST_MEMORY = ['--expose-gc', '--max-semi-space-size=2'];

/** A bundle finds the host's bundle beside itself; sources run through tsx, which the host needs as well. */
function hostRecipe(config: Config): HostRecipe {
  const env = cleanEnvironment(config.shell, ownEnvironment());
  if (!import.meta.url.endsWith('.ts')) {
    return { entry: fileURLToPath(new URL('./host.js', import.meta.url)), execArgv: HOST_MEMORY, env };
  }
  const tsconfig = fileURLToPath(new URL('./tsconfig.json', import.meta.url));
  return {
    entry: fileURLToPath(new URL('./host/main.ts', import.meta.url)),
    execArgv: [...HOST_MEMORY, '--import', import.meta.resolve('tsx')],
    env: { ...env, TSX_TSCONFIG_PATH: tsconfig },
  };
}

function makePrivate(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
}

async function run(config: Config, log: Logger): Promise<void> {
  const { runDir, dataDir } = config;
  const controlSocket = join(runDir, 'control.sock');
  const key = loadSecret(dataDir, 'ticket.key');
  for (const directory of [runDir, join(runDir, 'hosts'), join(dataDir, 'logs')]) makePrivate(directory);
  if (await isListening(controlSocket)) {
    log.fatal({ controlSocket }, 'another gateway runs on this run directory');
    process.exit(1);
  }

  const instanceId = randomBytes(16).toString('base64url');
  const pool = new Pool({ config, recipe: hostRecipe(config), log });
  const metrics = new GatewayMetrics(pool);
  await pool.discover();

  const memoryWatch = new MemoryWatch({
    bytesMax: config.memoryBytesMax,
    intervalMs: config.memoryCheckMs,
    measure: () => memoryOf([process.pid, ...pool.hosts.all().flatMap(({ pid }) => pid ?? [])]),
    sessions: () => pool.sessions(),
    shed: (args) => pool.shed(args),
    log,
  });
  const stopWatching = memoryWatch.start();

  const gateway = new Gateway({ config, instanceId, pool, metrics, tickets: new Tickets({ key, instanceId }), log });
  const control = createControlApi({
    instanceId,
    pool,
    log,
    info: () => {
      const { rss, heapUsed, external } = process.memoryUsage();
      const hostsRss = pool.hosts.metrics().memoryUsage;
      return {
        nodeId: config.nodeId,
        version: VERSION,
        pid: process.pid,
        hosts: pool.hosts.activeBackends,
        isComplete: pool.isComplete,
        sessions: pool.sessions().filter(({ exit }) => !exit).length,
        memory: { rss: rss + hostsRss, heap: heapUsed, external },
        degraded: pool.hosts.hasJournalFault ? ['journal'] : [],
      };
    },
    launch: (request) => {
      memoryWatch.refuseIfShort();
      return launchOf(request, config, ownEnvironment());
    },
    revoke: (match) => {
      const closed = gateway.revoke(match);
      log.info({ ...match, closed }, 'sockets revoked');
      return closed;
    },
  });

  let isStopping = false;
  const stop = async (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    log.info({ signal, sessions: pool.sessions().length }, 'gateway stopping');
    setTimeout(() => process.exit(0), SHUTDOWN_DEADLINE_MS).unref();
    stopWatching();
    control.close();
    control.closeAllConnections();
    await gateway.close();
    pool.close();
    // A host without sessions has nothing to wait for; an ephemeral one ends with us.
    for (const host of pool.hosts.all()) if (config.ephemeral || host.isEmpty) host.terminate();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop(signal));
  // A launcher that gave us a channel and died without a word is followed, so that the next one finds the port free.
  process.on('disconnect', () => void stop('disconnect'));

  await gateway.listen();
  await listenOn(control, controlSocket);
  log.info(
    {
      instanceId,
      host: config.host,
      port: config.wsPort,
      hosts: pool.hosts.activeBackends,
      sessions: pool.sessions().length,
    },
    'gateway ready',
  );
  pool.hosts.keepWarm();
}

function readConfig(): Config {
  try {
    return loadConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    createLog('gateway', 'error').fatal({ problems: error.problems }, 'bad settings');
    process.exit(1);
  }
}

const config = readConfig();
const log = createLog('gateway', config.logLevel);
process.on('SIGHUP', () => log.debug('SIGHUP ignored'));
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (err) => {
    log.fatal({ err }, event);
    process.exit(1);
  });
}
await run(config, log);
