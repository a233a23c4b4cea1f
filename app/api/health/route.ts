import { publicRoute, verbs } from '@/lib/server/api';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: publicRoute({}, async () => ({ json: { status: 'ok' } })),
});
