import { route, verbs } from '@/lib/server/api';
import { openEventStream } from '@/lib/server/event-stream';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({}, async ({ context, caller }) => openEventStream(context, caller)),
});
