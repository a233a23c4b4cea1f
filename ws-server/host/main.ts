/**
 * Entry of a pty host: `node host.js holdfast-host '<JSON>'`, started detached by a gateway and independent of it from then on.
 * It knows nothing of users, HTTP, Redis or Next.
 */
import { rmSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { z } from 'zod';
import { createLog } from '@/lib/log';
import { findGroupDirectory, leaveSessionGroups, removeStaleGroups } from './cgroup';
import { removeRecord, writeRecord } from './host-record';
import { endOrphans } from './orphans';
import { HostServer } from './server';

/** How often an empty host asks itself whether to end, and ended sessions are swept (ms). */
const HOUSEKEEPING_MS = 1_000;
/** How often it looks for what crashed hosts have left (ms). */
const ORPHANS_MS = 5_000;
/** An ephemeral host waits this long for a gateway (ms). */
const ORPHANED_MS = 5_000;

const argumentsSchema = z.object({
  hostId: z.string(),
  socketPath: z.string(),
  capacity: z.number().int().min(1),
  ephemeral: z.boolean(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
  /** Empty and without connections for so long, the host ends (ms). */
  idleExitMs: z.number().min(0),
  history: z.enum(['off', 'memory', 'disk']),
  /** Where journals lie, the output that each keeps (bytes), and how long one of a session that is over is kept (ms). */
  journal: z.object({ directory: z.string(), bytesMax: z.number().min(1), keptMs: z.number().min(0) }),
  /** A bare shell that nobody uses ends after this (ms); 0 for never. */
  idleTimeoutMs: z.number().min(0),
});

// A flood leaves blocks of rings behind, which V8 keeps until its heap has doubled: a quarter of a host that prints. Set here and
// not on the command line, where a version of Node that does not know it would not start.
setFlagsFromString('--heap-growing-percent=20');

const options = argumentsSchema.parse(JSON.parse(process.argv.at(-1) ?? ''));
const log = createLog('host', options.logLevel);
leaveSessionGroups();
const groupDirectory = findGroupDirectory();
if (groupDirectory !== null) removeStaleGroups(groupDirectory);
const server = new HostServer({
  ...options,
  groupDirectory,
  log,
  history: { kind: options.history, ...options.journal },
});

process.on('SIGHUP', () => undefined);
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => void shutDown('SIGTERM'));
// One session's bug must not end the others; what is broken shows in the log and in that session.
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (err) => {
    server.vitals.errors++;
    log.error({ err }, event);
  });
}

let isShuttingDown = false;

async function shutDown(reason: string): Promise<void> {
  if (isShuttingDown) return;
  isShuttingDown = true;
  const busy = server.sessions.list().filter(({ exit, foreground }) => !exit && foreground !== null);
  log.info({ reason, sessions: server.sessions.size }, 'host ends');
  for (const { id, foreground } of busy) log.warn({ session: id, foreground }, 'a program ends with its host');
  await server.sessions.endAll();
  server.close();
  removeRecord(options.socketPath);
  rmSync(options.socketPath, { force: true });
  // Viewers get their last frames before the process goes.
  setImmediate(() => process.exit(0));
}

// Shells inherit the mask, so it is closed only while this process makes its files.
const usersMask = process.umask(0o077);
await server.listen(options.socketPath);
writeRecord(options.socketPath, groupDirectory);
process.umask(usersMask);
log.info({ hostId: options.hostId, groupDirectory }, 'host listens');

function sweepOrphans(): void {
  endOrphans(options.socketPath, log).catch((err: unknown) => log.error({ err }, 'the search for orphans failed'));
}
sweepOrphans();
setInterval(sweepOrphans, ORPHANS_MS);

let usedAt = Date.now();
let gatewayAt = Date.now();
setInterval(() => {
  const now = Date.now();
  server.sessions.sweep(now);
  if (server.sessions.size > 0 || server.connections > server.gateways) usedAt = now;
  usedAt = Math.max(usedAt, server.sessions.wantedAt);
  if (server.gateways > 0) gatewayAt = now;
  if (now - usedAt > options.idleExitMs) void shutDown('idle');
  if (options.ephemeral && now - gatewayAt > ORPHANED_MS) void shutDown('no gateway');
}, HOUSEKEEPING_MS);
