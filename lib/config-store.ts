/** Where records are kept, decided from the settings. */
import { hostInUrl, type Settings } from './config-settings';
import type { Read } from './config-sources';
import type { StoreKind } from './protocol/rest';

/** The store, and what it takes to reach it. */
export type StoreChoice = {
  /** Where records are kept. */
  store: StoreKind;
  /** Why that is not what was wanted, for people to read. */
  storeNote: string | undefined;
  /** Whether a launcher is to run the embedded database. Without its address, records are in memory. */
  wantsEmbedded: boolean;
  /** The database of `embedded`, `postgres` and `redis+postgres`. */
  databaseUrl: string | undefined;
  /** The Redis of `redis` and `redis+postgres`. */
  redisUrl: string | undefined;
};

/** What the launcher tells web of the embedded database. */
export type Provided = { embeddedUrl: string | undefined; note: string | undefined };

type Wish = { setting: 'HOLDFAST_STORE' | 'SESSION_BACKEND'; kind: 'auto' | 'memory' | 'embedded' | 'redis' };

const KIND_OF_BACKEND = { redis: 'redis', sqlite: 'embedded', memory: 'memory' } as const;
const NOWHERE = { storeNote: undefined, wantsEmbedded: false, databaseUrl: undefined, redisUrl: undefined };

/** Both settings name the store. The nearer one counts, and in one place `HOLDFAST_STORE`, unless it leaves it open. */
function wishOf({ HOLDFAST_STORE, SESSION_BACKEND }: Settings, { origin }: Pick<Read, 'origin'>): Wish {
  const byStore: Wish = { setting: 'HOLDFAST_STORE', kind: HOLDFAST_STORE };
  if (SESSION_BACKEND === undefined) return byStore;
  const byBackend: Wish = { setting: 'SESSION_BACKEND', kind: KIND_OF_BACKEND[SESSION_BACKEND] };
  if (origin('HOLDFAST_STORE') === origin('SESSION_BACKEND')) return HOLDFAST_STORE === 'auto' ? byBackend : byStore;
  return origin('HOLDFAST_STORE') === 'environment' ? byStore : byBackend;
}

function redisUrlOf(settings: Settings): string | undefined {
  const { REDIS_URL: given, REDIS_HOST: host, REDIS_PASSWORD: password } = settings;
  if (!settings.REDIS_ENABLED || (given === undefined && host === undefined)) return undefined;
  const url = new URL(given ?? `redis://${hostInUrl(host ?? '')}:${settings.REDIS_PORT}/${settings.REDIS_DB}`);
  if (url.password === '' && password) url.password = password;
  return url.href;
}

/** Settings that cannot all be followed: one line each. */
export function storeProblems(settings: Settings, read: Pick<Read, 'origin' | 'given'>): string[] {
  const { origin, given } = read;
  const { setting, kind } = wishOf(settings, read);
  const { SESSION_BACKEND: backend, HOLDFAST_STORE: store } = settings;
  const problems: string[] = [];
  const isSamePlace = origin('SESSION_BACKEND') === origin('HOLDFAST_STORE');
  if (backend && isSamePlace && store !== 'auto' && store !== KIND_OF_BACKEND[backend]) {
    problems.push(`SESSION_BACKEND: ${backend} is not what HOLDFAST_STORE=${store} asks for; unset one of them`);
  }
  if (kind === 'embedded') {
    const asked = `${setting}: ${given[setting]} asks for the database that Holdfast runs itself`;
    const isRedisNamed = settings.REDIS_ENABLED && (settings.REDIS_URL ?? settings.REDIS_HOST) !== undefined;
    if (settings.DATABASE_URL !== undefined) problems.push(`${asked}, DATABASE_URL names another; unset one of them`);
    if (!settings.DATABASE_ENABLED) problems.push(`${asked}, DATABASE_ENABLED=0 for none; unset one of them`);
    if (isRedisNamed) problems.push(`${asked}, a Redis is named besides; unset one of them, or set REDIS_ENABLED=0`);
    if (settings.HOLDFAST_EPHEMERAL)
      problems.push(`${asked}, HOLDFAST_EPHEMERAL=1 for nothing on disk; unset one of them`);
  }
  if (kind === 'redis' && redisUrlOf(settings) === undefined) {
    problems.push('SESSION_BACKEND: redis needs REDIS_URL or REDIS_HOST, and REDIS_ENABLED not to be 0');
  }
  return problems;
}

/** The store that settings without a problem ask for. */
export function chooseStore(settings: Settings, read: Pick<Read, 'origin'>, provided: Provided): StoreChoice {
  const { kind } = wishOf(settings, read);
  if (settings.HOLDFAST_EPHEMERAL || kind === 'memory') {
    return { ...NOWHERE, store: 'memory', storeNote: provided.note };
  }
  const databaseUrl = settings.DATABASE_ENABLED ? settings.DATABASE_URL : undefined;
  const redisUrl = redisUrlOf(settings);
  if (databaseUrl !== undefined) {
    return { ...NOWHERE, store: redisUrl === undefined ? 'postgres' : 'redis+postgres', databaseUrl, redisUrl };
  }
  if (redisUrl !== undefined) return { ...NOWHERE, store: 'redis', redisUrl };
  if (!settings.DATABASE_ENABLED) return { ...NOWHERE, store: 'memory' };
  const { embeddedUrl, note } = provided;
  if (embeddedUrl === undefined) return { ...NOWHERE, store: 'memory', storeNote: note, wantsEmbedded: true };
  return { ...NOWHERE, store: 'embedded', wantsEmbedded: true, databaseUrl: embeddedUrl };
}

/** A choice as environment variables, complete: nothing else decides in the process that gets them. */
export function storeEnvironment(choice: StoreChoice): Record<string, string> {
  const { store, storeNote, wantsEmbedded, databaseUrl, redisUrl } = choice;
  const isOwn = store === 'embedded';
  const kind = wantsEmbedded ? 'embedded' : store === 'memory' ? 'memory' : 'auto';
  return {
    HOLDFAST_STORE: kind,
    DATABASE_ENABLED: wantsEmbedded || databaseUrl !== undefined ? '1' : '0',
    REDIS_ENABLED: redisUrl === undefined ? '0' : '1',
    ...(databaseUrl !== undefined && { [isOwn ? 'HOLDFAST_EMBEDDED_URL' : 'DATABASE_URL']: databaseUrl }),
    ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
    ...(storeNote !== undefined && { HOLDFAST_STORE_NOTE: storeNote }),
  };
}
