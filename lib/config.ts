/**
 * Every setting: environment over `holdfast.toml` over default, parsed once. The only file of the product that reads
 * `process.env`; two tools' own settings read one variable each, `next.config.ts` and `playwright.config.ts`.
 */
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { SETTING_NAMES, type SettingName, settingsSchema, showValue } from './config-settings';
import { type Origin, readSettings } from './config-sources';
import { chooseStore, type StoreChoice, storeEnvironment, storeProblems } from './config-store';

/** A unix socket's path holds this many bytes on Linux and on macOS. */
export const SOCKET_PATH_BYTES_MAX = process.platform === 'darwin' ? 103 : 107;
/** What the gateway puts below the run directory at most. */
const LONGEST_SOCKET_NAME = '/hosts/12345678.sock';

const MEGABYTE = 1_000_000;
const DAY_MS = 86_400_000;
const MAX_SOCKETS = { development: 100, production: 1_000 };

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? resolve(join(homedir(), path.slice(1))) : path;
}

const directoriesSchema = settingsSchema.pick({ HOLDFAST_DATA_DIR: true, HOLDFAST_RUN_DIR: true });

/** Environment variables, of this process or to be. */
export type Environment = Record<string, string | undefined>;

/** What a process of Holdfast is configured with. Paths are absolute, limits counts, URLs without a trailing slash. */
export type Config = StoreChoice & {
  mode: 'development' | 'production';
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
  /** The first connection to the database may take this long (ms), and a call afterwards at most 300 ms. */
  databaseTimeoutMs: number;
  /** How long the cache in Redis keeps its copy of a record (ms). */
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
  /** Sockets that the gateway holds open at most. */
  maxSockets: number;
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
  const read = readSettings(env, directory);
  const { settings, given } = read;
  const problems = [...read.problems];
  // Read apart from the others, so that a mistake there does not hide one here.
  const places = directoriesSchema.safeParse(given);
  const { dataDir, runDir } = directoriesOf(places.data ?? {}, env);
  if (places.success) problems.push(...socketProblems(runDir));
  if (settings && settings.BACKEND_POOL_FLOOR > settings.BACKEND_POOL_SIZE) {
    problems.push(`BACKEND_POOL_FLOOR: must not be above BACKEND_POOL_SIZE, which is ${settings.BACKEND_POOL_SIZE}`);
  }
  if (settings) problems.push(...storeProblems(settings, read));
  if (!settings || problems.length > 0) throw new ConfigError(problems);

  const urlHost = settings.HOST === '::1' ? '[::1]' : settings.HOST;
  const publicUrl = (settings.HOLDFAST_PUBLIC_URL ?? `http://${urlHost}:${settings.PORT}`).replace(/\/+$/, '');
  const publicWsUrl = (settings.HOLDFAST_PUBLIC_WS_URL ?? `ws://${urlHost}:${settings.WS_PORT}`).replace(/\/+$/, '');
  const mode = settings.HOLDFAST_MODE ?? (env['NODE_ENV'] === 'development' ? 'development' : 'production');
  const loopbackOrigins = ['localhost', '127.0.0.1', '[::1]'].map((name) => `http://${name}:${settings.PORT}`);

  return {
    mode,
    host: settings.HOST,
    webPort: settings.PORT,
    wsPort: settings.WS_PORT,
    dataDir,
    runDir,
    shell: (settings.HOLDFAST_SHELL && expandHome(settings.HOLDFAST_SHELL)) ?? (env['SHELL'] || '/bin/sh'),
    agentCommand: settings.HOLDFAST_AGENT_COMMAND.split(/\s+/).filter(Boolean),
    roots: (settings.HOLDFAST_ROOTS ?? homedir()).split(':').filter(Boolean).map(expandHome),
    ephemeral: settings.HOLDFAST_EPHEMERAL,
    ...chooseStore(settings, read, {
      embeddedUrl: env['HOLDFAST_EMBEDDED_URL'] || undefined,
      note: env['HOLDFAST_STORE_NOTE'] || undefined,
    }),
    databaseTimeoutMs: settings.DATABASE_TIMEOUT,
    sessionTtlMs: settings.SESSION_TTL * 1000,
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
    maxSockets: settings.HOLDFAST_MAX_SOCKETS ?? MAX_SOCKETS[mode],
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

/** A setting as it is in effect, with nothing in its value that has to stay secret. */
export type EffectiveSetting = { name: SettingName; value: string; origin: Origin };

/** Every setting in effect, and where its value comes from. @throws ConfigError as `loadConfig` */
export function effectiveSettings(
  env: Environment = process.env,
  directory: string = process.cwd(),
): EffectiveSetting[] {
  const spelled: Environment = settingsEnvironment(loadConfig(env, directory));
  const { settings, given, origin } = readSettings(env, directory);
  return SETTING_NAMES.map((name) => {
    const value = given[name] ?? spelled[name] ?? settings?.[name];
    return { name, value: showValue(name, value), origin: origin(name) };
  });
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
    HOLDFAST_MODE: config.mode,
    ...storeEnvironment(config),
    DATABASE_TIMEOUT: String(config.databaseTimeoutMs),
    SESSION_TTL: String(config.sessionTtlMs / 1000),
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
    HOLDFAST_MAX_SOCKETS: String(config.maxSockets),
    SERVER_ID: config.nodeId,
    ...(config.nextAuthSecret !== undefined && { NEXTAUTH_SECRET: config.nextAuthSecret }),
  };
}

/** The environment of this process, for the gateway to pick a shell's variables from. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}
