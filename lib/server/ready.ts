/** Whether web can serve, and what it has to do without. */
import type { z } from 'zod';
import type { readyAnswerSchema } from '@/lib/protocol/rest';
import type { Context } from './context';
import { isCode } from './reconcile';

/** The answer of `GET /api/ready`. Without the sidecar the lists still work, so web is degraded and not away. */
export async function readiness(context: Context): Promise<z.infer<typeof readyAnswerSchema>> {
  const store = { kind: context.sessions.durability };
  try {
    const { hosts, sessions, degraded } = await context.control.info();
    const status = degraded.length === 0 ? 'ready' : 'degraded';
    return { status, degraded, store, sidecar: { reachable: true, sessions, hosts } };
  } catch (error) {
    if (!isCode(error, 'sidecar_unavailable', 'deadline_exceeded')) throw error;
    const sidecar = { reachable: false, sessions: 0, hosts: 0 };
    return { status: 'degraded', degraded: ['sidecar'], store, sidecar };
  }
}
