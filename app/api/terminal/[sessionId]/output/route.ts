import { route, verbs } from '@/lib/server/api';
import { sessionParams as params, rangeQuery } from '@/lib/server/page';
import { readOutput } from '@/lib/server/sessions';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({ params, query: rangeQuery }, async ({ context, caller, params, query }) => {
    const { bytes, position, end, epoch } = await readOutput(context, caller, { id: params.sessionId, ...query });
    const last = position + bytes.length - 1;
    return new Response(new Uint8Array(bytes), {
      // RFC 9110 has no way to name a part without bytes: it is all that there is.
      status: bytes.length > 0 ? 206 : 200,
      headers: {
        'Content-Type': 'application/octet-stream',
        ...(bytes.length > 0 && { 'Content-Range': `bytes ${position}-${last}/${end}` }),
        'X-Position': String(position),
        'X-End': String(end),
        'X-Epoch': String(epoch),
      },
    });
  }),
});
