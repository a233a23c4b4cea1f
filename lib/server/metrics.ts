/** What web tells Prometheus: its requests as they are answered, everything else when it is asked. */
import { mayReadMetrics } from '@/lib/metrics-access';
import { AppError } from '@/lib/protocol/errors';
import { sessionStatusSchema, storeKindSchema } from '@/lib/protocol/rest';
import type { Context } from './context';
import { readiness } from './ready';
import { look } from './reconcile';
import { presentSession } from './session-view';
import { RECORDS_MAX } from './store/store';

/**
 * The pattern of a route file that a request went to, such as `/api/terminal/[sessionId]`: paths of users are no labels.
 * @param params what Next found in the path
 */
export function patternOf(path: string, params: Record<string, string | string[] | undefined>): string {
  const parts = path.split('/');
  for (const [name, value] of Object.entries(params)) {
    if (typeof value !== 'string') return '[...]';
    const index = parts.findLastIndex((part) => part === value || part === encodeURIComponent(value));
    if (index < 0) return '[...]';
    parts[index] = `[${name}]`;
  }
  return parts.join('/');
}

/**
 * The metrics of web, for whoever has the metrics token or the machine token.
 * @throws AppError `unauthorized`: a route of Next learns the peer's address only from a header that anybody can send
 */
export async function readMetrics(context: Context, headers: Headers): Promise<Response> {
  const tokens = [context.config.metricsToken, context.secrets.machineToken];
  if (!mayReadMetrics({ header: (name) => headers.get(name), peer: null, isPublic: true, tokens })) {
    throw new AppError(
      'unauthorized',
      'Metrics need the bearer token of HOLDFAST_METRICS_TOKEN, or the machine token.',
    );
  }
  const { metrics } = context;
  await collect(context);
  return new Response(await metrics.text(), { headers: { 'Content-Type': metrics.contentType } });
}

async function collect(context: Context): Promise<void> {
  const { metrics } = context;
  const records = await context.sessions.list({ limit: RECORDS_MAX });
  const sighting = await look(context);
  const statuses = records.map((record) => presentSession(context, record, sighting).status);
  metrics.set(
    'holdfast_session_records',
    sessionStatusSchema.options.map((status) => [{ status }, statuses.filter((each) => each === status).length]),
  );
  const { degraded, store } = await readiness(context);
  const parts = [...new Set(['sidecar', ...degraded])];
  metrics.set(
    'holdfast_degraded',
    parts.map((part) => [{ part }, degraded.includes(part) ? 1 : 0]),
  );
  metrics.set(
    'holdfast_store',
    storeKindSchema.options.map((kind) => [{ kind }, kind === store.kind ? 1 : 0]),
  );
  const { outbox, cache } = store;
  metrics.set(
    'holdfast_store_breaker_open',
    (['db', 'redis'] as const).map((part) => [{ part }, degraded.includes(part) ? 1 : 0]),
  );
  metrics.set('holdfast_outbox_pending', outbox ? [[{}, outbox.pending]] : []);
  metrics.set('holdfast_outbox_bytes', outbox ? [[{}, outbox.bytes]] : []);
  metrics.set('holdfast_cache_reads_total', [
    [{ result: 'hit' }, cache?.hits ?? 0],
    [{ result: 'miss' }, cache?.misses ?? 0],
  ]);
  metrics.set('holdfast_event_streams', [[{}, context.events.size]]);
}
