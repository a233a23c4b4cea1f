import { patchProjectSchema } from '@/lib/protocol/rest';
import { route, verbs } from '@/lib/server/api';
import { projectParams as params, removalQuery } from '@/lib/server/page';
import { getProject, patchProject, removeProject } from '@/lib/server/projects';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({ params }, async ({ context, caller, params: { id } }) => {
    return { json: { success: true, project: await getProject(context, caller, id) } };
  }),
  PATCH: route({ params, body: patchProjectSchema }, async ({ context, caller, params: { id }, body: patch }) => {
    return { json: { success: true, project: await patchProject(context, caller, { id, patch }) } };
  }),
  DELETE: route({ params, query: removalQuery }, async ({ context, caller, params: { id }, query }) => {
    await removeProject(context, caller, { id, end: query.end === 'true' });
    return { json: { success: true } };
  }),
});
