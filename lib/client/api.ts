/** The REST API as typed calls: every answer is checked, every failure is an `ApiError` with a code of the error table. (Aborting is none.) */
import { AppError, type ErrorCode, type ErrorDetails } from '@/lib/protocol/errors';
import {
  attachAnswerSchema,
  type CreateProject,
  type CreateTerminal,
  createTerminalAnswerSchema,
  errorAnswerSchema,
  listProjectsAnswerSchema,
  type PatchProject,
  type PatchTerminal,
  type Project,
  projectAnswerSchema,
  projectTerminalsAnswerSchema,
  sessionAnswerSchema,
  type TerminalSession,
} from '@/lib/protocol/rest';
import type { Mode } from '@/lib/protocol/wire';
import { decodeFrames, type HistoryPage } from './history';
import type { Ticket } from './link';

/** A call that has no answer after this time fails with `deadline_exceeded` (ms). */
const DEADLINE_MS = 20_000;

type Schema<T> = { safeParse(value: unknown): { success: true; data: T } | { success: false; error: unknown } };
type Call<T> = { answer: Schema<T>; body?: unknown; signal?: AbortSignal | undefined };

/** A failed call. `requestId` names it in the server's log; it is null when no server answered. */
export class ApiError extends AppError {
  readonly requestId: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    options: { requestId?: string; details?: ErrorDetails | undefined; cause?: unknown } = {},
  ) {
    super(code, message, {
      ...(options.details !== undefined && { details: options.details }),
      ...(options.cause !== undefined && { cause: options.cause }),
    });
    this.name = 'ApiError';
    this.requestId = options.requestId ?? null;
  }
}

type Answer = { isOk: boolean; status: number; headers: Headers; body: Uint8Array };

async function send(method: string, path: string, { body, signal }: Omit<Call<unknown>, 'answer'>): Promise<Answer> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  try {
    const response = await fetch(path, {
      method,
      ...(body !== undefined && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
      cache: 'no-store',
      credentials: 'same-origin',
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    const { ok: isOk, status, headers } = response;
    return { isOk, status, headers, body: new Uint8Array(await response.arrayBuffer()) };
  } catch (cause) {
    if (signal?.aborted) throw cause;
    if (deadline.aborted) throw new ApiError('deadline_exceeded', 'Holdfast did not answer in time.', { cause });
    throw new ApiError('timeout', 'Holdfast cannot be reached. Your shells keep running.', { cause });
  }
}

function parseJson({ status, body }: Answer): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch (cause) {
    throw new ApiError('internal', `Holdfast answered with status ${status} and no JSON.`, { cause });
  }
}

function refusal(answer: Answer): ApiError {
  const refused = errorAnswerSchema.safeParse(parseJson(answer));
  if (!refused.success) return new ApiError('internal', `Holdfast answered with status ${answer.status}.`);
  const { error, requestId } = refused.data;
  return new ApiError(error.code, error.message, { requestId, details: error.details });
}

function otherVersion(cause: unknown): ApiError {
  const message = 'This page and the server are of different versions. Reload the page.';
  return new ApiError('upgrade_required', message, { cause });
}

async function call<T>(method: string, path: string, options: Call<T>): Promise<T> {
  const answer = await send(method, path, options);
  if (!answer.isOk) throw refusal(answer);
  const parsed = options.answer.safeParse(parseJson(answer));
  if (!parsed.success) throw otherVersion(parsed.error);
  return parsed.data;
}

const anyAnswer: Schema<unknown> = { safeParse: (data) => ({ success: true, data }) };

/** Exchanges a login token for the cookie. */
export async function signIn(token: string): Promise<void> {
  await call('POST', '/api/auth/local', { answer: anyAnswer, body: { token } });
}

/** Forgets the cookie. */
export async function signOut(): Promise<void> {
  await call('DELETE', '/api/auth/local', { answer: anyAnswer });
}

/** The caller's projects. */
export async function listProjects(signal?: AbortSignal): Promise<Project[]> {
  return (await call('GET', '/api/workspace/projects', { answer: listProjectsAnswerSchema, signal })).projects;
}

/** Makes a directory a project. */
export async function createProject(body: CreateProject): Promise<Project> {
  return (await call('POST', '/api/workspace/projects', { answer: projectAnswerSchema, body })).project;
}

/** Changes a project by compare-and-set on `rev`. */
export async function patchProject(id: string, body: PatchProject): Promise<Project> {
  return (await call('PATCH', `/api/workspace/projects/${id}`, { answer: projectAnswerSchema, body })).project;
}

/** Removes a project from Holdfast; files are never touched. With live sessions it is refused unless `end` is true. */
export async function deleteProject(id: string, { end }: { end: boolean }): Promise<void> {
  await call('DELETE', `/api/workspace/projects/${id}${end ? '?end=true' : ''}`, { answer: anyAnswer });
}

/** The tabs of a project. */
export async function listTerminals(projectId: string, signal?: AbortSignal): Promise<TerminalSession[]> {
  const path = `/api/workspace/projects/${projectId}/terminals`;
  return (await call('GET', path, { answer: projectTerminalsAnswerSchema, signal })).terminals;
}

/** Opens a session; the ticket in the answer saves the first attach. */
export async function createTerminal(body: CreateTerminal): Promise<{ session: TerminalSession; ticket: Ticket }> {
  const answer = await call('POST', '/api/terminal/create', { answer: createTerminalAnswerSchema, body });
  return { session: answer.session, ticket: { connectionUrl: answer.connectionUrl, protocols: answer.protocols } };
}

/** One session as it is now. */
export async function readTerminal(id: string): Promise<TerminalSession> {
  return (await call('GET', `/api/terminal/${id}`, { answer: sessionAnswerSchema })).session;
}

/** Changes a session's record by compare-and-set on `rev`. */
export async function patchTerminal(id: string, body: PatchTerminal): Promise<TerminalSession> {
  return (await call('PATCH', `/api/terminal/${id}`, { answer: sessionAnswerSchema, body })).session;
}

/** Ends the session with everything below its shell and removes the tab. */
export async function deleteTerminal(id: string): Promise<void> {
  await call('DELETE', `/api/terminal/${id}`, { answer: anyAnswer });
}

/** Fetches a fresh ticket. */
export async function attachTerminal(id: string, mode: Mode): Promise<Ticket> {
  const { connectionUrl, protocols } = await call('POST', `/api/terminal/${id}/attach`, {
    answer: attachAnswerSchema,
    body: { mode },
  });
  return { connectionUrl, protocols };
}

/** Starts an ended or lost session again in its last directory: same id, next epoch. */
export async function restartTerminal(id: string, rev: number): Promise<{ session: TerminalSession; ticket: Ticket }> {
  const answer = await call('POST', `/api/terminal/${id}/restart`, {
    answer: createTerminalAnswerSchema,
    body: { rev },
  });
  return { session: answer.session, ticket: { connectionUrl: answer.connectionUrl, protocols: answer.protocols } };
}

/** Keeps an idle session from being ended; its idle time starts anew. */
export async function keepTerminal(id: string): Promise<void> {
  await call('POST', `/api/terminal/${id}/keep`, { body: {}, answer: anyAnswer });
}

function positionIn(headers: Headers, name: string): number {
  const text = headers.get(name);
  const position = Number(text);
  if (!text || !Number.isSafeInteger(position) || position < 0) throw otherVersion(new TypeError(`${name}: ${text}`));
  return position;
}

/** A page of a session's history that ends at `before`, or now, with `limit` bytes of output or a little more. */
export async function readHistory(
  id: string,
  { before, limit, signal }: { before: number | null; limit: number; signal: AbortSignal },
): Promise<HistoryPage> {
  const query = new URLSearchParams({ ...(before !== null && { before: String(before) }), limit: String(limit) });
  const answer = await send('GET', `/api/terminal/${id}/history?${query}`, { signal });
  if (!answer.isOk) throw refusal(answer);
  const { headers, body } = answer;
  const extent = {
    position: positionIn(headers, 'X-Position'),
    end: positionIn(headers, 'X-End'),
    start: positionIn(headers, 'X-Start'),
  };
  try {
    return { ...extent, frames: decodeFrames(body) };
  } catch (cause) {
    throw otherVersion(cause);
  }
}
