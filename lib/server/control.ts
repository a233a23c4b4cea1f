/** The client of the gateway's control API: HTTP and JSON over a unix socket, every call with a deadline. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import {
  type ArchivedSession,
  archivedSessionSchema,
  archiveReplySchema,
  controlErrorSchema,
  type DirectoryRequest,
  directoryReplySchema,
  type HistoryRequest,
  type InfoReply,
  infoReplySchema,
  type Label,
  linesReplySchema,
  type OpenRequest,
  type RevokeRequest,
  revokeReplySchema,
  type SessionReply,
  type SessionsReply,
  sessionReplySchema,
  sessionsReplySchema,
} from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';

const DEADLINE_MS = 2_000;
/** Opening may start a host; ending waits for the grace period between HUP and KILL. */
const SLOW_DEADLINE_MS = 10_000;
const REPLY_BYTES_MAX = 32 * 1024 * 1024;
const SOCKETS_MAX = 32;

type Call = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  body?: unknown;
  deadlineMs?: number;
  /** Whether the gateway may get it twice; else it goes over a connection of its own. */
  isRepeatable?: boolean;
};
type Reply = { status: number; headers: IncomingHttpHeaders; bytes: Buffer };

/** Raw output bytes, the position of the first one, and the position behind the last one that is kept. */
export type OutputReply = { position: number; end: number; bytes: Buffer };

/** A page of history, see `historyRequestSchema`; `start` is the oldest position that is kept. */
export type HistoryReply = OutputReply & { start: number };

/** The gateway cannot be reached: it is not there, or it went away during the call. */
export function sidecarUnavailable(cause: unknown): AppError {
  return new AppError('sidecar_unavailable', 'The terminal gateway cannot be reached. It is being restarted.', {
    cause,
  });
}

function positionIn(headers: IncomingHttpHeaders, name: string): number {
  const position = Number(headers[name]);
  if (!Number.isSafeInteger(position)) throw new Error(`an answer without ${name}`);
  return position;
}

/** Calls of web to the gateway. Failures are `AppError`s: those of the gateway, `sidecar_unavailable`, `deadline_exceeded`. */
export class ControlClient {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async info(): Promise<InfoReply> {
    return infoReplySchema.parse(await this.#json({ method: 'GET', path: '/v1/info' }));
  }

  async sessions(): Promise<SessionsReply> {
    return sessionsReplySchema.parse(await this.#json({ method: 'GET', path: '/v1/sessions' }));
  }

  async session(id: string): Promise<SessionReply> {
    return sessionReplySchema.parse(await this.#json({ method: 'GET', path: `/v1/sessions/${id}` }));
  }

  /** After `deadline_exceeded` or `sidecar_unavailable` it is unknown whether the session opened. */
  async open(body: OpenRequest): Promise<SessionReply> {
    const call: Call = {
      method: 'POST',
      path: '/v1/sessions',
      body,
      deadlineMs: SLOW_DEADLINE_MS,
      isRepeatable: false,
    };
    return sessionReplySchema.parse(await this.#json(call));
  }

  async label(id: string, label: Label): Promise<SessionReply> {
    const call: Call = { method: 'PATCH', path: `/v1/sessions/${id}`, body: { label } };
    return sessionReplySchema.parse(await this.#json(call));
  }

  /** Counts as use of a session. */
  async keep(id: string): Promise<SessionReply> {
    return sessionReplySchema.parse(await this.#json({ method: 'POST', path: `/v1/sessions/${id}/keep` }));
  }

  /** Ends a session and drops its last screen. */
  async end(id: string): Promise<SessionReply> {
    const call: Call = { method: 'DELETE', path: `/v1/sessions/${id}`, deadlineMs: SLOW_DEADLINE_MS };
    return sessionReplySchema.parse(await this.#json(call));
  }

  async output(id: string, from: number, limit: number): Promise<OutputReply> {
    const path = `/v1/sessions/${id}/output?from=${from}&limit=${limit}`;
    const { headers, bytes } = await this.#send({ method: 'GET', path, deadlineMs: SLOW_DEADLINE_MS });
    return { position: positionIn(headers, 'x-position'), end: positionIn(headers, 'x-end'), bytes };
  }

  /** A page of what was printed before `before`, living or not. */
  async history(id: string, { before, limit }: HistoryRequest): Promise<HistoryReply> {
    const path = `/v1/sessions/${id}/history?limit=${limit}${before === undefined ? '' : `&before=${before}`}`;
    const { headers, bytes } = await this.#send({ method: 'GET', path, deadlineMs: SLOW_DEADLINE_MS });
    const [position, end] = [positionIn(headers, 'x-position'), positionIn(headers, 'x-end')];
    return { position, end, start: positionIn(headers, 'x-start'), bytes };
  }

  /** Every session of which only the journal is left. */
  async archive(): Promise<ArchivedSession[]> {
    const call: Call = { method: 'GET', path: '/v1/archive', deadlineMs: SLOW_DEADLINE_MS };
    return archiveReplySchema.parse(await this.#json(call)).sessions;
  }

  /** One session of which only the journal is left. @throws AppError `not_found` */
  async archived(id: string): Promise<ArchivedSession> {
    const call: Call = { method: 'GET', path: `/v1/archive/${id}`, deadlineMs: SLOW_DEADLINE_MS };
    return archivedSessionSchema.parse(await this.#json(call));
  }

  /** Removes the journals of a session that does not live. */
  async forget(id: string): Promise<void> {
    await this.#json({ method: 'DELETE', path: `/v1/archive/${id}`, deadlineMs: SLOW_DEADLINE_MS });
  }

  /** The last lines of a session's scrollback and screen, as plain text. */
  async lines(id: string): Promise<string[]> {
    return linesReplySchema.parse(await this.#json({ method: 'GET', path: `/v1/sessions/${id}/lines` })).lines;
  }

  /** Closes open sockets by their ticket's claims. */
  async revoke(match: RevokeRequest): Promise<number> {
    const reply = await this.#json({ method: 'POST', path: '/v1/revoke', body: match });
    return revokeReplySchema.parse(reply).closed;
  }

  /** The real path of a directory inside the roots. A host looks, and is started if there is none. */
  async directory(body: DirectoryRequest): Promise<string> {
    const call: Call = { method: 'POST', path: '/v1/files/directory', body, deadlineMs: SLOW_DEADLINE_MS };
    const reply = await this.#json(call);
    return directoryReplySchema.parse(reply).path;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #json(call: Call): Promise<unknown> {
    const { bytes } = await this.#send(call);
    return JSON.parse(bytes.toString());
  }

  async #send(call: Call): Promise<Reply> {
    const reply = await this.#exchange(call);
    if (reply.status < 300) return reply;
    const { error } = controlErrorSchema.parse(JSON.parse(reply.bytes.toString()));
    throw new AppError(error.code, error.message, error.details && { details: error.details });
  }

  #exchange(call: Call): Promise<Reply> {
    const { method, path, body, deadlineMs = DEADLINE_MS, isRepeatable = true } = call;
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const deadline = AbortSignal.timeout(deadlineMs);
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => {
        if (deadline.aborted) {
          reject(new AppError('deadline_exceeded', 'The terminal gateway did not answer in time.', { cause }));
        } else reject(cause instanceof RangeError ? cause : sidecarUnavailable(cause));
      };
      const outgoing = request({
        socketPath: this.#socketPath,
        // A kept connection may die with its gateway just as it is used.
        agent: isRepeatable ? this.#agent : false,
        method,
        path,
        signal: deadline,
        headers: payload && { 'content-type': 'application/json', 'content-length': payload.length },
      });
      outgoing.on('error', (cause: NodeJS.ErrnoException) => {
        const isStale = outgoing.reusedSocket && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE');
        if (!isStale || deadline.aborted) return fail(cause);
        this.#exchange(call).then(resolve, reject);
      });
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = [];
        let length = 0;
        incoming.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > REPLY_BYTES_MAX) incoming.destroy(new RangeError(`a reply of more than ${length} bytes`));
        });
        incoming.on('error', fail);
        incoming.on('end', () => {
          resolve({ status: incoming.statusCode ?? 500, headers: incoming.headers, bytes: Buffer.concat(chunks) });
        });
      });
      outgoing.end(payload);
    });
  }
}
