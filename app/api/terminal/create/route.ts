import { createTerminalSchema } from '@/lib/protocol/rest';
import { route, verbs } from '@/lib/server/api';
import { readIdempotencyKey } from '@/lib/server/body';
import { createOrRestore } from '@/lib/server/opening';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  POST: route({ body: createTerminalSchema }, async ({ context, caller, origin, request, body: input }) => {
    const idempotencyKey = readIdempotencyKey(request);
    const { isNew, opened } = await createOrRestore(context, { caller, origin }, { input, idempotencyKey });
    return { status: isNew ? 201 : 200, json: { success: true, ...opened } };
  }),
});
