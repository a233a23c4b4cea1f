/** Sessions as the REST API offers them: list, get, change, end, and read what was printed. */
import type { HistoryRequest } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import type { PatchTerminal, TerminalSession } from '@/lib/protocol/rest';
import { forgetJournal } from './archive';
import type { Caller } from './auth';
import type { Context } from './context';
import type { HistoryReply, OutputReply } from './control';
import { announceProject, announceSession } from './news';
import { ownProject, ownSession, ownSessionOrTombstone } from './ownership';
import { isCode, lookAt, observe, pushLabel, seen, settle } from './reconcile';
import { presentSession, presentTombstone, type Sighting } from './session-view';
import { isRunning } from './status';
import { RECORDS_MAX, type SessionRecord } from './store/store';
import { readTail } from './tail';

/** Which sessions to list: those behind the id `after`, at most `limit`. */
export type Page = { projectId?: string | undefined; after?: string | undefined; limit: number };

/** One page of the caller's sessions, with the id after which the next one starts. */
export async function listSessions(
  context: Context,
  caller: Caller,
  { projectId, after, limit }: Page,
): Promise<{ sessions: TerminalSession[]; next: string | null }> {
  if (projectId !== undefined) await ownProject(context, caller, projectId);
  const { records, sighting } = await observe(context, {
    owner: caller.userId,
    limit: limit + 1,
    ...(projectId !== undefined && { projectId }),
    ...(after !== undefined && { after }),
  });
  const page = records.slice(0, limit);
  return {
    sessions: page.map((record) => presentSession(context, record, sighting)),
    next: records.length > limit ? (page.at(-1)?.id ?? null) : null,
  };
}

/** All sessions of a project in the order of their tabs, and how many of them run. */
export async function listProjectSessions(
  context: Context,
  caller: Caller,
  projectId: string,
): Promise<{ projectId: string; terminals: TerminalSession[]; activeCount: number }> {
  const { sessions } = await listSessions(context, caller, { projectId, limit: RECORDS_MAX });
  const terminals = sessions.sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1));
  return { projectId, terminals, activeCount: sessions.filter(({ status }) => isRunning(status)).length };
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MB`;
}

/** Memory of the sidecar as text, and how many sessions of the caller run. */
export async function memoryUsage(context: Context, caller: Caller) {
  const open = await context.sessions.list({ owner: caller.userId, isOpen: true, limit: RECORDS_MAX });
  let memory = { rss: 0, heap: 0, external: 0 };
  try {
    memory = (await context.control.info()).memory;
  } catch (error) {
    if (!isCode(error, 'sidecar_unavailable', 'deadline_exceeded')) throw error;
  }
  return {
    rss: megabytes(memory.rss),
    heap: megabytes(memory.heap),
    external: megabytes(memory.external),
    sessionCount: open.length,
  };
}

/** One session, with the last lines of its output. */
export async function getSession(context: Context, caller: Caller, id: string): Promise<TerminalSession> {
  const { record, sighting } = await current(context, await ownSession(context, caller, id));
  return { ...presentSession(context, record, sighting), output: await readTail(context, id) };
}

/** Output from a position on, or from the first byte that is kept if that comes later. */
async function readKept(context: Context, range: { id: string; from: number; limit: number }): Promise<OutputReply> {
  const { id, from, limit } = range;
  try {
    return await context.control.output(id, from, limit);
  } catch (error) {
    const start = error instanceof AppError ? error.details?.['start'] : undefined;
    if (!isCode(error, 'range_not_satisfiable') || typeof start !== 'number' || start <= from) throw error;
    return context.control.output(id, start, limit);
  }
}

/** The record and what its host says, brought in line. @throws AppError `not_found` when it was deleted meanwhile */
export async function current(
  context: Context,
  record: SessionRecord,
): Promise<{ record: SessionRecord; sighting: Sighting }> {
  const sighting = await lookAt(context, record.id);
  const settled = await settle(context, record, sighting);
  if (!settled) throw new AppError('not_found', 'There is no such terminal.');
  return { record: settled, sighting };
}

/** Changes name, place or pin, if nobody changed the record since `patch.rev`. */
export async function patchSession(
  context: Context,
  caller: Caller,
  { id, patch }: { id: string; patch: PatchTerminal },
): Promise<TerminalSession> {
  const stored = await ownSession(context, caller, id);
  const { tabName = stored.tabName, position = stored.position, pinned = stored.pinned, rev } = patch;
  const record = await context.sessions.update({ ...stored, tabName, position, pinned, rev });
  const sighting = await lookAt(context, id);
  if (sighting.live.has(id)) await pushLabel(context, id);
  announceSession(context, record, sighting);
  return presentSession(context, record, sighting);
}

/** Uses a session, so that it does not end for being idle. @throws AppError `session_ended` when no host has it */
export async function keepSession(context: Context, caller: Caller, id: string): Promise<TerminalSession> {
  const record = await ownSession(context, caller, id);
  try {
    const { instanceId, session } = await context.control.keep(id);
    return presentSession(context, record, seen(instanceId, [session]));
  } catch (error) {
    if (!isCode(error, 'not_found')) throw error;
    throw new AppError('session_ended', 'This terminal does not run.', { cause: error });
  }
}

/** Ends a session and forgets it. Ending it again gives the same answer; a failure leaves everything as it was. */
export async function endSession(context: Context, caller: Caller, id: string): Promise<TerminalSession> {
  const record = await ownSessionOrTombstone(context, caller, id);
  if (record.deletedAt !== null) return presentTombstone(context, record);
  context.ending.add(id);
  try {
    if (record.endedAt === null) announceSession(context, record, await lookAt(context, id));
    const sighting = await endProcess(context, record);
    const { rev } = await context.sessions.delete(id);
    await forgetJournal(context, id);
    context.events.publish(record.owner, { type: 'session-removed', id, projectId: record.projectId });
    await announceProject(context, record.projectId);
    return { ...presentSession(context, { ...record, rev }, sighting), status: 'ended', active: false, pid: null };
  } finally {
    context.ending.delete(id);
  }
}

async function endProcess(context: Context, { id, endedAt }: SessionRecord): Promise<Sighting> {
  try {
    const { instanceId, session } = await context.control.end(id);
    return seen(instanceId, [session]);
  } catch (error) {
    // No host knows it; or it has ended already, and its host will drop the last screen by itself.
    const isOver = isCode(error, 'not_found') || (endedAt !== null && isCode(error, 'sidecar_unavailable'));
    if (!isOver) throw error;
    return { instanceId: null, isComplete: false, live: new Map() };
  }
}

/** Raw output bytes; `end` is the position behind the last one that is kept. */
export type Output = OutputReply & { epoch: number };

/**
 * Raw output from a position on, or without one from the first byte that is kept.
 * @throws AppError `range_not_satisfiable` with the `end` when no byte is kept there, `session_ended` when nothing is
 */
export async function readOutput(
  context: Context,
  caller: Caller,
  { id, from, limit }: { id: string; from?: number | undefined; limit: number },
): Promise<Output> {
  const { record, sighting } = await current(context, await ownSession(context, caller, id));
  let output: OutputReply;
  try {
    output = await (from === undefined
      ? readKept(context, { id, from: 0, limit })
      : context.control.output(id, from, limit));
  } catch (cause) {
    if (isCode(cause, 'not_found') && sighting.instanceId !== null) {
      throw new AppError('session_ended', 'The output of this terminal is no longer kept.', { cause });
    }
    if (!(cause instanceof AppError) || cause.code !== 'range_not_satisfiable') throw cause;
    const end = sighting.live.get(id)?.position ?? record.position;
    throw new AppError(cause.code, cause.message, { details: { end, ...cause.details }, cause });
  }
  const { bytes, end } = output;
  if (from !== undefined && bytes.length === 0) {
    throw new AppError('range_not_satisfiable', `Output is kept up to ${end}.`, { details: { end } });
  }
  return { ...output, epoch: record.epoch };
}

/** A page of history, see `historyRequestSchema`. @throws AppError `not_found` when nothing is kept, `range_not_satisfiable` */
export async function readHistory(
  context: Context,
  caller: Caller,
  { id, ...request }: HistoryRequest & { id: string },
): Promise<HistoryReply & { epoch: number }> {
  const { epoch } = await ownSession(context, caller, id);
  return { ...(await context.control.history(id, request)), epoch };
}
