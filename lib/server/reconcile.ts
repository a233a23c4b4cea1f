/** Compares what runs with what is recorded, and corrects the records: never the processes. */
import type { ArchivedSession, ExitFacts, LiveSession, SessionsReply } from '@/lib/protocol/control';
import { AppError, type ErrorCode } from '@/lib/protocol/errors';
import { adopt } from './adopt';
import { adoptArchive, findArchived } from './archive';
import type { Context } from './context';
import { isSameLabel, labelOf, recordsOf } from './label';
import type { Sighting } from './session-view';
import { PENDING_MS } from './status';
import type { ProjectState, SessionFilter, SessionRecord } from './store/store';
import { keepTail } from './tail';

const AWAY: readonly ErrorCode[] = ['sidecar_unavailable', 'deadline_exceeded'];
const ATTEMPTS_MAX = 8;
/** A record that was there is looked for again after this time (ms): a store may lose what it held. */
const RECORDED_MS = 5_000;

/** Whether an error is one of these codes. */
export function isCode(error: unknown, ...codes: ErrorCode[]): boolean {
  return error instanceof AppError && codes.includes(error.code);
}

/** Asks the sidecar for everything that lives. */
export async function look(context: Context): Promise<Sighting> {
  return sighted(() => context.control.sessions());
}

/** Asks the sidecar for one session. */
export async function lookAt(context: Context, id: string): Promise<Sighting> {
  return sighted(async () => {
    try {
      const { instanceId, session } = await context.control.session(id);
      return { instanceId, isComplete: true, sessions: [session] };
    } catch (error) {
      if (!isCode(error, 'not_found')) throw error;
      const { instanceId, isComplete } = await context.control.info();
      return { instanceId, isComplete, sessions: [] };
    }
  });
}

async function sighted(ask: () => Promise<SessionsReply>): Promise<Sighting> {
  try {
    const { instanceId, sessions, isComplete } = await ask();
    return { ...seen(instanceId, sessions), isComplete };
  } catch (error) {
    if (isCode(error, ...AWAY)) return { instanceId: null, isComplete: false, live: new Map() };
    throw error;
  }
}

/** What a gateway said of some sessions. */
export function seen(instanceId: string, sessions: readonly LiveSession[]): Sighting {
  return { instanceId, isComplete: true, live: new Map(sessions.map((session) => [session.id, session])) };
}

/**
 * The wanted records beside what the sidecar says, after sessions without a record were adopted.
 * Records are read before the sidecar is asked: one that was opened by then is either in the answer or gone.
 */
export async function observe(
  context: Context,
  filter: SessionFilter,
): Promise<{ records: SessionRecord[]; sighting: Sighting }> {
  let records = await context.sessions.list(filter);
  let sighting = await look(context);
  if (sighting.instanceId !== null && sighting.isComplete && context.archive.adoptedFrom !== sighting.instanceId) {
    await adoptArchive(context, sighting.instanceId);
    records = await context.sessions.list(filter);
  }
  const known = new Set(records.map(({ id }) => id));
  const seenSince = performance.now() - RECORDED_MS;
  const isStrange = (id: string) =>
    !known.has(id) && (context.recorded.get(id) ?? Number.NEGATIVE_INFINITY) < seenSince;
  const strangers = [...sighting.live.values()].filter(({ id }) => isStrange(id));
  if (strangers.length > 0) {
    await adoptAll(context, strangers);
    const again = await context.sessions.list(filter);
    // Adopted here, or by somebody else since the first list.
    if (again.some(({ id }) => sighting.live.has(id) && !known.has(id))) {
      records = again;
      sighting = await look(context);
    }
  }
  for (const id of context.recorded.keys())
    if (sighting.isComplete && !sighting.live.has(id)) context.recorded.delete(id);
  const projectOf = onceEach((id) => context.projects.get(id));
  const settled = await Promise.all(records.map((record) => settle(context, record, sighting, projectOf)));
  return { records: settled.filter((record) => record !== null), sighting };
}

/** Adopts what has no record; of labels that disagree about their project the newest is taken. */
async function adoptAll(context: Context, strangers: readonly LiveSession[]): Promise<void> {
  const projectRev = (live: LiveSession) => recordsOf(live, context.config.nodeId)?.project.rev ?? 0;
  for (const live of [...strangers].sort((a, b) => projectRev(b) - projectRev(a))) {
    await adopt(context, live);
  }
}

/** Whether a record has to say that its session is over: no host knows it, and it is not being opened. */
function isMissing(record: SessionRecord, live: LiveSession | null, now: number): boolean {
  if (live && live.epoch >= record.epoch) return false;
  const isOpening = record.placement === null && now - record.openingAt < PENDING_MS;
  return record.endedAt === null && !isOpening;
}

/** A session that was there is gone with its host, and no journal says how. */
function lossOf(record: SessionRecord, now: number): ExitFacts | null {
  return record.placement && { code: -1, signal: 0, at: now, reason: 'host-crash' };
}

/**
 * The record as it should be, given what the host says now. `live` is null when no host knows the session; `archived` is what a
 * journal says of it then.
 */
export function corrected(
  record: SessionRecord,
  live: LiveSession | null,
  { nodeId, now, archived = null }: { nodeId: string; now: number; archived?: ArchivedSession | null },
) {
  if (!live || live.epoch < record.epoch) {
    if (!isMissing(record, live, now)) return record;
    if (archived?.epoch !== record.epoch) return { ...record, endedAt: now, exit: lossOf(record, now) };
    return { ...record, endedAt: archived.exit.at, exit: archived.exit, lastPath: archived.cwd };
  }
  const isPlaced = record.placement?.hostId === live.hostId;
  const placement = isPlaced ? record.placement : { nodeId, hostId: live.hostId };
  if (!live.exit) return { ...record, epoch: live.epoch, placement, endedAt: null, exit: null };
  const lastPath = live.cwd || record.lastPath;
  return { ...record, epoch: live.epoch, placement, endedAt: live.exit.at, exit: live.exit, lastPath };
}

/** Corrects a record, and the label of its live session. Gives the record as it stands then, or null when it is deleted. */
export async function settle(
  context: Context,
  record: SessionRecord,
  sighting: Sighting,
  projectOf: ProjectOf = (id) => context.projects.get(id),
): Promise<SessionRecord | null> {
  const live = sighting.live.get(record.id) ?? null;
  if (!live && !sighting.isComplete) return record;
  const now = Date.now();
  let archived: ArchivedSession | null = null;
  if (isMissing(record, live, now)) {
    try {
      archived = await findArchived(context, record.id);
    } catch (error) {
      if (isCode(error, ...AWAY)) return record; // asked again the next time that somebody looks
      throw error;
    }
  }
  const wanted = corrected(record, live, { nodeId: context.config.nodeId, now, archived });
  let current = record;
  if (JSON.stringify(wanted) !== JSON.stringify(record)) {
    try {
      current = await context.sessions.update(wanted);
      // Not waited for: whoever lists sessions does not wait for journals.
      if (record.endedAt === null && current.endedAt !== null) void keepTail(context, current);
    } catch (error) {
      // Somebody was faster; what they wrote is looked at the next time.
      if (!isCode(error, 'conflict', 'not_found')) throw error;
      const stored = await context.sessions.get(record.id);
      return stored?.deletedAt === null ? stored : null;
    }
  }
  if (live && !isLabelCurrent(current, live, await projectOf(current.projectId))) await pushLabel(context, current.id);
  return current;
}

/** Whether the label at the host is what record and project say. */
function isLabelCurrent(record: SessionRecord, live: LiveSession, project: ProjectState | null): boolean {
  return project?.deletedAt !== null || isSameLabel(labelOf(record, project), live.label);
}

type ProjectOf = (id: string) => Promise<ProjectState | null>;

/** Asks for each id once. */
function onceEach(ask: ProjectOf): ProjectOf {
  const asked = new Map<string, Promise<ProjectState | null>>();
  return (id) => {
    const answer = asked.get(id) ?? ask(id);
    asked.set(id, answer);
    return answer;
  };
}

/**
 * Writes record and project as they are now to the label of a live session. A failure is made good the next time that
 * somebody looks. One at a time for each session, so that an older label never comes last.
 */
export function pushLabel(context: Context, id: string): Promise<void> {
  return context.labelling.run(id, async () => {
    const record = await context.sessions.get(id);
    if (record?.deletedAt !== null) return;
    const project = await context.projects.get(record.projectId);
    if (project?.deletedAt !== null) return;
    try {
      await context.control.label(id, labelOf(record, project));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      context.log.warn({ session: id, code: error.code }, 'the label of a session could not be updated');
    }
  });
}

/** Changes the newest version of a record, again when somebody was faster. Null when it is deleted. */
export async function amend(
  context: Context,
  id: string,
  change: (record: SessionRecord) => SessionRecord,
): Promise<SessionRecord | null> {
  for (let attempt = 1; ; attempt++) {
    const record = await context.sessions.get(id);
    if (record?.deletedAt !== null) return null;
    const wanted = change(record);
    if (JSON.stringify(wanted) === JSON.stringify(record)) return record;
    try {
      return await context.sessions.update(wanted);
    } catch (error) {
      if (isCode(error, 'not_found')) return null;
      if (!isCode(error, 'conflict') || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
