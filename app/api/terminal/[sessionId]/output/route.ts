import { route, verbs } from '@/lib/server/api';
import { sessionParams as params, rangeQuery } from '@/lib/server/page';
import { readOutput } from '@/lib/server/sessions';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({ params, query: rangeQuery }, async ({ context, caller, params, query }) => {
    const { bytes, position, end, epoch } = await readOutput(context, caller, { id: params.sessionId, ...query });
    return new Response(new Uint8Array(bytes), {
      status: 206,
      headers: {
        'Content-Type': 'application/octet-stream',
        'X-Position': String(position),
        'X-End': String(end),
        'X-Epoch': String(epoch),
      },
    });
  }),
});
