import { publicRoute, verbs } from '@/lib/server/api';
import { readMetrics } from '@/lib/server/metrics';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: publicRoute({}, async ({ context, request }) => readMetrics(context, request.headers)),
});
