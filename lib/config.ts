/**
 * Every setting: environment over `holdfast.toml` over default, parsed once. The only file of the product that reads
 * `process.env`; two tools' own settings read one variable each, `next.config.ts` and `playwright.config.ts`.
 */
import { readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import type { StoreKind } from './protocol/rest';
import { systemCode } from './system-code';

/** A unix socket's path holds this many bytes on Linux and on macOS. */
export const SOCKET_PATH_BYTES_MAX = process.platform === 'darwin' ? 103 : 107;
/** What the gateway puts below the run directory at most. */
const LONGEST_SOCKET_NAME = '/hosts/12345678.sock';

const MEGABYTE = 1_000_000;
const DAY_MS = 86_400_000;

const LOOPBACK = ['127.0.0.1', '::1', 'localhost'];

const port = whole('a port number', 65_535);
const limit = (max: number) => whole('a whole number', max);
/** A directory or program by its whole path: a relative one would depend on where the command is run. */
const absolutePath = z
  .string()
  .refine(
    (path) => path.startsWith('/') || path === '~' || path.startsWith('~/'),
    'must be absolute, or begin with ~/',
  );
const flag = z
  .literal([true, false, '0', '1', 'true', 'false', ''], { error: 'must be 0 or 1' })
  .transform((value) => value === true || value === '1' || value === 'true');
const httpUrl = addressOf(/^https?$/, 'http or https');
const wsUrl = addressOf(/^wss?$/, 'ws or wss');

function whole(what: string, max: number, min = 1) {
  const error = `must be ${what} from ${min} to ${max}`;
  return z.coerce.number({ error }).int(error).min(min, error).max(max, error);
}

/** An address without a path: Holdfast answers at the root of a host. */
function addressOf(protocol: RegExp, names: string) {
  return z
    .url({ protocol, error: `must be a ${names} address` })
    .refine((url) => !URL.canParse(url) || new URL(url).pathname === '/', 'must not have a path');
}

function isAbsolute(path: string): boolean {
  return path.startsWith('/') || path === '~' || path.startsWith('~/');
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? resolve(join(homedir(), path.slice(1))) : path;
}

const settingsSchema = z.object({
  HOST: z
    .string()
    .default('127.0.0.1')
    .refine(
      (host) => LOOPBACK.includes(host),
      'must be a loopback address: anyone who reaches another address could type into your shells. Use an SSH tunnel (ssh -L 4110:127.0.0.1:4110 -L 4001:127.0.0.1:4001 HOST)',
    ),
  PORT: port.default(4110),
  WS_PORT: port.default(4001),
  HOLDFAST_DATA_DIR: absolutePath.optional(),
  HOLDFAST_RUN_DIR: absolutePath.optional(),
  HOLDFAST_SHELL: absolutePath.optional(),
  HOLDFAST_AGENT_COMMAND: z
    .string()
    .refine((command) => command.trim() !== '', 'must name a command')
    .default('claude'),
  HOLDFAST_ROOTS: z
    .string()
    .refine((roots) => roots.split(':').some(Boolean), 'must name at least one directory')
    .refine(
      (roots) => roots.split(':').filter(Boolean).every(isAbsolute),
      'must be absolute paths, or begin with ~/, separated by colons',
    )
    .optional(),
  HOLDFAST_EPHEMERAL: flag.default(false),
  HOLDFAST_PUBLIC_URL: httpUrl.optional(),
  HOLDFAST_PUBLIC_WS_URL: wsUrl.optional(),
  HOLDFAST_MAX_SESSIONS_PROJECT: limit(1000).default(10),
  HOLDFAST_MAX_SESSIONS_USER: limit(10_000).default(100),
  HOLDFAST_MAX_SESSIONS_NODE: limit(100_000).optional(),
  HOLDFAST_MAX_SESSIONS_CLUSTER: limit(1_000_000).default(1000),
  HOLDFAST_IDLE_SECONDS: whole('a number of seconds, 0 for never,', 31_536_000, 0).default(1800),
  HOLDFAST_MEMORY_MB: whole('a number of megabytes', 1_048_576, 64).default(500),
  HOLDFAST_MEMORY_CHECK_SECONDS: whole('a number of seconds', 3600).default(30),
  HOLDFAST_HISTORY: z.enum(['off', 'memory', 'disk'], { error: 'must be off, memory or disk' }).default('disk'),
  HOLDFAST_JOURNAL_MB: whole('a number of megabytes', 10_000).default(10),
  HOLDFAST_JOURNAL_DAYS: whole('a number of days', 3650).default(7),
  HOLDFAST_METRICS_TOKEN: z.string().min(16, 'must have at least 16 characters').optional(),
  HOLDFAST_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  MAX_SESSIONS_PER_BACKEND: limit(1000).default(10),
  BACKEND_POOL_SIZE: limit(1000).default(20),
  BACKEND_POOL_FLOOR: limit(1000).default(1),
  SERVER_ID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
    .optional(),
  NEXTAUTH_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
});

const directoriesSchema = settingsSchema.pick({ HOLDFAST_DATA_DIR: true, HOLDFAST_RUN_DIR: true });

/** The names of all settings, as they stand in the environment and in `holdfast.toml`. */
export const SETTING_NAMES = Object.keys(settingsSchema.shape);

/** Variables that Holdfast sets for its own processes and for shells, so a Holdfast that is started from one finds them. */
const OWN_NAMES = ['HOLDFAST_SESSION', 'HOLDFAST_HOST', 'HOLDFAST_SOURCE_MAPS'];

/** Settings with one meaning so far, and the values that ask for it. Any other value is refused instead of ignored. */
const FIXED_SETTINGS = new Map([
  ['AUTH_MODE', ['local']],
  ['HOLDFAST_STORE', ['memory', 'auto']],
]);

/** Variables of databases that Holdfast may be thought to use, but that many other programs are configured with. */
const UNUSED_NAMES = ['DATABASE_URL', 'REDIS_URL', 'REDIS_HOST'];

/** Environment variables, of this process or to be. */
export type Environment = Record<string, string | undefined>;

/** What a process of Holdfast is configured with. Paths are absolute, limits counts, URLs without a trailing slash. */
export type Config = {
  host: string;
  webPort: number;
  wsPort: number;
  /** State that outlives the processes. */
  dataDir: string;
  /** Sockets of gateway and hosts, mode 0700. */
  runDir: string;
  /** The user's shell: an executable that takes `-l`. */
  shell: string;
  /** The agent's command line, split at spaces. */
  agentCommand: string[];
  /** Directories that projects may lie in. */
  roots: string[];
  /** Hosts end with the sidecar. */
  ephemeral: boolean;
  /** Where records are kept. */
  store: StoreKind;
  /** Why that is not what was wanted, for people to read. */
  storeNote: string | undefined;
  /** The database of `embedded`, `postgres` and `redis+postgres`. */
  databaseUrl: string | undefined;
  /** The first connection to the database may take this long (ms), and a call afterwards at most 300 ms. */
  databaseTimeoutMs: number;
  /** The Redis of `redis` and `redis+postgres`. */
  redisUrl: string | undefined;
  /** How long the cache keeps a record of something that has ended (ms). */
  sessionTtlMs: number;
  /** Where browsers find the pages. */
  publicUrl: string;
  /** Where browsers find the gateway. */
  publicWsUrl: string;
  /** Origins that may call REST and open sockets. */
  origins: string[];
  /** `Host` values that the web server answers to, and that the gateway answers to. */
  webHosts: string[];
  wsHosts: string[];
  maxSessionsProject: number;
  maxSessionsUser: number;
  /** Sessions of this node, and of all nodes together. */
  maxSessionsNode: number;
  maxSessionsCluster: number;
  maxSessionsPerHost: number;
  /** Host processes at most, and at least while there is work for them. */
  maxHosts: number;
  minHosts: number;
  /** A bare shell that nobody uses ends after this (ms); 0 for never. */
  idleTimeoutMs: number;
  /** Memory of all our processes above which the node sheds (bytes). */
  memoryBytesMax: number;
  /** How often that is measured (ms). */
  memoryCheckMs: number;
  /** What is kept of output: nothing once a session has ended, only what fits in memory, or a journal on disk. */
  history: 'off' | 'memory' | 'disk';
  /** Raw output that the journal of one session keeps (bytes), and how long after its end (ms). */
  journalBytesMax: number;
  journalKeptMs: number;
  /** Bearer token for `/metrics`: of web, and of the gateway from other addresses than loopback and private ones. */
  metricsToken: string | undefined;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  nodeId: string;
  nextAuthSecret: string | undefined;
};

/** The start cannot go on; `problems` has one line for each mistake. */
export class ConfigError extends Error {
  readonly problems: string[];

  constructor(problems: string[]) {
    super(`Holdfast cannot start with these settings:\n${problems.map((line) => `  ${line}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

function readToml(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return {};
    throw error;
  }
  try {
    return parseToml(text);
  } catch (cause) {
    throw new ConfigError([`${file}: ${(cause instanceof Error ? cause.message : String(cause)).split('\n')[0]}`]);
  }
}

function environmentProblems(env: Environment): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!value) continue;
    const fixed = FIXED_SETTINGS.get(name);
    const isKnown = fixed || !name.startsWith('HOLDFAST_') || SETTING_NAMES.includes(name) || OWN_NAMES.includes(name);
    if (!isKnown) problems.push(`${name}: unknown setting in the environment`);
    if (fixed && !fixed.includes(value)) problems.push(`${name}: this version knows only ${fixed.join(' or ')}`);
  }
  return problems;
}

/** The variables that are set and name a database: this version uses none. */
export function unusedVariables(env: Environment = process.env): string[] {
  return UNUSED_NAMES.filter((name) => env[name]);
}

function directoriesOf(
  given: { HOLDFAST_DATA_DIR?: string | undefined; HOLDFAST_RUN_DIR?: string | undefined },
  env: Environment,
): { dataDir: string; runDir: string } {
  const dataHome = env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share');
  const dataDir = expandHome(given.HOLDFAST_DATA_DIR ?? join(dataHome, 'holdfast'));
  return { dataDir, runDir: expandHome(given.HOLDFAST_RUN_DIR ?? join(dataDir, 'run')) };
}

function socketProblems(runDir: string): string[] {
  const bytes = Buffer.byteLength(runDir + LONGEST_SOCKET_NAME);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return [];
  return [
    `HOLDFAST_RUN_DIR: ${runDir} is too long for unix sockets (${bytes} bytes with a socket's name, ${SOCKET_PATH_BYTES_MAX} are possible): set it to a shorter directory`,
  ];
}

function hostsOf(publicUrl: string, port: number): string[] {
  return [...new Set([`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, new URL(publicUrl).host])];
}

/**
 * Reads the configuration.
 * @param env the environment; a variable that is set to '' counts as not set
 * @param directory where `holdfast.toml` may lie
 * @throws ConfigError with one line per mistake
 */
export function loadConfig(env: Environment = process.env, directory: string = process.cwd()): Config {
  const tomlFile = join(directory, 'holdfast.toml');
  const toml = readToml(tomlFile);
  const problems = Object.keys(toml)
    .filter((name) => !SETTING_NAMES.includes(name))
    .map((name) => `${name}: unknown setting in ${tomlFile}`);
  problems.push(...environmentProblems(env));
  const given = Object.fromEntries(
    SETTING_NAMES.map((name) => [name, env[name] || toml[name]]).filter(([, value]) => value !== undefined),
  );
  const parsed = settingsSchema.safeParse(given);
  for (const issue of parsed.error?.issues ?? []) problems.push(`${issue.path.join('.')}: ${issue.message}`);
  // Read apart from the others, so that a mistake there does not hide one here.
  const places = directoriesSchema.safeParse(given);
  const { dataDir, runDir } = directoriesOf(places.data ?? {}, env);
  if (places.success) problems.push(...socketProblems(runDir));
  if (parsed.success && parsed.data.BACKEND_POOL_FLOOR > parsed.data.BACKEND_POOL_SIZE) {
    problems.push(`BACKEND_POOL_FLOOR: must not be above BACKEND_POOL_SIZE, which is ${parsed.data.BACKEND_POOL_SIZE}`);
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  const settings = parsed.data;

  const urlHost = settings.HOST === '::1' ? '[::1]' : settings.HOST;
  const publicUrl = (settings.HOLDFAST_PUBLIC_URL ?? `http://${urlHost}:${settings.PORT}`).replace(/\/+$/, '');
  const publicWsUrl = (settings.HOLDFAST_PUBLIC_WS_URL ?? `ws://${urlHost}:${settings.WS_PORT}`).replace(/\/+$/, '');
  const loopbackOrigins = ['localhost', '127.0.0.1', '[::1]'].map((name) => `http://${name}:${settings.PORT}`);

  return {
    host: settings.HOST,
    webPort: settings.PORT,
    wsPort: settings.WS_PORT,
    dataDir,
    runDir,
    shell: (settings.HOLDFAST_SHELL && expandHome(settings.HOLDFAST_SHELL)) ?? (env['SHELL'] || '/bin/sh'),
    agentCommand: settings.HOLDFAST_AGENT_COMMAND.split(/\s+/).filter(Boolean),
    roots: (settings.HOLDFAST_ROOTS ?? homedir()).split(':').filter(Boolean).map(expandHome),
    ephemeral: settings.HOLDFAST_EPHEMERAL,
    store: 'memory',
    storeNote: undefined,
    databaseUrl: undefined,
    databaseTimeoutMs: 4100,
    redisUrl: undefined,
    sessionTtlMs: 3_600_000,
    publicUrl,
    publicWsUrl,
    origins: [...new Set([...loopbackOrigins, new URL(publicUrl).origin])],
    webHosts: hostsOf(publicUrl, settings.PORT),
    wsHosts: hostsOf(publicWsUrl, settings.WS_PORT),
    maxSessionsProject: settings.HOLDFAST_MAX_SESSIONS_PROJECT,
    maxSessionsUser: settings.HOLDFAST_MAX_SESSIONS_USER,
    maxSessionsNode:
      settings.HOLDFAST_MAX_SESSIONS_NODE ?? settings.MAX_SESSIONS_PER_BACKEND * settings.BACKEND_POOL_SIZE,
    maxSessionsCluster: settings.HOLDFAST_MAX_SESSIONS_CLUSTER,
    maxSessionsPerHost: settings.MAX_SESSIONS_PER_BACKEND,
    maxHosts: settings.BACKEND_POOL_SIZE,
    minHosts: settings.BACKEND_POOL_FLOOR,
    idleTimeoutMs: settings.HOLDFAST_IDLE_SECONDS * 1000,
    memoryBytesMax: settings.HOLDFAST_MEMORY_MB * MEGABYTE,
    memoryCheckMs: settings.HOLDFAST_MEMORY_CHECK_SECONDS * 1000,
    history: settings.HOLDFAST_EPHEMERAL ? 'off' : settings.HOLDFAST_HISTORY,
    journalBytesMax: settings.HOLDFAST_JOURNAL_MB * MEGABYTE,
    journalKeptMs: settings.HOLDFAST_JOURNAL_DAYS * DAY_MS,
    metricsToken: settings.HOLDFAST_METRICS_TOKEN,
    logLevel: settings.HOLDFAST_LOG_LEVEL,
    nodeId:
      settings.SERVER_ID ??
      (hostname()
        .replace(/[^A-Za-z0-9._-]/g, '-')
        .slice(0, 64) ||
        'node'),
    nextAuthSecret: settings.NEXTAUTH_SECRET,
  };
}

/** The configuration as environment variables, for a process that is started in another directory. */
export function settingsEnvironment(config: Config): Record<string, string> {
  return {
    HOST: config.host,
    PORT: String(config.webPort),
    WS_PORT: String(config.wsPort),
    HOLDFAST_DATA_DIR: config.dataDir,
    HOLDFAST_RUN_DIR: config.runDir,
    HOLDFAST_SHELL: config.shell,
    HOLDFAST_AGENT_COMMAND: config.agentCommand.join(' '),
    HOLDFAST_ROOTS: config.roots.join(':'),
    HOLDFAST_EPHEMERAL: config.ephemeral ? '1' : '0',
    HOLDFAST_PUBLIC_URL: config.publicUrl,
    HOLDFAST_PUBLIC_WS_URL: config.publicWsUrl,
    HOLDFAST_MAX_SESSIONS_PROJECT: String(config.maxSessionsProject),
    HOLDFAST_MAX_SESSIONS_USER: String(config.maxSessionsUser),
    HOLDFAST_LOG_LEVEL: config.logLevel,
    HOLDFAST_MAX_SESSIONS_NODE: String(config.maxSessionsNode),
    HOLDFAST_MAX_SESSIONS_CLUSTER: String(config.maxSessionsCluster),
    HOLDFAST_IDLE_SECONDS: String(config.idleTimeoutMs / 1000),
    HOLDFAST_MEMORY_MB: String(config.memoryBytesMax / MEGABYTE),
    HOLDFAST_MEMORY_CHECK_SECONDS: String(config.memoryCheckMs / 1000),
    HOLDFAST_HISTORY: config.history,
    HOLDFAST_JOURNAL_MB: String(config.journalBytesMax / MEGABYTE),
    HOLDFAST_JOURNAL_DAYS: String(config.journalKeptMs / DAY_MS),
    ...(config.metricsToken !== undefined && { HOLDFAST_METRICS_TOKEN: config.metricsToken }),
    MAX_SESSIONS_PER_BACKEND: String(config.maxSessionsPerHost),
    BACKEND_POOL_SIZE: String(config.maxHosts),
    BACKEND_POOL_FLOOR: String(config.minHosts),
    SERVER_ID: config.nodeId,
    ...(config.nextAuthSecret !== undefined && { NEXTAUTH_SECRET: config.nextAuthSecret }),
  };
}

/** The environment of this process, for the gateway to pick a shell's variables from. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}
