/** Pages of a list: an opaque cursor and a limit. */
import { z } from 'zod';
import { projectIdSchema, sessionIdSchema } from '@/lib/protocol/ids';
import { HISTORY_BYTES_MAX } from '@/lib/protocol/limits';

const LIMIT = { default: 100, max: 500 } as const;

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

/** `?projectId= &cursor= &limit=`: 100 rows without a limit, 500 at most. */
export const pageQuery = z.object({
  projectId: projectIdSchema.optional(),
  cursor: cursor.optional(),
  limit: wholeNumber.pipe(z.number().min(1).max(LIMIT.max)).default(LIMIT.default),
});

/** `?from= &limit=` of raw output, in bytes: 1 MiB at most. */
export const rangeQuery = z.object({
  from: wholeNumber.optional(),
  limit: wholeNumber
    .pipe(
      z
        .number()
        .min(1)
        .max(1024 * 1024),
    )
    .default(1024 * 1024),
});

/** `?before= &limit=` of a page of history, in bytes of output: 2 MiB at most. */
export const historyQuery = z.object({
  before: wholeNumber.optional(),
  limit: wholeNumber.pipe(z.number().min(1).max(HISTORY_BYTES_MAX)).default(HISTORY_BYTES_MAX),
});

/** The id in the path of a session's routes. */
export const sessionParams = z.object({ sessionId: sessionIdSchema });
/** The id in the path of a project's routes. */
export const projectParams = z.object({ id: projectIdSchema });
