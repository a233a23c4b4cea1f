/** The control API for web: HTTP and JSON on a unix socket (`lib/protocol/control.ts`). */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { z } from 'zod';
import type { Logger } from '@/lib/log';
import {
  type ArchiveReply,
  type ControlEvent,
  directoryRequestSchema,
  historyRequestSchema,
  type InfoReply,
  type Label,
  type LiveSession,
  labelRequestSchema,
  type OpenRequest,
  openRequestSchema,
  type PoolReply,
  type RevokeRequest,
  revokeRequestSchema,
  type SessionReply,
  type SessionsReply,
} from '@/lib/protocol/control';
import { AppError, errorPayload, httpStatus } from '@/lib/protocol/errors';
import { sessionIdSchema } from '@/lib/protocol/ids';
import { BODY_BYTES_MAX } from '@/lib/protocol/limits';
import { type Launch, READ_BYTES_MAX } from './link';
import { OutputReader } from './output-reader';
import type { Pool } from './pool';

const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 200;
const LABEL_BYTES_MAX = 8 * 1024;
/** Between empty lines in the event stream (ms), and what a reader may leave unread (bytes). */
const HEARTBEAT_MS = 10_000;
const EVENT_BYTES_MAX = 1024 * 1024;

/** What the control API reaches. */
export type ControlOptions = {
  instanceId: string;
  pool: Pool;
  log: Logger;
  info(): Omit<InfoReply, 'instanceId'>;
  /** How to start a session. @throws AppError when none may be started now */
  launch(request: OpenRequest): Launch;
  revoke(match: RevokeRequest): number;
};

type Call = { request: IncomingMessage; response: ServerResponse; id: string; query: URLSearchParams };
type Route = { method: string; path: RegExp; run(call: Call): unknown };

const rangeSchema = z.strictObject({
  from: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(READ_BYTES_MAX).default(READ_BYTES_MAX),
});

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError('bad_request', z.prettifyError(parsed.error), { cause: parsed.error });
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // A refused body is not read to its end, and the connection has to last for the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      throw new AppError('payload_too_large', `A body has at most ${BODY_BYTES_MAX} bytes.`);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (cause) {
    throw new AppError('bad_request', 'The body is not JSON.', { cause });
  }
}

function checkLabel(label: Label): void {
  if (Buffer.byteLength(JSON.stringify(label)) <= LABEL_BYTES_MAX) return;
  throw new AppError('payload_too_large', `A label has at most ${LABEL_BYTES_MAX} bytes.`);
}

function routesOf({ instanceId, pool, info, launch, revoke }: ControlOptions): Route[] {
  const reply = (session: LiveSession): SessionReply => ({ instanceId, session });
  const all = /^\/v1\/sessions$/;
  const one = /^\/v1\/sessions\/([^/]+)$/;
  const output = new OutputReader(pool);
  const archived = /^\/v1\/archive\/([^/]+)$/;
  return [
    { method: 'GET', path: /^\/v1\/info$/, run: (): InfoReply => ({ instanceId, ...info() }) },
    {
      method: 'GET',
      path: all,
      run: async (): Promise<SessionsReply> => ({
        instanceId,
        sessions: await pool.list(),
        isComplete: pool.isComplete,
      }),
    },
    {
      method: 'POST',
      path: all,
      run: async ({ request }) => {
        const asked = parse(openRequestSchema, await readJson(request));
        checkLabel(asked.label);
        return reply(await pool.open(asked, launch(asked)));
      },
    },
    { method: 'GET', path: one, run: async ({ id }) => reply(await pool.look(id)) },
    {
      method: 'PATCH',
      path: one,
      run: async ({ id, request }) => {
        const { label } = parse(labelRequestSchema, await readJson(request));
        checkLabel(label);
        return reply(await pool.label(id, label));
      },
    },
    { method: 'POST', path: /^\/v1\/sessions\/([^/]+)\/keep$/, run: async ({ id }) => reply(await pool.keep(id)) },
    { method: 'DELETE', path: one, run: async ({ id }) => reply(await pool.end(id)) },
    {
      method: 'GET',
      path: /^\/v1\/sessions\/([^/]+)\/output$/,
      run: async ({ id, query, response }) => {
        const { position, end, data } = await output.read(id, parse(rangeSchema, Object.fromEntries(query)));
        const head = { 'Content-Type': 'application/octet-stream', 'X-Position': position, 'X-End': end };
        response.writeHead(200, head).end(data);
      },
    },
    { method: 'GET', path: /^\/v1\/sessions\/([^/]+)\/lines$/, run: async ({ id }) => output.lines(id) },
    {
      method: 'GET',
      path: /^\/v1\/sessions\/([^/]+)\/history$/,
      run: async ({ id, query, response }) => {
        const request = parse(historyRequestSchema, Object.fromEntries(query));
        const { position, end, start, data } = await output.history(id, request);
        const head = {
          'Content-Type': 'application/octet-stream',
          'X-Position': position,
          'X-End': end,
          'X-Start': start,
        };
        response.writeHead(200, head).end(data);
      },
    },
    {
      method: 'GET',
      path: /^\/v1\/archive$/,
      run: async (): Promise<ArchiveReply> => ({ instanceId, sessions: await output.archive() }),
    },
    { method: 'GET', path: archived, run: ({ id }) => output.archived(id) },
    {
      method: 'DELETE',
      path: archived,
      run: async ({ id }) => {
        await output.forget(id);
        return {};
      },
    },
    { method: 'GET', path: /^\/v1\/pool$/, run: (): PoolReply => ({ instanceId, ...pool.hosts.describe() }) },
    {
      method: 'POST',
      path: /^\/v1\/revoke$/,
      run: async ({ request }) => ({ closed: revoke(parse(revokeRequestSchema, await readJson(request))) }),
    },
    {
      method: 'POST',
      path: /^\/v1\/files\/directory$/,
      run: async ({ request }) => pool.directory(parse(directoryRequestSchema, await readJson(request))),
    },
    {
      method: 'GET',
      path: /^\/v1\/events$/,
      run: ({ response }) => {
        streamEvents(response, pool, instanceId);
      },
    },
  ];
}

function streamEvents(response: ServerResponse, pool: Pool, instanceId: string): void {
  const write = (line: string) => {
    if (response.writableLength > EVENT_BYTES_MAX) response.destroy();
    else response.write(`${line}\n`);
  };
  const send = (event: ControlEvent) => write(JSON.stringify(event));
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  send({ event: 'sessions', instanceId, isComplete: pool.isComplete, sessions: pool.sessions() });
  const unsubscribe = pool.subscribe(send);
  const heartbeat = setInterval(() => write(''), HEARTBEAT_MS);
  response.on('close', () => {
    clearInterval(heartbeat);
    unsubscribe();
  });
}

async function answer(routes: Route[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://control');
  const here = routes.filter(({ path }) => path.test(pathname));
  const route = here.find(({ method }) => method === request.method);
  if (here.length === 0) throw new AppError('not_found', 'There is no such route.');
  if (!route) throw new AppError('method_not_allowed', `${request.method} is not possible here.`);
  const named = route.path.exec(pathname)?.[1];
  const id = named === undefined ? '' : parse(sessionIdSchema, named);
  const body = await route.run({ request, response, id, query: searchParams });
  if (body === undefined) return;
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

/** The control API, not yet listening. */
export function createControlApi(options: ControlOptions): Server {
  const routes = routesOf(options);
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(routes, request, response).catch((error: unknown) => {
      const payload = errorPayload(error);
      if (payload.code === 'internal') options.log.error({ err: error }, 'control request failed');
      if (response.headersSent) {
        response.destroy();
        return;
      }
      // What is left of the request's body is not read.
      const head = { 'Content-Type': 'application/json', Connection: 'close' };
      response.writeHead(httpStatus(payload.code), head).end(JSON.stringify({ error: payload }));
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

/** Whether a process listens on a unix socket. */
export function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(socketPath, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
}

/** Listens on a unix socket of mode 0600, over a file that a dead process has left. */
export function listenOn(server: Server, socketPath: string): Promise<void> {
  rmSync(socketPath, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, () => {
      server.off('error', reject);
      chmodSync(socketPath, 0o600);
      resolve();
    });
  });
}
