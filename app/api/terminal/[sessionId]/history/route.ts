import { route, verbs } from '@/lib/server/api';
import { historyQuery, sessionParams as params } from '@/lib/server/page';
import { readHistory } from '@/lib/server/sessions';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({ params, query: historyQuery }, async ({ context, caller, params, query }) => {
    const page = await readHistory(context, caller, { id: params.sessionId, ...query });
    return new Response(new Uint8Array(page.bytes), {
      headers: {
        'Content-Type': 'application/octet-stream',
        'X-Position': String(page.position),
        'X-End': String(page.end),
        'X-Start': String(page.start),
        'X-Epoch': String(page.epoch),
      },
    });
  }),
});
