import { publicRoute, verbs } from '@/lib/server/api';
import { cookieName } from '@/lib/server/auth';
import { openApiDocument } from '@/lib/server/openapi';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: publicRoute({}, async ({ context }) => ({
    json: openApiDocument({ url: context.config.publicUrl, cookieName: cookieName(context) }),
  })),
});
