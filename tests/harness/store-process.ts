/** A process that owns stores over a database, told by its parent what to do, so that it can be killed. */
import { loadConfig } from '@/lib/config';
import { createLog } from '@/lib/log';
import { Metrics } from '@/lib/metrics';
import { errorPayload } from '@/lib/protocol/errors';
import { openStores } from '@/lib/server/store/open';
import { type StoreAsk, storeAnswerSchema, storeAskSchema } from './store-asks';

const [dataDir, databaseUrl] = process.argv.slice(2);
const config = { ...loadConfig({ HOLDFAST_DATA_DIR: dataDir }, '/'), store: 'postgres' as const, databaseUrl };
const log = createLog('store', 'error');
log.level = 'silent';
const stores = openStores({ config, log, metrics: new Metrics('web') });

async function answer({ ask }: StoreAsk): Promise<unknown> {
  const { sessions } = stores;
  switch (ask.do) {
    case 'create':
      await sessions.insert(ask.record, []);
      return ask.record;
    case 'rename': {
      const stored = await sessions.get(ask.id);
      if (stored?.deletedAt !== null) return null;
      return sessions.update({ ...stored, tabName: ask.tabName });
    }
    case 'delete':
      return sessions.delete(ask.id);
    case 'list':
      return sessions.list({ limit: 100_000 });
    case 'status':
      return stores.status();
  }
}

process.on('message', async (message) => {
  const asked = storeAskSchema.parse(message);
  let reply: unknown;
  try {
    reply = { n: asked.n, value: await answer(asked) };
  } catch (error) {
    reply = { n: asked.n, code: errorPayload(error).code };
  }
  process.send?.(storeAnswerSchema.parse(reply));
});
process.on('disconnect', () => process.exit());
