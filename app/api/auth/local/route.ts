import { loginSchema } from '@/lib/protocol/rest';
import { publicRoute, route, verbs } from '@/lib/server/api';
import { signIn, signOut } from '@/lib/server/auth';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  POST: publicRoute({ body: loginSchema }, async ({ context, origin, body: { token } }) => {
    return { json: { success: true }, headers: { 'Set-Cookie': await signIn(context, token, origin) } };
  }),
  DELETE: route({}, async ({ context, caller, origin }) => {
    return { json: { success: true }, headers: { 'Set-Cookie': await signOut(context, caller, origin) } };
  }),
});
