/** The one error table: codes, HTTP statuses, WebSocket close codes and what a client does next all derive from it. */
import { z } from 'zod';

/**
 * What a client does after an error: `stop` and report it, `sign-in` (one fresh ticket first), `reload` the record,
 * `ticket` (fetch a fresh ticket and reconnect now), `upgrade` (reload the page), `retry` with back-off and jitter.
 */
export type ClientAction = 'stop' | 'sign-in' | 'reload' | 'ticket' | 'upgrade' | 'retry';

type ErrorRow = { status: number; action: ClientAction };

/** Every error code with its HTTP status; the close code is 4000 + status. */
export const ERRORS = {
  bad_request: { status: 400, action: 'stop' },
  unauthorized: { status: 401, action: 'sign-in' },
  forbidden: { status: 403, action: 'stop' },
  not_found: { status: 404, action: 'stop' },
  method_not_allowed: { status: 405, action: 'stop' },
  timeout: { status: 408, action: 'retry' },
  conflict: { status: 409, action: 'reload' },
  session_limit_reached: { status: 409, action: 'stop' },
  session_ended: { status: 410, action: 'stop' },
  epoch_superseded: { status: 412, action: 'ticket' },
  payload_too_large: { status: 413, action: 'stop' },
  unsupported_media_type: { status: 415, action: 'stop' },
  range_not_satisfiable: { status: 416, action: 'stop' },
  wrong_node: { status: 421, action: 'ticket' },
  upgrade_required: { status: 426, action: 'upgrade' },
  rate_limited: { status: 429, action: 'retry' },
  internal: { status: 500, action: 'retry' },
  sidecar_unavailable: { status: 502, action: 'retry' },
  no_capacity: { status: 503, action: 'retry' },
  deadline_exceeded: { status: 504, action: 'retry' },
  storage_full: { status: 507, action: 'stop' },
} as const satisfies Record<string, ErrorRow>;

/** One code of the error table. */
export type ErrorCode = keyof typeof ERRORS;

const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

/** The codes as a zod enum, for messages that carry one. */
export const errorCodeSchema = z.enum(codes);

/** WebSocket close codes that are not errors of the table (RFC 6455 section 7.4.1). */
export const CLOSE = { normal: 1000, drain: 1001, restart: 1012 } as const;

/** The HTTP status of a code. */
export function httpStatus(code: ErrorCode): number {
  return ERRORS[code].status;
}

/** The WebSocket close code of a code: 4000 + its HTTP status. The close reason carries the code's name. */
export function closeCode(code: ErrorCode): number {
  return 4000 + ERRORS[code].status;
}

/**
 * The error that a WebSocket close stands for, or null for a close that is none of the table (1006, 1012, 1001 ...).
 * The reason decides where two codes share a number.
 */
export function codeForClose(code: number, reason: string): ErrorCode | null {
  const named = errorCodeSchema.safeParse(reason);
  if (named.success && closeCode(named.data) === code) return named.data;
  return codes.find((name) => closeCode(name) === code) ?? null;
}

/** RFC 6455: the message was too big. The same one again would fare no better. */
const TOO_BIG = 1009;

/** What a client does after a WebSocket close. Closes that are not in the table are retried. */
export function actionForClose(code: number, reason: string): ClientAction {
  const error = codeForClose(code, reason);
  if (error) return ERRORS[error].action;
  return code === TOO_BIG ? 'stop' : 'retry';
}

/** Facts that explain an error to a client, for example `{reason: 'outside_roots'}`. Never secrets, never stack traces. */
export type ErrorDetails = Record<string, unknown>;

/** An expected failure: its code decides what every hop says. Bugs are plain throws and reach clients as `internal`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails | undefined;

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.details = options.details;
  }

  /** Next loads this file once for each route of one process, so what an error is called decides and not whose class it is. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a subclass is asked as itself
    if (this !== AppError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return value instanceof Error && 'code' in value && errorCodeSchema.safeParse(value.code).success;
  }
}

/** How the system says that a process, or the machine, has no file handle left. */
const OUT_OF_HANDLES: readonly unknown[] = ['EMFILE', 'ENFILE'];

/**
 * The error as an object for another process, without stack or cause. Unknown errors become `internal` without their text, but
 * for a want of handles, which may hit any line and passes.
 */
export function errorPayload(error: unknown): { code: ErrorCode; message: string; details?: ErrorDetails } {
  if (error instanceof Error && 'code' in error && OUT_OF_HANDLES.includes(error.code)) {
    const details = { reason: 'handle_limit' };
    return { code: 'no_capacity', message: 'The server has no file handle left. Try again in a moment.', details };
  }
  if (!(error instanceof AppError)) return { code: 'internal', message: 'Something went wrong on the server.' };
  return { code: error.code, message: error.message, ...(error.details && { details: error.details }) };
}

/** The shape that `errorPayload` gives, as a schema for the receiving side. */
export const errorPayloadSchema = z.object({
  code: errorCodeSchema,
  message: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});
