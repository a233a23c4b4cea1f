/** What each setting may be, and what it is when nobody sets it: as names and values stand in environment and file. */
import { z } from 'zod';

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

function serverUrl(pattern: RegExp, example: string) {
  // Of several hosts, which only Postgres knows, the first one stands for all.
  return z
    .string()
    .refine(
      (url) => pattern.test(url) && URL.canParse(url.replace(/,[^/?]*/, '')) && isDecodable(url),
      `must be an address like ${example}`,
    );
}

/** Whoever connects decodes user and password. */
function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function isAbsolute(path: string): boolean {
  return path.startsWith('/') || path === '~' || path.startsWith('~/');
}

/** A host as it stands in an address. */
export function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** All settings. A default that depends on another setting is given in `lib/config.ts`. */
export const settingsSchema = z.object({
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
  HOLDFAST_MODE: z.enum(['development', 'production'], { error: 'must be development or production' }).optional(),
  HOLDFAST_STORE: z.enum(['auto', 'memory', 'embedded'], { error: 'must be auto, memory or embedded' }).default('auto'),
  SESSION_BACKEND: z.enum(['redis', 'sqlite', 'memory'], { error: 'must be redis, sqlite or memory' }).optional(),
  SESSION_TTL: whole('a number of seconds', 31_536_000).default(3600),
  DATABASE_URL: serverUrl(/^postgres(ql)?:\/\//, 'postgres://USER:PASSWORD@HOST:5432/NAME').optional(),
  DATABASE_ENABLED: flag.default(true),
  DATABASE_TIMEOUT: whole('a number of milliseconds', 4100, 100).default(4100),
  REDIS_URL: serverUrl(/^rediss?:\/\/[^/?#]*(\/\d*)?([?#]|$)/, 'redis://:PASSWORD@HOST:6379/0').optional(),
  REDIS_ENABLED: flag.default(true),
  REDIS_HOST: z
    .string()
    .refine(
      (host) => URL.canParse(`redis://${hostInUrl(host)}`) && /^[\w.:-]+$/.test(host),
      'must be a host name or an address',
    )
    .optional(),
  REDIS_PORT: port.default(6379),
  REDIS_PASSWORD: z.string({ error: 'must be a text' }).optional(),
  REDIS_DB: whole('a whole number', 65_535, 0).default(0),
  HOLDFAST_PUBLIC_URL: httpUrl.optional(),
  HOLDFAST_PUBLIC_WS_URL: wsUrl.optional(),
  HOLDFAST_MAX_SESSIONS_PROJECT: limit(1000).default(10),
  HOLDFAST_MAX_SESSIONS_USER: limit(10_000).default(100),
  HOLDFAST_MAX_SESSIONS_NODE: limit(100_000).optional(),
  HOLDFAST_MAX_SESSIONS_CLUSTER: limit(1_000_000).default(1000),
  HOLDFAST_MAX_SOCKETS: limit(100_000).optional(),
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

/** Every setting after parsing. */
export type Settings = z.infer<typeof settingsSchema>;

/** The names of all settings, as they stand in the environment and in `holdfast.toml`. */
export const SETTING_NAMES = settingsSchema.keyof().options;
export type SettingName = (typeof SETTING_NAMES)[number];

const SECRET_NAMES: readonly SettingName[] = ['REDIS_PASSWORD', 'HOLDFAST_METRICS_TOKEN', 'NEXTAUTH_SECRET'];

/** A setting's value for people to read: of a secret only whether it is set, of an address no password and no parameters. */
export function showValue(name: SettingName, value: unknown): string {
  if (value === undefined) return 'not set';
  if (SECRET_NAMES.includes(name)) return 'set';
  const text = String(value);
  return name.endsWith('_URL') ? showUrl(text) : text;
}

/** An address without password and parameters. */
function showUrl(text: string): string {
  if (!URL.canParse(text)) return 'set';
  const url = new URL(text);
  url.password = '';
  url.search = '';
  url.hash = '';
  return url.href;
}

/** What says where records are kept, and how to get there, with what the launcher adds to it: only web needs to know. */
export const STORE_NAMES: readonly string[] = [
  'HOLDFAST_EMBEDDED_URL',
  'HOLDFAST_STORE_NOTE',
  'HOLDFAST_STORE',
  'SESSION_BACKEND',
  'DATABASE_URL',
  'DATABASE_ENABLED',
  'DATABASE_TIMEOUT',
  'REDIS_URL',
  'REDIS_ENABLED',
  'REDIS_HOST',
  'REDIS_PORT',
  'REDIS_PASSWORD',
  'REDIS_DB',
  'SESSION_TTL',
];
