/** The states of `store.ts` as schemas, for stores that read them back from text. */
import { z } from 'zod';
import { exitFactsSchema, sessionTypeSchema } from '@/lib/protocol/control';
import type { ProjectState, SessionState } from './store';

const identity = { id: z.string(), owner: z.string(), createdAt: z.number(), rev: z.number() };
const sessionIdentity = { ...identity, projectId: z.string(), type: sessionTypeSchema, epoch: z.number() };
const deletedAt = z.number();

/** A project or its tombstone. */
export const projectStateSchema: z.ZodType<ProjectState> = z.union([
  z.object({
    ...identity,
    name: z.string(),
    path: z.string(),
    pinned: z.boolean(),
    archived: z.boolean(),
    deletedAt: z.null(),
  }),
  z.object({ ...identity, deletedAt }),
]);

/** A session or its tombstone. */
export const sessionStateSchema: z.ZodType<SessionState> = z.union([
  z.object({
    ...sessionIdentity,
    tabName: z.string(),
    position: z.number(),
    pinned: z.boolean(),
    path: z.string(),
    lastPath: z.string().nullable(),
    placement: z.object({ nodeId: z.string(), hostId: z.string() }).nullable(),
    openingAt: z.number(),
    endedAt: z.number().nullable(),
    exit: exitFactsSchema.nullable(),
    deletedAt: z.null(),
  }),
  z.object({ ...sessionIdentity, deletedAt }),
]);
