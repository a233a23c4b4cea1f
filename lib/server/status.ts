/** A session's status, derived from its record, what its host says and whether the node answers; never stored. */
import type { ExitFacts, LiveSession } from '@/lib/protocol/control';
import type { SessionStatus } from '@/lib/protocol/rest';
import type { EndReason } from '@/lib/protocol/wire';
import type { SessionRecord } from './store/store';

/** A shell without viewer, input, output or child for this long is inactive, for hosts that do not say themselves. */
export const IDLE_MS = 1_800_000;
/** Opening is given this long; after that a session that no host knows has failed. */
export const PENDING_MS = 15_000;

/** What the status is derived from. */
export type Facts = {
  record: Pick<SessionRecord, 'epoch' | 'placement' | 'openingAt' | 'exit'>;
  /** What the host says, or null when no reachable host knows the session. */
  live: Pick<LiveSession, 'epoch' | 'exit' | 'state' | 'viewers' | 'foreground' | 'lastActivity'> | null;
  /** Whether the node that holds the session answered. */
  isNodeAlive: boolean;
  /** Whether it is being ended right now. */
  isEnding: boolean;
  now: number;
};

/** The status. An incarnation older than the record's counts as not there. */
export function deriveStatus({ record, live, isNodeAlive, isEnding, now }: Facts): SessionStatus {
  if (live && live.epoch >= record.epoch) {
    if (live.exit) return 'ended';
    if (isEnding || live.state === 'terminating') return 'terminating';
    if (live.state === 'active' || live.state === 'inactive') return live.state;
    const isBusy = live.viewers > 0 || live.foreground !== null;
    return isBusy || now - live.lastActivity < IDLE_MS ? 'active' : 'inactive';
  }
  if (record.exit) return isLoss(record.exit) ? 'lost' : 'ended';
  if (!isNodeAlive) return 'unreachable';
  if (record.placement) return 'lost';
  return now - record.openingAt < PENDING_MS ? 'creating' : 'error';
}

const LOSSES: readonly (EndReason | undefined)[] = ['host-crash', 'oom', 'reboot'];

/** Whether a session went with its host and did not end by itself. */
function isLoss({ reason }: ExitFacts): boolean {
  return LOSSES.includes(reason);
}

/** Whether something runs, or may run: such a session takes a slot. */
export function isRunning(status: SessionStatus): boolean {
  return status !== 'ended' && status !== 'lost' && status !== 'error';
}
