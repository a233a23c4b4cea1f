/** Whether web can serve, and what it has to do without. */
import type { z } from 'zod';
import type { readyAnswerSchema } from '@/lib/protocol/rest';
import type { Context } from './context';
import { isCode } from './reconcile';

/** The answer of `GET /api/ready`. Without the sidecar the lists still work, so web is degraded and not away. */
export async function readiness(context: Context): Promise<z.infer<typeof readyAnswerSchema>> {
  const { kind, note, outbox, cache, degraded: without } = context.stores.status();
  const store = { kind, ...(note !== null && { note }), ...(outbox && { outbox }), ...(cache && { cache }) };
  try {
    const { hosts, sessions, degraded: sidecarWithout } = await context.control.info();
    const degraded = [...sidecarWithout, ...without];
    const status = degraded.length === 0 ? 'ready' : 'degraded';
    return { status, degraded, store, sidecar: { reachable: true, sessions, hosts } };
  } catch (error) {
    if (!isCode(error, 'sidecar_unavailable', 'deadline_exceeded')) throw error;
    const sidecar = { reachable: false, sessions: 0, hosts: 0 };
    return { status: 'degraded', degraded: ['sidecar', ...without], store, sidecar };
  }
}
