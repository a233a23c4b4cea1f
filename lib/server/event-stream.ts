/** The answer of `GET /api/events`. */
import type { Caller } from './auth';
import type { Context } from './context';
import { look } from './reconcile';

/** A stream of the caller's events. */
export async function openEventStream(context: Context, caller: Caller): Promise<Response> {
  const isReachable = context.events.isSidecarReachable ?? (await look(context)).instanceId !== null;
  return new Response(context.events.subscribe(caller, isReachable), {
    headers: {
      'Content-Type': 'text/event-stream',
      // Neither Next's compression nor a proxy may hold events back.
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    },
  });
}
