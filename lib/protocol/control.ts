/**
 * The control API between web and gateway: HTTP and JSON on a unix socket.
 *
 *   GET    /v1/info                     InfoReply
 *   GET    /v1/sessions                 SessionsReply
 *   POST   /v1/sessions                 OpenRequest -> SessionReply
 *   GET    /v1/sessions/:id             SessionReply
 *   PATCH  /v1/sessions/:id             LabelRequest -> SessionReply
 *   DELETE /v1/sessions/:id             SessionReply (ends it, and forgets its last screen)
 *   POST   /v1/sessions/:id/keep        SessionReply (uses it, so that it does not end for being idle)
 *   GET    /v1/sessions/:id/output?from=&limit=   raw bytes, header `X-Position` with the first byte's position
 *   GET    /v1/sessions/:id/lines      LinesReply, the last 1,000 lines of scrollback and screen
 *   GET    /v1/sessions/:id/history?before=&limit=   HistoryPage: wire frames from the journal, each behind a 4-byte length
 *   GET    /v1/archive                  ArchiveReply
 *   GET    /v1/archive/:id              ArchivedSession
 *   DELETE /v1/archive/:id              removes the journals of a session that does not live
 *   GET    /v1/pool                     PoolReply
 *   POST   /v1/revoke                   RevokeRequest -> RevokeReply
 *   POST   /v1/files/directory          DirectoryRequest -> DirectoryReply
 *   GET    /v1/events                   newline-delimited ControlEvent, an empty line every 10 s
 *
 * An error is `{error: {code, message, details?}}` with the status of the error table.
 */
import { z } from 'zod';
import { errorPayloadSchema } from './errors';
import { sessionIdSchema } from './ids';
import { HISTORY_BYTES_MAX } from './limits';
import { endReasonSchema, exitSchema, sizeSchema } from './wire';

/** What a session runs: the user's shell, or the configured agent. */
export const sessionTypeSchema = z.enum(['system', 'claude']);
export type SessionType = z.infer<typeof sessionTypeSchema>;

/**
 * Facts that web keeps at a session so that records can be re-adopted, at most 8 KiB of JSON. Opaque to gateway and host, but
 * for `pinned`: a session whose label says true there is never ended for being idle, nor for want of memory.
 */
export const labelSchema = z.record(z.string(), z.unknown());
export type Label = z.infer<typeof labelSchema>;

/** The states of a session at its host; which may follow which is in `ws-server/host/life.ts`. */
export const sessionStateSchema = z.enum(['creating', 'active', 'inactive', 'terminating', 'ended', 'error']);
export type SessionState = z.infer<typeof sessionStateSchema>;

/** Why and when a session ended. `at` is milliseconds since 1970; of a lost session the code is -1. */
export const exitFactsSchema = exitSchema.extend({ at: z.number(), reason: endReasonSchema.optional() });
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
  /** Absent from hosts that are older than it. */
  state: sessionStateSchema.optional(),
  /** When the session will be ended for being idle, once that was announced; absent or null otherwise. */
  idleEndsAt: z.number().nullable().optional(),
});
export type LiveSession = z.infer<typeof liveSessionSchema>;

/** A session of which only the journal is left: it ended, or it was lost with its host. Times are milliseconds since 1970. */
export const archivedSessionSchema = sizeSchema.extend({
  id: sessionIdSchema,
  epoch: z.number().int(),
  type: sessionTypeSchema,
  title: z.string(),
  cwd: z.string(),
  createdAt: z.number(),
  lastActivity: z.number(),
  /** The oldest position that the journal still holds, and the position behind its last byte. */
  start: z.number(),
  position: z.number(),
  exit: exitFactsSchema,
  label: labelSchema,
});
export type ArchivedSession = z.infer<typeof archivedSessionSchema>;

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
  /** What the node has to do without at the moment: `journal` when one cannot be written. */
  degraded: z.array(z.string()).default([]),
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

/**
 * A page of history: a SNAPSHOT frame, then OUTPUT frames and `resized` events that follow it, up to `before`. Headers:
 * `X-Position` of the SNAPSHOT, `X-End` behind the last byte, `X-Start` the oldest position of the journal. The SNAPSHOT shows the
 * screen only, without scrollback, because that is on the page before; at `X-Start` it has the scrollback too. Where bytes are
 * missing or damaged, the page ends at the hole: `X-End` is below `before`. Nothing before: `range_not_satisfiable`.
 */
export const historyRequestSchema = z.strictObject({
  /** Position behind the last byte wanted; absent: everything up to now. */
  before: z.coerce.number().int().min(0).optional(),
  /** Bytes of output wanted at least, where there are so many; the page begins at the key frame before them. */
  limit: z.coerce.number().int().min(1).max(HISTORY_BYTES_MAX).default(HISTORY_BYTES_MAX),
});
export type HistoryRequest = z.infer<typeof historyRequestSchema>;

export const archiveReplySchema = z.object({ instanceId: z.string(), sessions: z.array(archivedSessionSchema) });
export type ArchiveReply = z.infer<typeof archiveReplySchema>;

/** R224. `averageLoad`, `cpuUsage` and `errorRate` are shares from 0 to 1 (CPU of one core), `memoryUsage` bytes. */
export const poolMetricsSchema = z.object({
  totalSessions: z.number(),
  averageLoad: z.number(),
  memoryUsage: z.number(),
  cpuUsage: z.number(),
  errorRate: z.number(),
});
export type PoolMetrics = z.infer<typeof poolMetricsSchema>;

/** R229: what the autoscaler would do with the number of hosts (`targetCapacity`), and how sure it is (0 to 1). */
export const scalingDecisionSchema = z.object({
  action: z.enum(['scale_up', 'scale_down', 'maintain']),
  targetCapacity: z.number().int(),
  reason: z.string(),
  confidence: z.number().min(0).max(1),
});
export type ScalingDecision = z.infer<typeof scalingDecisionSchema>;

/** R222: capacity and slots in sessions, backends in host processes. */
export const poolReplySchema = z.object({
  instanceId: z.string(),
  capacity: z.number().int(),
  activeBackends: z.number().int(),
  availableSlots: z.number().int(),
  metrics: poolMetricsSchema,
  decision: scalingDecisionSchema,
  /** What an operator could do for the pool, in plain sentences. */
  recommendations: z.array(z.string()),
  backends: z.array(
    z.object({
      hostId: z.string(),
      pid: z.number().int().nullable(),
      version: z.string(),
      /** `draining`: it takes no new sessions, and ends when its last one does. */
      state: z.enum(['starting', 'ready', 'slow', 'unresponsive', 'draining']),
      sessions: z.number().int(),
      capacity: z.number().int(),
      /** Resident memory (bytes), and share of one core in the last interval. */
      memory: z.number(),
      cpu: z.number(),
    }),
  ),
  /** Hosts started again after a crash within the window, and whether the pool has given up to. */
  restarts: z.object({ count: z.number().int(), max: z.number().int(), isExhausted: z.boolean() }),
});
export type PoolReply = z.infer<typeof poolReplySchema>;

export const controlEventSchema = z.discriminatedUnion('event', [
  /** Always first: everything that lives now. */
  sessionsReplySchema.extend({ event: z.literal('sessions') }),
  z.object({ event: z.literal('session'), session: liveSessionSchema }),
  /** The host forgot the session, or died with it. */
  z.object({ event: z.literal('gone'), id: sessionIdSchema, epoch: z.number().int() }),
]);
export type ControlEvent = z.infer<typeof controlEventSchema>;

export const controlErrorSchema = z.object({ error: errorPayloadSchema });
