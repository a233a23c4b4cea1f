/** Follows the gateway's events: corrects records as soon as something happens, and tells the browsers. */
import type { LiveSession } from '@/lib/protocol/control';
import { adopt } from './adopt';
import { forgetJournal } from './archive';
import type { Context } from './context';
import { followControl } from './control-stream';
import { announceProject, announceSession } from './news';
import { isCode, look, observe, seen, settle } from './reconcile';
import type { Sighting } from './session-view';

const PAGE = 500;

/** Starts to follow the control stream, until `stop` aborts. */
export function watchSidecar(context: Context, socketPath: string, stop: AbortSignal): void {
  // What is left to look at, by session id; the newest fact of a session replaces an older one.
  const pending = new Map<string, () => Promise<void>>();
  let isWorking = false;
  let gateway = '';

  async function work(): Promise<void> {
    isWorking = true;
    for (let next = pending.entries().next(); !next.done && !stop.aborted; next = pending.entries().next()) {
      const [key, task] = next.value;
      pending.delete(key);
      try {
        await task();
      } catch (error) {
        context.log.warn({ err: error, subject: key }, 'a change in the sidecar could not be taken over');
      }
    }
    isWorking = false;
  }

  function soon(key: string, task: () => Promise<void>): void {
    pending.delete(key);
    pending.set(key, task);
    // Errors of tasks are caught above.
    if (!isWorking) void work();
  }

  void followControl(
    socketPath,
    {
      onEvent: (event) => {
        if (event.event === 'sessions') {
          gateway = event.instanceId;
          soon('all', () => sweep(context));
        } else if (event.event === 'session') {
          soon(event.session.id, () => noteLive(context, gateway, event.session));
        } else {
          soon(event.id, () => noteGone(context, gateway, event));
        }
      },
      onBreak: (cause) => {
        if (context.events.isSidecarReachable !== false) context.log.info({ cause: String(cause) }, 'gateway is away');
        context.events.setSidecarReachable(false);
      },
      onUnknown: () => context.log.debug('an unknown control event'),
    },
    stop,
  );
}

/** A new connection: everything may have changed. */
async function sweep(context: Context): Promise<void> {
  let after: string | undefined;
  do {
    const filter = { isOpen: true, limit: PAGE, ...(after !== undefined && { after }) };
    const { records, sighting } = await observe(context, filter);
    for (const record of records) announceSession(context, record, sighting);
    after = records.length === PAGE ? records.at(-1)?.id : undefined;
  } while (after !== undefined);
  context.events.setSidecarReachable(true);
  const { live } = await look(context);
  for (const session of live.values()) await endIfDeleted(context, session);
}

/**
 * Ends a session without a record: its owner deleted it while the gateway could not be asked to, or its host opened it
 * after everybody had given it up.
 */
async function endIfDeleted(context: Context, { id, exit }: LiveSession): Promise<void> {
  if (exit || context.ending.has(id)) return;
  const record = await context.sessions.get(id);
  if (record?.deletedAt == null) return;
  context.ending.add(id);
  // Not waited for: a host that does not answer must not hold up the news of the others.
  void endStray(context, id).finally(() => context.ending.delete(id));
}

async function endStray(context: Context, id: string): Promise<void> {
  try {
    await context.control.end(id);
    await forgetJournal(context, id);
    context.log.info({ session: id }, 'ended a session that was deleted');
  } catch (error) {
    // It ended by itself, or what was heard is older than its end.
    if (isCode(error, 'not_found')) return;
    context.log.warn({ err: error, session: id }, 'a deleted session may still run');
  }
}

async function noteLive(context: Context, gateway: string, live: LiveSession): Promise<void> {
  await endIfDeleted(context, live);
  const isAdopted = await adopt(context, live);
  await note(context, live.id, { sighting: seen(gateway, [live]), isAdopted });
}

async function noteGone(context: Context, gateway: string, gone: { id: string; epoch: number }): Promise<void> {
  const record = await context.sessions.get(gone.id);
  if (record?.epoch !== gone.epoch) return;
  await note(context, gone.id, { sighting: seen(gateway, []), isAdopted: false });
}

async function note(
  context: Context,
  id: string,
  { sighting, isAdopted }: { sighting: Sighting; isAdopted: boolean },
): Promise<void> {
  const before = await context.sessions.get(id);
  if (before?.deletedAt !== null) return;
  const record = await settle(context, before, sighting);
  if (!record) return;
  announceSession(context, record, sighting);
  if (isAdopted || (before.endedAt === null) !== (record.endedAt === null)) {
    await announceProject(context, record.projectId);
  }
}
