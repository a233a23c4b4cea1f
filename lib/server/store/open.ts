/** The stores that the settings ask for. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '@/lib/config';
import type { Logger } from '@/lib/log';
import type { Metrics } from '@/lib/metrics';
import { cache } from './cache';
import { Fallback, UnusableError } from './fallback';
import { memoryStores } from './memory';
import { migrate, SchemaTooNewError } from './migrate';
import { PostgresDriver } from './postgres';
import { RedisDriver } from './redis';
import { RedisConnection } from './redis-connection';
import type { Stores } from './store';

/** A call may take this long (ms). */
const DATABASE_DEADLINE_MS = 300;
const REDIS_DEADLINE_MS = 150;

/** What the stores are made of. */
export type StoreSettings = { readonly config: Config; readonly log: Logger; readonly metrics: Metrics };

/** Opens the stores. Does not wait for a database: until it answers, web works from memory. */
export function openStores(settings: StoreSettings): Stores {
  const { config } = settings;
  switch (config.store) {
    case 'memory':
      return memoryStores(config.storeNote ?? null);
    case 'redis':
      return overRedis(settings, known(config.redisUrl));
    case 'embedded':
    case 'postgres':
      return overDatabase(settings, known(config.databaseUrl));
    case 'redis+postgres':
      return beforeDatabase(settings, known(config.redisUrl));
  }
}

function overDatabase(settings: StoreSettings, url: string): Fallback {
  const { config } = settings;
  const primary = new PostgresDriver({ url, connectTimeoutMs: config.databaseTimeoutMs });
  return new Fallback({
    ...common(settings, 'postgres'),
    part: 'db',
    primary,
    deadlineMs: DATABASE_DEADLINE_MS,
    prepare: async () => {
      try {
        await migrate({ url, connectTimeoutMs: config.databaseTimeoutMs });
      } catch (error) {
        throw error instanceof SchemaTooNewError ? new UnusableError(error.message, { cause: error }) : error;
      }
    },
    tidy: () => primary.purge(),
  });
}

function beforeDatabase(settings: StoreSettings, url: string): Stores {
  const { config, log } = settings;
  const inner = overDatabase(settings, known(config.databaseUrl));
  return cache(inner, {
    connection: new RedisConnection(url),
    log,
    instance: config.nodeId,
    ttlMs: config.sessionTtlMs,
    isTrue: () => inner.isCurrent,
  });
}

function overRedis(settings: StoreSettings, url: string): Fallback {
  return new Fallback({
    ...common(settings, 'redis'),
    part: 'redis',
    primary: new RedisDriver(new RedisConnection(url)),
    deadlineMs: REDIS_DEADLINE_MS,
  });
}

function common({ config, log, metrics }: StoreSettings, driver: 'postgres' | 'redis') {
  return {
    kind: config.store,
    connectMs: config.databaseTimeoutMs,
    outboxFile: config.ephemeral ? null : join(config.dataDir, outboxName(config)),
    log,
    onCall: (operation: string, seconds: number) =>
      metrics.observe('holdfast_store_call_seconds', { driver, operation }, seconds),
  };
}

/** Of each store its own: what waits for one database never goes into another. Who signs in there makes no difference. */
function outboxName({ store, databaseUrl, redisUrl }: Config): string {
  if (store === 'embedded') return 'outbox-embedded.jsonl';
  const place = (store === 'redis' ? redisUrl : databaseUrl)?.replace(/\/\/[^/]*@/, '//') ?? '';
  return `outbox-${createHash('sha256').update(place).digest('hex').slice(0, 8)}.jsonl`;
}

function known(url: string | undefined): string {
  if (url === undefined) throw new Error('the configuration names a store without saying where it is');
  return url;
}
