import { keepTerminalSchema } from '@/lib/protocol/rest';
import { route, verbs } from '@/lib/server/api';
import { sessionParams as params } from '@/lib/server/page';
import { keepSession } from '@/lib/server/sessions';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  POST: route({ params, body: keepTerminalSchema }, async ({ context, caller, params: { sessionId } }) => ({
    json: { success: true, session: await keepSession(context, caller, sessionId) },
  })),
});
