/** Sessions of which only the journal is left: records of them after a restart, and how lost ones ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArchivedSession } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { adopt } from './adopt';
import type { Context } from './context';
import { recordsOf } from './label';
import { announceProject, announceSession } from './news';
import { RECORDS_MAX } from './store/store';

/** Nobody waits longer than this for records of ended sessions (ms), and after a failure they are looked for again (ms). */
const WAIT_MS = 2_000;
const RETRY_MS = 10_000;

/** The journal's word on a session, or null where it has none. @throws AppError when the gateway is away */
export async function findArchived(context: Context, id: string): Promise<ArchivedSession | null> {
  try {
    return await context.control.archived(id);
  } catch (error) {
    if (error instanceof AppError && (error.code === 'not_found' || error.code === 'no_capacity')) return null;
    throw error;
  }
}

/**
 * Makes records of archived sessions that have none, once for each gateway: their tabs are there with their last screen. The
 * journals of deleted sessions are removed. Waits for it 2 s at most; what comes later is announced, and what fails is tried again.
 */
export async function adoptArchive(context: Context, instanceId: string): Promise<void> {
  const { archive } = context;
  const now = performance.now();
  if (archive.instanceId !== instanceId && now >= archive.retryAt) {
    archive.instanceId = instanceId;
    const adopted = adoptAll(context, instanceId).catch((err: unknown) => {
      archive.instanceId = null;
      archive.retryAt = performance.now() + RETRY_MS;
      context.log.warn({ err }, 'the journals of ended sessions could not be looked through');
    });
    archive.adopted = Promise.race([adopted, sleep(WAIT_MS, undefined, { ref: false })]);
  }
  await archive.adopted;
}

/** The newest first: an owner has no more records than fit one page, and what runs comes without a limit. */
async function adoptAll(context: Context, instanceId: string): Promise<void> {
  const archived = await context.control.archive();
  const free = new Map<string, number>();
  let left = 0;
  for (const session of archived.sort((a, b) => b.exit.at - a.exit.at)) {
    const record = await context.sessions.get(session.id);
    if (record?.deletedAt != null) await forgetJournal(context, session.id);
    const owner = recordsOf(session, context.config.nodeId)?.session.owner;
    if (record || owner === undefined) continue;
    const room = free.get(owner) ?? (await roomFor(context, owner));
    free.set(owner, room);
    if (room <= 0) left += 1;
    if (room <= 0 || !(await adopt(context, session))) continue;
    free.set(owner, room - 1);
    const adopted = await context.sessions.get(session.id);
    if (adopted?.deletedAt !== null) continue;
    announceSession(context, adopted, { instanceId, isComplete: true, live: new Map() });
    await announceProject(context, adopted.projectId);
  }
  if (left > 0) context.log.warn({ sessions: left, max: RECORDS_MAX }, 'older ended sessions were not adopted');
  context.archive.adoptedFrom = instanceId;
}

/** Records that an owner may still have. */
async function roomFor({ sessions }: Context, owner: string): Promise<number> {
  return RECORDS_MAX - (await sessions.list({ owner, limit: RECORDS_MAX })).length;
}

/** Removes the journals of a deleted session. A failure is made good when the next gateway is looked through. */
export async function forgetJournal(context: Context, id: string): Promise<void> {
  try {
    await context.control.forget(id);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    context.log.warn({ session: id, code: error.code }, 'the journal of a deleted session could not be removed');
  }
}
