/** Who calls: the login cookie of a browser, or the machine token of a script. The only importer of next-auth. */
import { randomUUID } from 'node:crypto';
import { cookies, headers as pageHeaders } from 'next/headers';
import { decode, encode } from 'next-auth/jwt';
import { z } from 'zod';
import { AppError } from '@/lib/protocol/errors';
import { isSameSecret, redeemLoginToken } from '@/lib/secrets';
import { type Context, getContext } from './context';
import { isCode } from './reconcile';
import { COOKIE_TTL_S } from './sign-outs';

/** Who calls. `sid` names the login, so that it can be signed out; all machine clients share one. */
export type Caller = { userId: string; sid: string; via: 'cookie' | 'token' };

/** The only user of the local mode. */
const LOCAL_USER = 'local';
const COOKIE_CHARACTERS_MAX = 4_096;

const cookieClaimsSchema = z.object({ sub: z.literal(LOCAL_USER), sid: z.string().min(1) });

/** The name of the login cookie: all ports of a host share cookies, so it holds ours. */
export function cookieName(context: Context): string {
  return `holdfast-${context.config.webPort}`;
}

function setCookie(context: Context, value: string, options: { maxAge: number; origin: string | null }): string {
  const secure = options.origin?.startsWith('https:') ? '; Secure' : '';
  return `${cookieName(context)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${options.maxAge}${secure}`;
}

/**
 * Exchanges a login token for the `Set-Cookie` of a fresh login.
 * @throws AppError `unauthorized` when the token never existed, was used, or is too old
 */
export async function signIn(context: Context, token: string, origin: string | null): Promise<string> {
  if (!redeemLoginToken(context.config.dataDir, token)) {
    throw new AppError(
      'unauthorized',
      'This link was used already, is older than 10 minutes, or is not from here. Run `npm run open` for a fresh one.',
      { details: { reason: 'login_token' } },
    );
  }
  const claims = { sub: LOCAL_USER, sid: randomUUID() };
  const value = await encode({ token: claims, secret: context.secrets.cookie, maxAge: COOKIE_TTL_S });
  return setCookie(context, value, { maxAge: COOKIE_TTL_S, origin });
}

/** Ends a login everywhere: its cookie, its event streams, its sockets. Gives the `Set-Cookie` that clears it. */
export async function signOut(context: Context, caller: Caller, origin: string | null): Promise<string> {
  if (caller.via === 'cookie') {
    context.signOuts.add(caller.sid);
    context.events.closeLogin(caller.sid);
    try {
      await context.control.revoke({ sid: caller.sid });
    } catch (error) {
      // Without a gateway there are no sockets, and the tickets of a gone gateway open none.
      if (!isCode(error, 'sidecar_unavailable')) throw error;
    }
  }
  return setCookie(context, '', { maxAge: 0, origin });
}

/**
 * Who sent these headers. An `Authorization` header decides alone, whatever cookie is beside it.
 * @throws AppError `unauthorized`; `forbidden` for a token together with an Origin
 */
export async function identify(context: Context, headers: Headers): Promise<Caller> {
  const authorization = headers.get('authorization');
  if (authorization !== null) {
    if (headers.has('origin')) {
      throw new AppError('forbidden', 'The machine token is for programs, not for pages: send no Origin header.');
    }
    const token = /^Bearer ([A-Za-z0-9_-]{16,256})$/.exec(authorization)?.[1];
    if (token === undefined || !isSameSecret(token, context.secrets.machineToken)) throw unauthorized();
    return { userId: LOCAL_USER, sid: 'machine', via: 'token' };
  }
  const value = readCookie(headers.get('cookie') ?? '', cookieName(context));
  const caller = value === null ? null : await callerOfCookie(context, value);
  if (!caller) throw unauthorized();
  return caller;
}

/** Who loads the page, or null. */
export async function getPageCaller(): Promise<Caller | null> {
  // First of all, because it tells a build that this page cannot be made in advance.
  const host = (await pageHeaders()).get('host');
  const context = getContext();
  if (host === null || !context.config.webHosts.includes(host)) return null;
  const value = (await cookies()).get(cookieName(context))?.value;
  return value === undefined ? null : callerOfCookie(context, value);
}

function unauthorized(): AppError {
  return new AppError('unauthorized', 'Sign in first: open the link that `npm start` or `npm run open` printed.');
}

function readCookie(header: string, name: string): string | null {
  for (const pair of header.split(';')) {
    const [key, ...value] = pair.trim().split('=');
    if (key === name) return value.join('=');
  }
  return null;
}

async function callerOfCookie(context: Context, value: string): Promise<Caller | null> {
  if (value === '' || value.length > COOKIE_CHARACTERS_MAX) return null;
  let payload: unknown;
  try {
    payload = await decode({ token: value, secret: context.secrets.cookie });
  } catch {
    // Whatever is wrong with it, it is not a cookie of ours.
    return null;
  }
  const claims = cookieClaimsSchema.safeParse(payload);
  if (!claims.success || context.signOuts.has(claims.data.sid)) return null;
  return { userId: claims.data.sub, sid: claims.data.sid, via: 'cookie' };
}
