import { createProjectSchema } from '@/lib/protocol/rest';
import { route, verbs } from '@/lib/server/api';
import { createProject, listProjects } from '@/lib/server/projects';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = verbs({
  GET: route({}, async ({ context, caller }) => {
    return { json: { success: true, projects: await listProjects(context, caller) } };
  }),
  POST: route({ body: createProjectSchema }, async ({ context, caller, body }) => {
    return { status: 201, json: { success: true, project: await createProject(context, caller, body) } };
  }),
});
