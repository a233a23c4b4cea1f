/** Redeems tickets: each opens one socket of this gateway, once. */
import { performance } from 'node:perf_hooks';
import type { RevokeRequest } from '@/lib/protocol/control';
import { TICKET_TTL_MS } from '@/lib/protocol/limits';
import { type TicketClaims, verifyTicket } from '@/lib/ticket';

/** How long a used ticket is remembered (ms): longer than any ticket is valid, by a clock that nobody can set back. */
const USED_KEPT_MS = 60_000;
/** Most tickets remembered at once; when they are all still young, further ones are refused rather than one forgotten. */
const USED_MAX = 50_000;

/** Most revocations remembered at once; each is forgotten when no ticket from before it is valid any more. */
const REVOKED_MAX = 10_000;

/** Whether claims match every claim that a revocation names. */
export function isRevokedBy(match: RevokeRequest, claims: TicketClaims): boolean {
  return (
    (match.sub === undefined || match.sub === claims.sub) &&
    (match.sid === undefined || match.sid === claims.sid) &&
    (match.session === undefined || match.session === claims.session)
  );
}

/** What a ticket must say to open one socket. */
export type TicketUse = { session: string; origin: string | null };

/** The tickets of one running gateway: another instance has another id, so no ticket is good at two. */
export class Tickets {
  readonly #key: string;
  readonly #instanceId: string;
  readonly #now: () => number;
  readonly #usedMax: number;
  /** Ticket id to the monotonic time of its use, oldest first. */
  readonly #used = new Map<string, number>();
  /** Revocations of the last 30 s, by the clock that tickets are signed with. */
  #revoked: { match: RevokeRequest; at: number }[] = [];

  constructor(options: { key: string; instanceId: string; now?: () => number; usedMax?: number }) {
    this.#key = options.key;
    this.#instanceId = options.instanceId;
    this.#now = options.now ?? (() => performance.now());
    this.#usedMax = options.usedMax ?? USED_MAX;
  }

  /** The claims of a ticket that is good here, now, for this use, and was not used before; else null. */
  redeem(ticket: string, use: TicketUse): TicketClaims | null {
    const claims = verifyTicket(ticket, this.#key);
    if (!claims) return null;
    if (claims.aud !== this.#instanceId) return null;
    if (claims.session !== use.session || claims.origin !== use.origin) return null;
    this.#forgetOld();
    const signedAt = claims.exp - TICKET_TTL_MS;
    if (this.#revoked.some(({ match, at }) => signedAt <= at && isRevokedBy(match, claims))) return null;
    if (this.#used.has(claims.jti) || this.#used.size >= this.#usedMax) return null;
    this.#used.set(claims.jti, this.#now());
    return claims;
  }

  /** Refuses tickets that were signed before now and match. */
  revoke(match: RevokeRequest): void {
    const at = Date.now();
    this.#revoked = this.#revoked.filter((each) => at - each.at < TICKET_TTL_MS).slice(-REVOKED_MAX + 1);
    this.#revoked.push({ match, at });
  }

  #forgetOld(): void {
    const oldest = this.#now() - USED_KEPT_MS;
    for (const [jti, usedAt] of this.#used) {
      if (usedAt >= oldest) return;
      this.#used.delete(jti);
    }
  }
}
