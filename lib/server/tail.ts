/** The last lines of ended sessions, kept beside their records: they are there when the journal no longer is. */
import { AppError } from '@/lib/protocol/errors';
import type { Context } from './context';

/** Keeps the last lines of a session that has ended, where history may be kept. A failure is logged; the journal still has them. */
export async function keepTail(context: Context, { id, epoch }: { id: string; epoch: number }): Promise<void> {
  if (context.config.history !== 'disk') return;
  try {
    await context.sessions.saveTail(id, epoch, await context.control.lines(id));
  } catch (err) {
    context.log.warn({ err, session: id }, 'the last lines of an ended session could not be kept');
  }
}

/** The last lines of a session: from its host or its journal, or else those that were kept. */
export async function readTail(context: Context, id: string): Promise<string[]> {
  try {
    return await context.control.lines(id);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return context.sessions.tail(id);
  }
}
