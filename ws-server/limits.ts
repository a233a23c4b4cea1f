/** The limits of a gateway on how many sessions live, and who is refused beyond them. Those of project and user are web's. */
import type { Config } from '@/lib/config';
import { AppError } from '@/lib/protocol/errors';

/** The settings that it asks. */
export type SessionLimits = Pick<Config, 'maxSessionsNode' | 'maxSessionsCluster' | 'maxHosts' | 'maxSessionsPerHost'>;

/**
 * Refuses one more session than node and cluster may have. The cluster is this one node. A node that may have as many as its
 * hosts hold has no limit of its own: full hosts refuse, which passes.
 * @param taken sessions that live, and those on their way
 * @throws AppError `session_limit_reached`, which names the limit
 */
export function refuseBeyondLimits(limits: SessionLimits, taken: number): void {
  const held = limits.maxHosts * limits.maxSessionsPerHost;
  for (const [limit, max] of [
    ['node', limits.maxSessionsNode < held ? limits.maxSessionsNode : Number.POSITIVE_INFINITY],
    ['cluster', limits.maxSessionsCluster],
  ] as const) {
    if (taken < max) continue;
    const message = `This ${limit} has ${max} terminals, which is its limit.`;
    throw new AppError('session_limit_reached', message, { details: { limit, max } });
  }
}
