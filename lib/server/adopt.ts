/** Records of sessions that were found without one. */
import type { ArchivedSession, LiveSession } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import type { Context } from './context';
import { recordsOf } from './label';

/** Makes record and project of a session that has no record. True when it did. */
export async function adopt(context: Context, known: LiveSession | ArchivedSession): Promise<boolean> {
  if (await context.sessions.get(known.id)) {
    context.recorded.set(known.id, performance.now());
    return false;
  }
  const found = recordsOf(known, context.config.nodeId);
  if (!found) {
    context.log.debug({ session: known.id }, 'a session carries no label of ours');
    return false;
  }
  const rule = { isPathUnique: false, max: Number.POSITIVE_INFINITY };
  await unlessThere(context.projects.insert(found.project, rule));
  return unlessThere(context.sessions.insert(found.session, []));
}

/** False when the id was taken in the meantime. */
async function unlessThere(insert: Promise<void>): Promise<boolean> {
  try {
    await insert;
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === 'conflict') return false;
    throw error;
  }
}
