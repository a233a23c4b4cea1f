import { attachTerminalSchema } from '@/lib/protocol/rest';
import { route, verbs } from '@/lib/server/api';
import { attach } from '@/lib/server/opening';
import { sessionParams as params } from '@/lib/server/page';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  POST: route({ params, body: attachTerminalSchema }, async ({ context, caller, origin, params, body: { mode } }) => {
    const connection = await attach(context, { caller, origin }, { id: params.sessionId, mode });
    return { json: { success: true, ...connection } };
  }),
});
