import { route, verbs } from '@/lib/server/api';
import { projectParams as params } from '@/lib/server/page';
import { listProjectSessions } from '@/lib/server/sessions';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({ params }, async ({ context, caller, params: { id } }) => {
    return { json: { success: true, ...(await listProjectSessions(context, caller, id)) } };
  }),
});
