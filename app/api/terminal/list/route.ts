import { route, verbs } from '@/lib/server/api';
import { encodeCursor, pageQuery } from '@/lib/server/page';
import { listSessions, memoryUsage } from '@/lib/server/sessions';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({ query: pageQuery }, async ({ context, caller, query: { projectId, cursor, limit } }) => {
    const { sessions, next } = await listSessions(context, caller, { projectId, after: cursor, limit });
    const nextCursor = next === null ? {} : { nextCursor: encodeCursor(next) };
    return { json: { success: true, sessions, memoryUsage: await memoryUsage(context, caller), ...nextCursor } };
  }),
});
