import { patchTerminalSchema } from '@/lib/protocol/rest';
import { route, verbs } from '@/lib/server/api';
import { sessionParams as params } from '@/lib/server/page';
import { endSession, getSession, patchSession } from '@/lib/server/sessions';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({ params }, async ({ context, caller, params: { sessionId } }) => {
    return { json: { success: true, session: await getSession(context, caller, sessionId) } };
  }),
  PATCH: route({ params, body: patchTerminalSchema }, async ({ context, caller, params: { sessionId }, body }) => {
    const session = await patchSession(context, caller, { id: sessionId, patch: body });
    return { json: { success: true, session } };
  }),
  DELETE: route({ params }, async ({ context, caller, params: { sessionId } }) => {
    return { json: { success: true, session: await endSession(context, caller, sessionId) } };
  }),
});
