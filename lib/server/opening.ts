/** Opening sessions: create, find an equal one again, restart, and tickets to attach. Record first, process second. */
import { AppError } from '@/lib/protocol/errors';
import { newId } from '@/lib/protocol/ids';
import { CREATE_RATE, DEFAULT_SIZE } from '@/lib/protocol/limits';
import type { CreateTerminal, TerminalSession } from '@/lib/protocol/rest';
import { type Mode, type Size, SUBPROTOCOL, TICKET_PREFIX } from '@/lib/protocol/wire';
import { signTicket } from '@/lib/ticket';
import { findArchived, forgetJournal } from './archive';
import type { Caller } from './auth';
import type { Context } from './context';
import { sidecarUnavailable } from './control';
import { labelOf } from './label';
import { announceProject, announceSession } from './news';
import { ownProject, ownSession } from './ownership';
import { amend, isCode, observe, seen, settle } from './reconcile';
import { presentSession } from './session-view';
import { current } from './sessions';
import { isRunning } from './status';
import { RECORDS_MAX, type SessionLimit, type SessionRecord } from './store/store';

/** Who asks, and from which Origin: a ticket is bound to both. */
export type Asking = { caller: Caller; origin: string | null };
/** Where and with which subprotocols to open the terminal socket. */
export type Connection = { connectionUrl: string; protocols: string[] };
/** An open session and a ticket for it. */
export type Opened = { session: TerminalSession } & Connection;

function limitsOf({ config }: Context): SessionLimit[] {
  return [
    { limit: 'project', max: config.maxSessionsProject },
    { limit: 'user', max: config.maxSessionsUser },
    { limit: 'records', max: RECORDS_MAX },
  ];
}

/** @throws AppError `rate_limited` */
async function checkRate({ windows }: Context, { userId, via }: Caller): Promise<void> {
  if (via === 'token') return;
  const waitMs = await windows.take(`create:${userId}`, CREATE_RATE, Date.now());
  if (waitMs === 0) return;
  throw new AppError('rate_limited', `You asked for ${CREATE_RATE.max} terminals within a minute. Wait a little.`, {
    details: { limit: 'create', max: CREATE_RATE.max, retryAfterS: Math.ceil(waitMs / 1000) },
  });
}

/**
 * Creates a session, or gives one that is there: for `restore` the running one of the same project, type and name, for a
 * repeated idempotency key the one that the first call made.
 */
export async function createOrRestore(
  context: Context,
  asking: Asking,
  request: { input: CreateTerminal; idempotencyKey: string | null },
): Promise<{ isNew: boolean; opened: Opened }> {
  const { input, idempotencyKey } = request;
  await checkRate(context, asking.caller);
  const { userId } = asking.caller;
  const fresh: { here: Attachable | null } = { here: null };
  const make = async () => {
    const { id, here } = input.restore
      ? await restore(context, asking.caller, input)
      : await create(context, asking.caller, input);
    fresh.here = here;
    return id;
  };
  const id =
    idempotencyKey === null
      ? await make()
      : (await context.creations.once(`${userId} ${idempotencyKey}`, JSON.stringify(input), make)).value;
  const found = fresh.here ?? (await findAttachable(context, asking.caller, id));
  return { isNew: fresh.here !== null, opened: openedAt(context, asking, found) };
}

/** `here` is the session as its host opened it, or null when it was there before. */
type Made = { id: string; here: Attachable | null };

async function restore(context: Context, caller: Caller, input: CreateTerminal): Promise<Made> {
  const key = JSON.stringify([caller.userId, input.projectId, input.type, input.tabName]);
  const pending = context.restores.get(key);
  if (pending) return { ...(await pending), here: null };
  const making = findRunning(context, caller, input).then(
    async (id): Promise<Made> => (id === null ? create(context, caller, input) : { id, here: null }),
  );
  context.restores.set(key, making);
  try {
    return await making;
  } finally {
    context.restores.delete(key);
  }
}

async function findRunning(context: Context, caller: Caller, input: CreateTerminal): Promise<string | null> {
  const { projectId, type, tabName } = input;
  await ownProject(context, caller, projectId);
  const { records, sighting } = await observe(context, { owner: caller.userId, projectId, limit: RECORDS_MAX });
  const running = records.find((record) => {
    const { status } = presentSession(context, record, sighting);
    return record.type === type && record.tabName === tabName && (status === 'active' || status === 'inactive');
  });
  return running?.id ?? null;
}

async function create(context: Context, caller: Caller, input: CreateTerminal): Promise<Made> {
  const { projectId, type, tabName, projectPath, cols = DEFAULT_SIZE.cols, rows = DEFAULT_SIZE.rows } = input;
  const project = await ownProject(context, caller, projectId);
  const [path, { records }] = await Promise.all([
    context.control.directory({ path: projectPath, within: project.path }),
    // Adopts what runs and frees what has gone, so that the limits count what is there.
    observe(context, { owner: caller.userId, limit: RECORDS_MAX }),
  ]);
  const places = records.filter((other) => other.projectId === projectId).map(({ position }) => position);
  const now = Date.now();
  const record: SessionRecord = {
    id: newId('session', now),
    projectId,
    owner: caller.userId,
    type,
    tabName,
    position: Math.max(0, ...places) + 1,
    pinned: false,
    path,
    lastPath: null,
    placement: null,
    epoch: 1,
    openingAt: now,
    endedAt: null,
    exit: null,
    createdAt: now,
    rev: 1,
    deletedAt: null,
  };
  await context.sessions.insert(record, limitsOf(context));
  const withdraw = () => context.sessions.delete(record.id);
  const here = await launch(context, caller, { record, size: { cols, rows }, withdraw });
  return { id: record.id, here };
}

type Launch = {
  record: SessionRecord;
  size: Size;
  /** Takes the record back. */
  withdraw: () => Promise<unknown>;
};

/**
 * Has a host open the record's epoch, and writes down where. When it fails, the record is withdrawn, and then whatever may
 * have opened is ended. In this order, because a host may open it even later: that is news of a session without a record.
 */
async function launch(context: Context, caller: Caller, { record, size, withdraw }: Launch): Promise<Attachable> {
  const { id, epoch, type, path } = record;
  let isOpen = false;
  try {
    // A removal of the project looks for records after it is done: it sees this one, or this sees the removal.
    const project = await ownProject(context, caller, record.projectId);
    // The placement below raises the rev by one.
    const label = labelOf({ ...record, rev: record.rev + 1 }, project);
    const { instanceId, session: live } = await context.control.open({ id, epoch, type, cwd: path, ...size, label });
    isOpen = true;
    const placement = { nodeId: context.config.nodeId, hostId: live.hostId };
    const placed = await amend(context, id, (newest) => ({ ...newest, placement }));
    const sighting = seen(instanceId, [live]);
    const settled = placed && (await settle(context, placed, sighting));
    if (!settled) throw new AppError('not_found', 'This terminal was removed while it was being opened.');
    announceSession(context, settled, sighting);
    await announceProject(context, record.projectId);
    const session = presentSession(context, settled, sighting);
    return { session, epoch: live.epoch, isArchived: false, instanceId };
  } catch (error) {
    await withdraw();
    if (isOpen || isCode(error, 'deadline_exceeded', 'sidecar_unavailable')) await endUnrecorded(context, id);
    throw error;
  }
}

async function endUnrecorded(context: Context, id: string): Promise<void> {
  try {
    await context.control.end(id);
    // A restart that failed keeps what the older incarnation has printed.
    if ((await context.sessions.get(id))?.deletedAt !== null) await forgetJournal(context, id);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === 'not_found') return;
    context.log.warn({ session: id, code: error.code }, 'a session that failed to open may still run');
  }
}

/** A fresh ticket for a session; an ended one may be attached to as long as its last screen is kept, and only to read. */
export async function attach(
  context: Context,
  asking: Asking,
  { id, mode }: { id: string; mode: Mode },
): Promise<Connection> {
  const found = await findAttachable(context, asking.caller, id);
  return connectionTo(context, asking, { ...found, mode: found.isArchived ? 'read' : mode });
}

/** The session and a ticket to type into it. */
function openedAt(context: Context, asking: Asking, found: Attachable): Opened {
  return { session: found.session, ...connectionTo(context, asking, { ...found, mode: 'write' }) };
}

/** `epoch` is the one that can be attached to; of an archived session only the journal is left. */
type Attachable = { session: TerminalSession; epoch: number; isArchived: boolean; instanceId: string };

async function findAttachable(context: Context, caller: Caller, id: string): Promise<Attachable> {
  const { record, sighting } = await current(context, await ownSession(context, caller, id));
  const session = presentSession(context, record, sighting);
  const { instanceId } = sighting;
  if (instanceId === null) throw sidecarUnavailable(undefined);
  const live = sighting.live.get(id);
  if (live && live.epoch >= record.epoch) return { session, epoch: live.epoch, isArchived: false, instanceId };
  const archived = isRunning(session.status) ? null : await findArchived(context, id);
  if (archived) return { session, epoch: archived.epoch, isArchived: true, instanceId };
  const details = { reason: session.status };
  if (session.status === 'creating') throw new AppError('conflict', 'This terminal is being opened.', { details });
  throw new AppError('session_ended', 'This terminal has ended, and its last screen is no longer kept.', { details });
}

function connectionTo(
  context: Context,
  { caller, origin }: Asking,
  { session: { id }, epoch, instanceId, mode }: Attachable & { mode: Mode },
): Connection {
  const ticket = signTicket(
    { sub: caller.userId, sid: caller.sid, session: id, epoch, mode, origin, aud: instanceId },
    context.secrets.ticketKey,
  );
  return {
    connectionUrl: `${context.config.publicWsUrl}/v1/sessions/${id}`,
    protocols: [SUBPROTOCOL, `${TICKET_PREFIX}${ticket}`],
  };
}

/** Starts an ended or lost session again: same id, next epoch, in its last directory or else the project's. */
export async function restart(
  context: Context,
  asking: Asking,
  { id, rev }: { id: string; rev: number },
): Promise<Opened> {
  const { record, sighting } = await current(context, await ownSession(context, asking.caller, id));
  const live = sighting.live.get(id) ?? null;
  if (sighting.instanceId === null) throw sidecarUnavailable(undefined);
  const { status } = presentSession(context, record, sighting);
  if (isRunning(status)) {
    throw new AppError('conflict', 'This terminal is running; only an ended one is restarted.', {
      details: { reason: status },
    });
  }
  const project = await ownProject(context, asking.caller, record.projectId);
  const path = await lastDirectory(context, live?.cwd || (record.lastPath ?? record.path), project.path);
  const next: SessionRecord = {
    ...record,
    rev,
    path,
    lastPath: null,
    placement: null,
    epoch: record.epoch + 1,
    openingAt: Date.now(),
    endedAt: null,
    exit: null,
  };
  const opening = await context.sessions.update(next, limitsOf(context));
  const { cols, rows } = live ?? (await findArchived(context, id)) ?? DEFAULT_SIZE;
  const withdraw = () => amend(context, id, (newest) => ({ ...newest, endedAt: Date.now(), exit: record.exit }));
  const here = await launch(context, asking.caller, { record: opening, size: { cols, rows }, withdraw });
  return openedAt(context, asking, here);
}

/** The directory if it still is one inside the roots, else the project's. */
async function lastDirectory(context: Context, path: string, projectPath: string): Promise<string> {
  try {
    return await context.control.directory({ path });
  } catch (error) {
    if (!isCode(error, 'bad_request', 'forbidden', 'not_found')) throw error;
    return context.control.directory({ path: projectPath });
  }
}
