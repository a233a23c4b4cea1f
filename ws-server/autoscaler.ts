/** How many hosts the pool should keep, and why: a function of the pool's facts over time. It starts and ends nothing. */
import { performance } from 'node:perf_hooks';
import type { ScalingDecision } from '@/lib/protocol/control';

/** From this share of slots taken on, one more host is wanted. */
const UP_SHARE = 0.8;
/** At this share and below, for so long (ms), hosts without sessions are surplus. */
const DOWN_SHARE = 0.4;
const DOWN_AFTER_MS = 60_000;
/** After a change of the number of hosts nothing is taken back for this time (ms). */
const COOLDOWN_MS = 60_000;
/** Room that is only this share of one host's slots is little: then an empty host is to stand by. */
const LITTLE_ROOM = 0.2;

/** The hosts that the pool keeps, started or starting; one that drains or is surplus is not among them. */
export type PoolFacts = {
  hosts: number;
  /** The number of hosts is to lie between these. */
  floor: number;
  ceiling: number;
  /** Slots of these hosts, those taken, and those of one host. */
  slots: number;
  taken: number;
  slotsPerHost: number;
  /** Hosts that have no session, and free slots on hosts that have some, answer, and are not busy. */
  emptyHosts: number;
  quietRoom: number;
  /** Hosts that have sessions and are busy or silent. */
  busyHosts: number;
  /** Whether hosts keep crashing, so that none is started any more. */
  isExhausted: boolean;
};

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function shareOf({ taken, slots }: PoolFacts): number {
  return slots > 0 ? taken / slots : 1;
}

function littleRoom({ slotsPerHost }: PoolFacts): number {
  return Math.ceil(slotsPerHost * LITTLE_ROOM);
}

/** Decides with hysteresis: it grows at once, and shrinks late, by what is empty, and only where it would not grow again. */
export class AutoScaler {
  readonly #now: () => number;
  #changedAt = Number.NEGATIVE_INFINITY;
  /** Since when few slots are taken; null while more are. */
  #lowSince: number | null = null;

  /** @param now a clock that never goes back (ms) */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What to do now. Ask at least every few seconds, so that a lull is seen from its beginning. */
  evaluateScaling(facts: PoolFacts): ScalingDecision {
    if (shareOf(facts) > DOWN_SHARE) this.#lowSince = null;
    else this.#lowSince ??= this.#now();
    return this.scaleUp(facts) ?? this.scaleDown(facts) ?? this.#maintain(facts);
  }

  /** The pool has changed the number of hosts. */
  scaled(): void {
    this.#changedAt = this.#now();
  }

  /** Why more hosts are wanted, or null. */
  scaleUp(facts: PoolFacts): ScalingDecision | null {
    const { hosts, floor, ceiling, quietRoom, emptyHosts } = facts;
    const up = (targetCapacity: number, reason: string, confidence: number) =>
      ({ action: 'scale_up', targetCapacity, reason, confidence }) as const;
    if (hosts < floor) return up(floor, `There are ${hosts} hosts; the floor is ${floor}.`, 1);
    if (hosts >= ceiling) return null;
    if (emptyHosts === 0 && quietRoom === 0) return up(hosts + 1, 'Every host is full, busy or silent.', 1);
    if (emptyHosts === 0 && quietRoom <= littleRoom(facts)) {
      return up(hosts + 1, `Only ${quietRoom} slots are left on quiet hosts, and no empty host stands by.`, 0.9);
    }
    const share = shareOf(facts);
    if (share >= UP_SHARE) return up(hosts + 1, `${percent(share)} of the slots are taken.`, share);
    return null;
  }

  /** Why fewer hosts are enough, or null. Hosts with sessions are never surplus. */
  scaleDown(facts: PoolFacts): ScalingDecision | null {
    const now = this.#now();
    if (this.#lowSince === null || now < this.#lowSince + DOWN_AFTER_MS || now < this.#changedAt + COOLDOWN_MS)
      return null;
    let after = facts;
    for (let next = without(after); next && !this.#wouldGrow(next); next = without(after)) after = next;
    if (after === facts) return null;
    const share = shareOf(facts);
    const reason = `${percent(share)} of the slots have been taken for ${DOWN_AFTER_MS / 1000} s, and ${facts.emptyHosts} hosts are empty.`;
    return { action: 'scale_down', targetCapacity: after.hosts, reason, confidence: 1 - share };
  }

  /** What an operator could do for the pool, in plain sentences; none when nothing. */
  getRecommendations(facts: PoolFacts): string[] {
    const { hosts, ceiling, busyHosts, quietRoom, emptyHosts, isExhausted } = facts;
    const advice: string[] = [];
    if (isExhausted) advice.push('Hosts keep crashing and are not started any more: look into logs/host.log.');
    if (hosts >= ceiling && shareOf(facts) >= UP_SHARE) {
      advice.push(
        `${percent(shareOf(facts))} of the slots are taken and all ${ceiling} hosts run: raise BACKEND_POOL_SIZE or MAX_SESSIONS_PER_BACKEND.`,
      );
    }
    if (hosts >= ceiling && busyHosts > 0 && quietRoom === 0 && emptyHosts === 0) {
      advice.push(
        `${busyHosts} of ${hosts} hosts are busy or silent and no quiet one is left: raise BACKEND_POOL_SIZE.`,
      );
    }
    return advice;
  }

  /** Whether a pool that is in use would, with a few sessions more, want another host. */
  #wouldGrow(facts: PoolFacts): boolean {
    const few = facts.taken === 0 ? 0 : littleRoom(facts);
    return this.scaleUp({ ...facts, taken: facts.taken + few, quietRoom: Math.max(0, facts.quietRoom - few) }) !== null;
  }

  #maintain(facts: PoolFacts): ScalingDecision {
    const { hosts, ceiling } = facts;
    const share = shareOf(facts);
    const isAtCeiling = hosts >= ceiling && share >= UP_SHARE;
    const reason = isAtCeiling
      ? `${percent(share)} of the slots are taken, and the ceiling is ${ceiling} hosts.`
      : `${percent(share)} of the slots are taken.`;
    // Least sure just below the threshold for growing.
    return {
      action: 'maintain',
      targetCapacity: hosts,
      reason,
      confidence: isAtCeiling ? 1 : 1 - Math.min(share, 1) / 2,
    };
  }
}

/** The same pool with one empty host less; null when none may go. */
function without(facts: PoolFacts): PoolFacts | null {
  if (facts.emptyHosts === 0 || facts.hosts <= facts.floor) return null;
  const { hosts, emptyHosts, slots, slotsPerHost } = facts;
  return { ...facts, hosts: hosts - 1, emptyHosts: emptyHosts - 1, slots: slots - slotsPerHost };
}
