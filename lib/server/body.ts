/** Reads what a request says: its JSON body, within bounds, and values against a schema. */
import type { z } from 'zod';
import { AppError } from '@/lib/protocol/errors';
import { BODY_BYTES_MAX } from '@/lib/protocol/limits';

const BODY_TIMEOUT_MS = 10_000;
const ISSUES_MAX = 10;

/** Where something is wrong, and what: `details.issues` of a `bad_request`. */
type Issue = { path: string; message: string };

/** The value as the schema says. @throws AppError `bad_request` with a short list of issues */
export function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues: Issue[] = parsed.error.issues
    .slice(0, ISSUES_MAX)
    .map(({ path, message }) => ({ path: path.map(String).join('.').slice(0, 100), message: message.slice(0, 200) }));
  const [first] = issues;
  const where = first?.path ? `${first.path}: ` : '';
  throw new AppError('bad_request', `${what} is not as it should be: ${where}${first?.message ?? 'unknown'}.`, {
    details: { issues },
  });
}

/** The body, if it is JSON in UTF-8 of at most 64 KiB. @throws AppError 400, 408, 413, 415 */
export async function readJson(request: Request): Promise<unknown> {
  const [mediaType = ''] = (request.headers.get('content-type') ?? '').split(';');
  if (mediaType.trim().toLowerCase() !== 'application/json') {
    throw new AppError('unsupported_media_type', 'Send the body as application/json.');
  }
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (encoding !== 'identity') {
    throw new AppError('unsupported_media_type', 'Send the body without a Content-Encoding.');
  }
  const bytes = await readBytes(request);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('bad_request', 'The body is not JSON in UTF-8.', {
      details: { reason: 'malformed_json' },
      cause,
    });
  }
  // JSON.parse makes `__proto__` an own key, which a schema may overlook.
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) {
    throw new AppError('bad_request', 'The body is not as it should be: __proto__: Unrecognized key.', {
      details: { issues: [{ path: '__proto__', message: 'Unrecognized key' }] },
    });
  }
  return value;
}

async function readBytes(request: Request): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  if (!request.body) return new Uint8Array();
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    reader.cancel().catch(() => 'the reader is told below');
  }, BODY_TIMEOUT_MS);
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      length += read.value.length;
      if (length > BODY_BYTES_MAX) throw tooLarge();
      chunks.push(read.value);
    }
  } finally {
    clearTimeout(timer);
    reader.releaseLock();
  }
  if (isLate) throw new AppError('timeout', 'The body took too long to arrive.');
  return Buffer.concat(chunks);
}

function tooLarge(): AppError {
  return new AppError('payload_too_large', `A body has at most ${BODY_BYTES_MAX} bytes.`, {
    details: { max: BODY_BYTES_MAX },
  });
}

/** The `Idempotency-Key` header, or null without one. @throws AppError `bad_request` for a strange one */
export function readIdempotencyKey(request: Request): string | null {
  const key = request.headers.get('idempotency-key');
  if (key === null || /^[\x21-\x7e]{1,128}$/.test(key)) return key;
  throw new AppError('bad_request', 'An Idempotency-Key has 1 to 128 visible ASCII characters.');
}
