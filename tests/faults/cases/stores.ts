/** What the cases of the stores have in common. */
import { readyAnswerSchema } from '@/lib/protocol/rest';
import { until } from '@/tests/harness/processes';
import { check, type Scene } from '../case';
import type { LoadPlan } from '../load';
import type { Records } from '../records';
import type { Stack } from '../stack';

/** The books agree within this time after the fault (ms). */
const BALANCE_MS = 30_000;

/** Enough sessions for the ledger to see that no shell minds. */
export const SMALL_LOAD: LoadPlan = { writers: 1, typists: 1, idle: 1, builds: 1 };

async function readiness(stack: Stack) {
  return readyAnswerSchema.parse((await stack.rest('GET', '/api/ready')).body);
}

/** What web says that it has to do without; nothing while web is away. */
export async function degradedParts(stack: Stack): Promise<string[]> {
  return (await readiness(stack).catch(() => null))?.degraded ?? [];
}

/** Whether web has its stores and nothing waits for them. */
export async function isHealed(stack: Stack): Promise<boolean> {
  const ready = await readiness(stack).catch(() => null);
  return ready?.status === 'ready' && (ready.store.outbox?.pending ?? 0) === 0;
}

/** Waits until nothing waits for the stores, and checks every promise of the books. */
export async function balanced({ stack, slack }: Scene, records: Records): Promise<void> {
  await until('the outbox is empty', () => isHealed(stack), BALANCE_MS * slack);
  const faults = await records.faults();
  check(faults.length === 0, faults.slice(0, 10).join('\n  '));
  await records.clear();
}

/** Web goes away: calls may find nobody until the ledger is told that it is back. */
export async function whenWeb({ ledger, stack }: Scene, how: string, end: () => unknown): Promise<void> {
  const { webPid } = stack;
  ledger.webGoes();
  await end();
  await until(`web ${how}`, () => {
    try {
      process.kill(webPid, 0);
      return false;
    } catch {
      return true;
    }
  });
}
