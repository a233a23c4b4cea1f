/** The facts that web keeps at a live session, so that its record and project can be made again from the host alone. */
import { z } from 'zod';
import { cleanLabel } from '@/lib/protocol/clean-text';
import type { ArchivedSession, Label, LiveSession } from '@/lib/protocol/control';
import { projectIdSchema } from '@/lib/protocol/ids';
import type { ProjectRecord, SessionRecord } from './store/store';

/** A label comes back from a host whose socket every process of the user can reach. */
const foreignName = z.string().transform((name) => cleanLabel(name));

const storedLabelSchema = z.object({
  owner: z.string().min(1),
  project: z.object({
    id: projectIdSchema,
    name: foreignName,
    path: z.string(),
    pinned: z.boolean(),
    archived: z.boolean(),
    createdAt: z.number(),
    rev: z.number().int().min(1),
  }),
  tabName: foreignName,
  position: z.number(),
  pinned: z.boolean(),
  /** The directory in which it was started. */
  path: z.string(),
  createdAt: z.number(),
  rev: z.number().int().min(1),
});

/** The label that a session is to carry. */
export function labelOf(record: SessionRecord, project: ProjectRecord): Label {
  const { id, name, path, pinned, archived, createdAt, rev } = project;
  return {
    owner: record.owner,
    project: { id, name, path, pinned, archived, createdAt, rev },
    tabName: record.tabName,
    position: record.position,
    pinned: record.pinned,
    path: record.path,
    createdAt: record.createdAt,
    rev: record.rev,
  } satisfies z.infer<typeof storedLabelSchema>;
}

/** Whether two labels say the same, except for the revs: those of a record move without anything to keep. */
export function isSameLabel(a: Label, b: Label): boolean {
  const first = storedLabelSchema.safeParse(a);
  const second = storedLabelSchema.safeParse(b);
  if (!first.success || !second.success) return false;
  const text = (label: z.infer<typeof storedLabelSchema>) =>
    JSON.stringify({ ...label, rev: 0, project: { ...label.project, rev: 0 } });
  return text(first.data) === text(second.data);
}

/** The record and the project of a session as its label tells them, or null for a label of somebody else. */
export function recordsOf(
  known: LiveSession | ArchivedSession,
  nodeId: string,
): { session: SessionRecord; project: ProjectRecord } | null {
  const label = storedLabelSchema.safeParse(known.label);
  if (!label.success) return null;
  const { owner, project, ...own } = label.data;
  return {
    project: { ...project, owner, deletedAt: null },
    session: {
      ...own,
      id: known.id,
      projectId: project.id,
      owner,
      type: known.type,
      lastPath: known.exit ? known.cwd : null,
      placement: 'hostId' in known ? { nodeId, hostId: known.hostId } : null,
      epoch: known.epoch,
      openingAt: known.createdAt,
      endedAt: known.exit?.at ?? null,
      exit: known.exit,
      deletedAt: null,
    },
  };
}
