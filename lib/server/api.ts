/** What every API route goes through: checks of Host, Origin and caller, schemas in, envelope out. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { createLog } from '@/lib/log';
import { AppError, errorPayload, httpStatus } from '@/lib/protocol/errors';
import type { ErrorAnswer } from '@/lib/protocol/rest';
import { type Caller, identify } from './auth';
import { parse, readJson } from './body';
import { type Context, getContext } from './context';
import { patternOf } from './metrics';

const VERBS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
type Verb = (typeof VERBS)[number];
type Verbs = Record<Verb | 'HEAD' | 'OPTIONS', RouteFunction>;

/** What stands in a URL for the placeholders of its route. */
type Params = Record<string, string | string[] | undefined>;

/** A function that Next calls for one verb of a URL; a URL without placeholders has no params. */
export type RouteFunction = (request: Request, segment: { params: Promise<Params | undefined> }) => Promise<Response>;

/** Schemas of what a route takes: a body that is not named is not read, and a query that is not named is refused. */
type Shape = { body?: z.ZodType; query?: z.ZodType; params?: z.ZodType };
type Part<S extends Shape, K extends keyof Shape> = S[K] extends z.ZodType ? z.infer<S[K]> : undefined;
type Parts<S extends Shape> = { body: Part<S, 'body'>; query: Part<S, 'query'>; params: Part<S, 'params'> };

/** A request from an allowed source. */
type Call = {
  context: Context;
  request: Request;
  /** The Origin, or null when the request has none. */
  origin: string | null;
};

/** An answer in JSON; 200 when it names no status. */
export type Reply = { status?: number; headers?: Record<string, string>; json: Record<string, unknown> };

/** The query of a route that takes none. */
const NO_QUERY = z.strictObject({});

/** After how many seconds a client may try again, for codes that say so, unless the error's details know better. */
const RETRY_AFTER_S = 5;

/** A route for signed-in callers. */
export function route<S extends Shape>(
  shape: S,
  run: (call: Call & Parts<S> & { caller: Caller }) => Promise<Reply | Response>,
): RouteFunction {
  return answering(async (call, params) => {
    const caller = await identify(call.context, call.request.headers);
    if (caller.via === 'cookie') checkForgery(call);
    return run({ ...call, ...(await read(shape, call.request, params)), caller });
  });
}

/** A route for everybody: health, readiness, the login exchange. */
export function publicRoute<S extends Shape>(
  shape: S,
  run: (call: Call & Parts<S>) => Promise<Reply | Response>,
): RouteFunction {
  return answering(async (call, params) => run({ ...call, ...(await read(shape, call.request, params)) }));
}

/** All verbs of one URL, for export from its file: HEAD is GET without a body, and what is not there is answered with 405. */
export function verbs(routes: Partial<Record<Verb, RouteFunction>>): Verbs {
  const allow = [...VERBS.filter((verb) => routes[verb]), ...(routes.GET ? ['HEAD'] : []), 'OPTIONS'];
  const refuse = answering(async ({ request }) => {
    throw new AppError('method_not_allowed', `${request.method} is not possible here.`, { details: { allow } });
  });
  const { GET = refuse, POST = refuse, PUT = refuse, PATCH = refuse, DELETE = refuse } = routes;
  const HEAD: RouteFunction = async (request, segment) => {
    const response = await GET(request, segment);
    await response.body?.cancel();
    return new Response(null, { status: response.status, headers: response.headers });
  };
  // A preflight of another origin fails by the absence of CORS headers.
  const OPTIONS = answering(async () => new Response(null, { status: 204, headers: { Allow: allow.join(', ') } }));
  return { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS };
}

/** All verbs of a URL that leads nowhere. */
export function unknownRoute(): Verbs {
  const refuse = answering(async () => {
    throw new AppError('not_found', 'There is no such route.');
  });
  return { GET: refuse, POST: refuse, PUT: refuse, PATCH: refuse, DELETE: refuse, HEAD: refuse, OPTIONS: refuse };
}

function answering(run: (call: Call, params: Params) => Promise<Reply | Response>): RouteFunction {
  return async (request, segment) => {
    const requestId = randomUUID();
    const startedAt = performance.now();
    const params = (await segment.params) ?? {};
    let context: Context | null = null;
    let response: Response;
    try {
      context = getContext();
      const call = { context, request, origin: checkSource(context, request.headers) };
      const reply = await underWay(context, run(call, params));
      response = reply instanceof Response ? reply : Response.json(reply.json, reply);
    } catch (error) {
      if (!(error instanceof AppError)) {
        const path = new URL(request.url).pathname;
        const log = context?.log ?? createLog('web', 'error');
        log.error({ err: error, requestId, method: request.method, path }, 'request failed');
      }
      response = refusal(error, requestId);
      context?.metrics.count('holdfast_errors_total', { code: errorPayload(error).code });
    }
    if (context) countRequest(context, request, { params, status: response.status, ms: performance.now() - startedAt });
    response.headers.set('X-Request-Id', requestId);
    if (!response.headers.has('Cache-Control')) response.headers.set('Cache-Control', 'no-store');
    // A connection that stays open would keep the server from ending.
    if (context?.closing.aborted) response.headers.set('Connection', 'close');
    return response;
  };
}

/** What it works with stays open until it is answered. */
async function underWay<T>({ requests }: Context, answer: Promise<T>): Promise<T> {
  requests.add(answer);
  try {
    return await answer;
  } finally {
    requests.delete(answer);
  }
}

function countRequest(
  { metrics }: Context,
  { url, method }: Request,
  answer: { params: Params; status: number; ms: number },
): void {
  const route = patternOf(new URL(url).pathname, answer.params);
  metrics.count('holdfast_http_requests_total', { route, method, status: String(answer.status) });
  metrics.observe('holdfast_http_request_seconds', { route, method }, answer.ms / 1000);
}

function refusal(error: unknown, requestId: string): Response {
  const payload = errorPayload(error);
  const { code, details } = payload;
  const body: ErrorAnswer = {
    success: false,
    error: { ...payload, timestamp: new Date().toISOString() },
    requestId,
  };
  const headers = new Headers();
  if (code === 'no_capacity' || code === 'rate_limited') {
    const { retryAfterS = RETRY_AFTER_S } = details ?? {};
    headers.set('Retry-After', String(retryAfterS));
  }
  if (code === 'method_not_allowed' && Array.isArray(details?.['allow']))
    headers.set('Allow', details['allow'].join(', '));
  if (code === 'range_not_satisfiable' && typeof details?.['end'] === 'number')
    headers.set('Content-Range', `bytes */${details['end']}`);
  return Response.json(body, { status: httpStatus(code), headers });
}

/** The Origin of a request that comes from where it may. @throws AppError `forbidden` */
function checkSource({ config }: Context, headers: Headers): string | null {
  const host = headers.get('host');
  if (host === null || !config.webHosts.includes(host)) {
    throw new AppError('forbidden', 'This server does not answer to this Host.', { details: { reason: 'host' } });
  }
  const origin = headers.get('origin');
  if (origin !== null && !config.origins.includes(origin)) {
    throw new AppError('forbidden', 'Pages of this Origin may not call here.', { details: { reason: 'origin' } });
  }
  const site = headers.get('sec-fetch-site');
  if (site === 'cross-site' || site === 'same-site') {
    throw new AppError('forbidden', 'Pages of another site may not call here.', { details: { reason: 'site' } });
  }
  return origin;
}

/** A cookie alone changes nothing: the browser must say that a page of ours sent it. @throws AppError `forbidden` */
function checkForgery({ request, origin }: Call): void {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (isRead || origin !== null || request.headers.get('sec-fetch-site') === 'same-origin') return;
  throw new AppError('forbidden', 'A change by cookie needs an Origin.', { details: { reason: 'origin' } });
}

async function read<S extends Shape>(shape: S, request: Request, params: Params): Promise<Parts<S>> {
  const parts = {
    params: shape.params && parse(shape.params, params, 'The address'),
    query: parse(shape.query ?? NO_QUERY, readQuery(request), 'The query'),
    body: shape.body && parse(shape.body, await readJson(request), 'The body'),
  };
  // Each part was made by the schema from which its type derives.
  return parts as Parts<S>;
}

function readQuery(request: Request): Record<string, string> {
  const { searchParams } = new URL(request.url);
  const names = [...searchParams.keys()];
  if (new Set(names).size < names.length) throw new AppError('bad_request', 'The query names something twice.');
  return Object.fromEntries(searchParams);
}
