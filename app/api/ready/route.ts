import { publicRoute, verbs } from '@/lib/server/api';
import { readiness } from '@/lib/server/ready';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: publicRoute({}, async ({ context }) => ({ json: await readiness(context) })),
});
