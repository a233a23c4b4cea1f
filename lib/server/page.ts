/** Pages of a list: an opaque cursor and a limit. */
import { z } from 'zod';
import { projectIdSchema, sessionIdSchema } from '@/lib/protocol/ids';
import { HISTORY_BYTES_MAX } from '@/lib/protocol/limits';

const PAGE = { default: 100, max: 500 } as const;
const OUTPUT_BYTES_MAX = 1024 * 1024;

/** A cursor for the page behind an id. */
export function encodeCursor(id: string): string {
  return Buffer.from(id).toString('base64url');
}

const cursor = z
  .string()
  .max(100)
  .transform((text) => Buffer.from(text, 'base64url').toString())
  .pipe(sessionIdSchema);

const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a whole number')
  .transform(Number);

/** From 1 to `max`. The meta is for the API document: in an address it is text with a pattern. */
function limit(max: number, fallback = max) {
  return wholeNumber
    .pipe(z.number().min(1).max(max))
    .default(fallback)
    .meta({ type: 'integer', minimum: 1, maximum: max, default: fallback });
}

const position = wholeNumber.optional().meta({ type: 'integer', minimum: 0 });

/** `?projectId= &cursor= &limit=`: 100 rows without a limit, 500 at most. */
export const pageQuery = z.strictObject({
  projectId: projectIdSchema.optional(),
  cursor: cursor.optional(),
  limit: limit(PAGE.max, PAGE.default),
});

/** `?from= &limit=` of raw output, in bytes: 1 MiB at most. */
export const rangeQuery = z.strictObject({
  from: position,
  limit: limit(OUTPUT_BYTES_MAX),
});

/** `?before= &limit=` of a page of history, in bytes of output: 2 MiB at most. */
export const historyQuery = z.strictObject({
  before: position,
  limit: limit(HISTORY_BYTES_MAX),
});

/** The id in the path of a session's routes. */
export const sessionParams = z.object({ sessionId: sessionIdSchema });
/** The id in the path of a project's routes. */
export const projectParams = z.object({ id: projectIdSchema });
/** `?end=true` ends what runs in a project that is removed. */
export const removalQuery = z.strictObject({ end: z.enum(['true', 'false']).default('false') });
