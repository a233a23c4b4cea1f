/** Finds each setting's value: environment over `holdfast.toml` over default, with every mistake on the way. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { SETTING_NAMES, type SettingName, type Settings, settingsSchema } from './config-settings';
import { systemCode } from './system-code';

/** Where a value comes from. */
export type Origin = 'environment' | 'holdfast.toml' | 'default';

/** What was read. `settings` is null when a value cannot be used; `given` holds those that are set, unparsed. */
export type Read = {
  settings: Settings | null;
  given: Readonly<Partial<Record<SettingName, unknown>>>;
  origin: (name: SettingName) => Origin;
  /** One line for each mistake. */
  problems: string[];
};

/** Variables that Holdfast sets for its own processes and for shells, so a Holdfast that is started from one finds them. */
const OWN_NAMES = [
  'HOLDFAST_SESSION',
  'HOLDFAST_HOST',
  'HOLDFAST_SOURCE_MAPS',
  'HOLDFAST_EMBEDDED_URL',
  'HOLDFAST_STORE_NOTE',
];

/** Settings with one meaning so far, and the values that ask for it. Any other value is refused instead of ignored. */
const FIXED_SETTINGS = new Map([['AUTH_MODE', ['local']]]);

type Alias = { name: SettingName; convert?: (value: number) => number };

/** The same settings as tables of the file. Times are milliseconds there. */
const TABLES: Record<string, Record<string, Alias>> = {
  database: { enabled: { name: 'DATABASE_ENABLED' }, timeout: { name: 'DATABASE_TIMEOUT' } },
  memory: {
    maxSessions: { name: 'HOLDFAST_MAX_SESSIONS_NODE' },
    maxMemory: { name: 'HOLDFAST_MEMORY_MB' },
    cleanupInterval: { name: 'HOLDFAST_MEMORY_CHECK_SECONDS', convert: (ms) => ms / 1000 },
  },
  websocket: { port: { name: 'WS_PORT' }, maxConnections: { name: 'HOLDFAST_MAX_SOCKETS' } },
};

type FileSettings = { values: Map<SettingName, unknown>; labels: Map<SettingName, string>; problems: string[] };

function isSettingName(name: string): name is SettingName {
  return SETTING_NAMES.some((known) => known === name);
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function parseFile(file: string): { content: Record<string, unknown>; problems: string[] } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { content: {}, problems: [] };
    throw error;
  }
  try {
    return { content: parseToml(text), problems: [] };
  } catch (cause) {
    const [line] = (cause instanceof Error ? cause.message : String(cause)).split('\n'); // the next ones quote the file
    return { content: {}, problems: [`${file}: ${line}`] };
  }
}

function readFile(file: string): FileSettings {
  const { content, problems } = parseFile(file);
  const values = new Map<SettingName, unknown>();
  const labels = new Map<SettingName, string>();
  const take = (name: SettingName, label: string, value: unknown) => {
    if (values.has(name)) problems.push(`${label}: ${labels.get(name)} in ${file} is the same setting`);
    values.set(name, value);
    labels.set(name, label);
  };
  const takeTable = (table: string, aliases: Record<string, Alias>, entries: Record<string, unknown>) => {
    for (const [key, value] of Object.entries(entries)) {
      const alias = aliases[key];
      const label = `${table}.${key}`;
      if (!alias) problems.push(`${label}: unknown setting in ${file}`);
      else take(alias.name, label, typeof value === 'number' && alias.convert ? alias.convert(value) : value);
    }
  };
  for (const [name, value] of Object.entries(content)) {
    const aliases = TABLES[name];
    if (aliases && isTable(value)) takeTable(name, aliases, value);
    else if (name === 'mode') take('HOLDFAST_MODE', name, value);
    else if (isSettingName(name)) take(name, name, value);
    else problems.push(`${name}: unknown setting in ${file}`);
  }
  return { values, labels, problems };
}

function environmentProblems(env: Record<string, string | undefined>): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!value) continue;
    const fixed = FIXED_SETTINGS.get(name);
    const isKnown = fixed || !name.startsWith('HOLDFAST_') || isSettingName(name) || OWN_NAMES.includes(name);
    if (!isKnown) problems.push(`${name}: unknown setting in the environment`);
    if (fixed && !fixed.includes(value)) problems.push(`${name}: this version knows only ${fixed.join(' or ')}`);
  }
  return problems;
}

/** Other programs have variables of these names, too: they count only where they complete a Redis that is named. */
function forgetRedisParts(given: Partial<Record<SettingName, unknown>>): void {
  const isComplete = given.REDIS_URL !== undefined;
  if (isComplete || given.REDIS_HOST === undefined) {
    delete given.REDIS_PORT;
    delete given.REDIS_DB;
    if (!isComplete) delete given.REDIS_PASSWORD;
  }
}

/**
 * Reads every setting.
 * @param env the environment; a variable that is set to '' counts as not set
 * @param directory where `holdfast.toml` may lie
 */
export function readSettings(env: Record<string, string | undefined>, directory: string): Read {
  const file = readFile(join(directory, 'holdfast.toml'));
  const problems = [...file.problems, ...environmentProblems(env)];
  const given: Partial<Record<SettingName, unknown>> = {};
  for (const name of SETTING_NAMES) {
    const value = env[name] || file.values.get(name);
    if (value !== undefined) given[name] = value;
  }
  forgetRedisParts(given);
  const origin = (name: SettingName): Origin => {
    if (given[name] === undefined) return 'default';
    return env[name] ? 'environment' : 'holdfast.toml';
  };
  const parsed = settingsSchema.safeParse(given);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = String(path[0]);
    const label = isSettingName(name) && origin(name) === 'holdfast.toml' ? file.labels.get(name) : undefined;
    problems.push(`${label ?? name}: ${message}`);
  }
  return { settings: parsed.data ?? null, given, origin, problems };
}
