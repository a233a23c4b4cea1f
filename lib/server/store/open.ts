/** The stores that the settings ask for. */
import type { Config } from '@/lib/config';
import type { Logger } from '@/lib/log';
import { memoryStores } from './memory';
import type { Stores } from './store';

/** Opens the stores. Does not wait for a database: until it answers, web works from memory. */
export function openStores({ config }: { config: Config; log: Logger }): Stores {
  return memoryStores(config.storeNote ?? null);
}
