import { restartTerminalSchema } from '@/lib/protocol/rest';
import { route, verbs } from '@/lib/server/api';
import { restart } from '@/lib/server/opening';
import { sessionParams as params } from '@/lib/server/page';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  POST: route({ params, body: restartTerminalSchema }, async ({ context, caller, origin, params, body: { rev } }) => {
    const opened = await restart(context, { caller, origin }, { id: params.sessionId, rev });
    return { status: 201, json: { success: true, ...opened } };
  }),
});
