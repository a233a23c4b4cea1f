/** Tickets: signed by web, redeemed once by the gateway that they name, good for 30 seconds. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { sessionIdSchema } from './protocol/ids';
import { TICKET_TTL_MS } from './protocol/limits';
import { modeSchema } from './protocol/wire';

const claimsSchema = z.object({
  /** 128 random bits: the gateway remembers them so that a ticket opens one socket. */
  jti: z.string(),
  /** The user. */
  sub: z.string(),
  /** The login session of the user, for revocation. */
  sid: z.string(),
  session: sessionIdSchema,
  epoch: z.number().int(),
  mode: modeSchema,
  /** The Origin that asked for it; null for a client without one. */
  origin: z.string().nullable(),
  /** The gateway's instance id. A restarted gateway has another, so that old tickets die with the old one. */
  aud: z.string(),
  /** Milliseconds since 1970. */
  exp: z.number(),
});

/** What a ticket says. It is checked by signature and needs no call back. */
export type TicketClaims = z.infer<typeof claimsSchema>;

function sign(payload: string, key: string): Buffer {
  return createHmac('sha256', key).update(`holdfast-ticket.${payload}`).digest();
}

/** Signs a ticket. The result is `<payload>.<signature>`, both base64url, and fits a WebSocket subprotocol token. */
export function signTicket(claims: Omit<TicketClaims, 'jti' | 'exp'>, key: string, now: number = Date.now()): string {
  const full: TicketClaims = { ...claims, jti: randomBytes(16).toString('base64url'), exp: now + TICKET_TTL_MS };
  const payload = Buffer.from(JSON.stringify(full)).toString('base64url');
  return `${payload}.${sign(payload, key).toString('base64url')}`;
}

/** The claims of a ticket, or null when the signature is wrong, the form is unknown, or it is not valid now. */
export function verifyTicket(ticket: string, key: string, now: number = Date.now()): TicketClaims | null {
  const [payload, signature, ...rest] = ticket.split('.');
  if (!payload || !signature || rest.length > 0) return null;
  const expected = sign(payload, key);
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  const claims = claimsSchema.safeParse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
  if (!claims.success) return null;
  // A ticket from further in the future than its lifetime was signed under another clock.
  if (now >= claims.data.exp || claims.data.exp - now > TICKET_TTL_MS) return null;
  return claims.data;
}
