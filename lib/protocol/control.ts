/**
 * The control API between web and gateway: HTTP and JSON on a unix socket.
 *
 *   GET    /v1/info                     InfoReply
 *   GET    /v1/sessions                 SessionsReply
 *   POST   /v1/sessions                 OpenRequest -> SessionReply
 *   GET    /v1/sessions/:id             SessionReply
 *   PATCH  /v1/sessions/:id             LabelRequest -> SessionReply
 *   DELETE /v1/sessions/:id             SessionReply (ends it, and forgets its last screen)
 *   GET    /v1/sessions/:id/output?from=&limit=   raw bytes, header `X-Position` with the first byte's position
 *   GET    /v1/sessions/:id/lines      LinesReply, the last 1,000 lines of scrollback and screen
 *   POST   /v1/revoke                   RevokeRequest -> RevokeReply
 *   POST   /v1/files/directory          DirectoryRequest -> DirectoryReply
 *   GET    /v1/events                   newline-delimited ControlEvent, an empty line every 10 s
 *
 * An error is `{error: {code, message, details?}}` with the status of the error table.
 */
import { z } from 'zod';
import { errorPayloadSchema } from './errors';
import { sessionIdSchema } from './ids';
import { exitSchema, sizeSchema } from './wire';

/** What a session runs: the user's shell, or the configured agent. */
export const sessionTypeSchema = z.enum(['system', 'claude']);
export type SessionType = z.infer<typeof sessionTypeSchema>;

/** Facts that web keeps at a session so that records can be re-adopted; opaque to gateway and host, at most 8 KiB of JSON. */
export const labelSchema = z.record(z.string(), z.unknown());
export type Label = z.infer<typeof labelSchema>;

/** Why and when a session ended. `at` is milliseconds since 1970. */
export const exitFactsSchema = exitSchema.extend({ at: z.number() });
export type ExitFacts = z.infer<typeof exitFactsSchema>;

/** What only the pty host knows of a session. Times are milliseconds since 1970. */
export const liveSessionSchema = sizeSchema.extend({
  id: sessionIdSchema,
  epoch: z.number().int(),
  hostId: z.string(),
  type: sessionTypeSchema,
  pid: z.number().int(),
  title: z.string(),
  cwd: z.string(),
  /** The command in the foreground other than the shell itself, or null at a prompt. */
  foreground: z.string().nullable(),
  viewers: z.number().int(),
  createdAt: z.number(),
  lastActivity: z.number(),
  /** Bytes that the pty has given so far. */
  position: z.number(),
  exit: exitFactsSchema.nullable(),
  label: labelSchema,
});
export type LiveSession = z.infer<typeof liveSessionSchema>;

/** False while a host of the node has not said which sessions it has: one that is not listed may live there. */
const isComplete = z.boolean();

export const infoReplySchema = z.object({
  instanceId: z.string(),
  nodeId: z.string(),
  version: z.string(),
  pid: z.number(),
  hosts: z.number(),
  sessions: z.number(),
  isComplete,
  memory: z.object({ rss: z.number(), heap: z.number(), external: z.number() }),
});
export type InfoReply = z.infer<typeof infoReplySchema>;

export const openRequestSchema = z.strictObject({
  id: sessionIdSchema,
  epoch: z.number().int().min(1),
  type: sessionTypeSchema,
  cwd: z.string().min(1).max(4096),
  ...sizeSchema.shape,
  label: labelSchema,
});
/** Opens a session; a lower epoch than the host's own is refused with `epoch_superseded`. */
export type OpenRequest = z.infer<typeof openRequestSchema>;

export const labelRequestSchema = z.strictObject({ label: labelSchema });

export const sessionReplySchema = z.object({ instanceId: z.string(), session: liveSessionSchema });
export type SessionReply = z.infer<typeof sessionReplySchema>;
export const sessionsReplySchema = z.object({
  instanceId: z.string(),
  isComplete,
  sessions: z.array(liveSessionSchema),
});
export type SessionsReply = z.infer<typeof sessionsReplySchema>;

/** Closes open sockets whose ticket matches every given claim. */
export const revokeRequestSchema = z.strictObject({
  sub: z.string().optional(),
  sid: z.string().optional(),
  session: sessionIdSchema.optional(),
});
export type RevokeRequest = z.infer<typeof revokeRequestSchema>;
export const revokeReplySchema = z.object({ closed: z.number() });

/** Asks whether a path is a directory inside the allowed roots; `within` narrows it to one directory and below. */
export const directoryRequestSchema = z.strictObject({
  path: z.string().max(4096),
  within: z.string().max(4096).optional(),
});
export type DirectoryRequest = z.infer<typeof directoryRequestSchema>;
/** The directory's real path, all links resolved. */
export const directoryReplySchema = z.object({ path: z.string() });

/** Plain text, without attributes and without empty lines at the end. */
export const linesReplySchema = z.object({ lines: z.array(z.string()) });

export const controlEventSchema = z.discriminatedUnion('event', [
  /** Always first: everything that lives now. */
  sessionsReplySchema.extend({ event: z.literal('sessions') }),
  z.object({ event: z.literal('session'), session: liveSessionSchema }),
  /** The host forgot the session, or died with it. */
  z.object({ event: z.literal('gone'), id: sessionIdSchema, epoch: z.number().int() }),
]);
export type ControlEvent = z.infer<typeof controlEventSchema>;

export const controlErrorSchema = z.object({ error: errorPayloadSchema });
