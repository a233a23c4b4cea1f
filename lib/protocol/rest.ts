/** Bodies and answers of the REST API under `/api`. Unknown body fields are refused. */
import { z } from 'zod';
import { isClean } from './clean-text';
import { exitFactsSchema, sessionTypeSchema } from './control';
import { errorPayloadSchema } from './errors';
import { projectIdSchema, sessionIdSchema } from './ids';
import { NAME_GRAPHEMES_MAX } from './limits';
import { modeSchema, sizeSchema } from './wire';

const graphemes = new Intl.Segmenter();

/** A name that people see: 1 to 64 graphemes, no control or bidirectional override characters, trimmed. */
export const nameSchema = z
  .string()
  .max(NAME_GRAPHEMES_MAX * 16)
  .trim()
  .min(1, 'must not be empty')
  .refine((name) => /[^\p{C}\p{Z}\p{M}]/u.test(name), 'must hold a character that can be seen')
  .refine(isClean, 'must not hold control characters')
  .refine(
    (name) => [...graphemes.segment(name)].length <= NAME_GRAPHEMES_MAX,
    `must have at most ${NAME_GRAPHEMES_MAX} characters`,
  );

/** An absolute path, or one that starts with `~/`; at most 4,096 characters. */
export const pathSchema = z
  .string()
  .min(1)
  .max(4096)
  .refine((path) => !/[\p{Cc}\p{Cs}]/u.test(path), 'must not hold control characters')
  .refine((path) => path.startsWith('/') || path === '~' || path.startsWith('~/'), 'must be absolute');

const rev = z.number().int().min(1);

export const createTerminalSchema = z.strictObject({
  projectId: projectIdSchema,
  type: sessionTypeSchema,
  tabName: nameSchema,
  projectPath: pathSchema,
  cols: sizeSchema.shape.cols.optional(),
  rows: sizeSchema.shape.rows.optional(),
  restore: z.boolean().optional(),
});
export type CreateTerminal = z.infer<typeof createTerminalSchema>;

export const patchTerminalSchema = z.strictObject({
  tabName: nameSchema.optional(),
  /** Where the tab stands: tabs are shown by ascending position. */
  position: z.number().min(-1e9).max(1e9).optional(),
  pinned: z.boolean().optional(),
  rev,
});
export type PatchTerminal = z.infer<typeof patchTerminalSchema>;

export const attachTerminalSchema = z.strictObject({ mode: modeSchema });
/** There is nothing to say but that it is to stay: `{}`. */
export const keepTerminalSchema = z.strictObject({});
export const restartTerminalSchema = z.strictObject({ rev });

export const createProjectSchema = z.strictObject({ name: nameSchema, path: pathSchema });
export type CreateProject = z.infer<typeof createProjectSchema>;
export const patchProjectSchema = z.strictObject({
  name: nameSchema.optional(),
  pinned: z.boolean().optional(),
  archived: z.boolean().optional(),
  rev,
});
export type PatchProject = z.infer<typeof patchProjectSchema>;

/** The status of a session, derived from record, live facts and node, never stored. */
export const sessionStatusSchema = z.enum([
  'creating',
  'active',
  'inactive',
  'terminating',
  'ended',
  'error',
  'lost',
  'unreachable',
]);
export type SessionStatus = z.infer<typeof sessionStatusSchema>;

/**
 * How safe the record of a session is: it ends with web (but for what its host remembers), waits on this machine's disk for the
 * database, or is in the store.
 */
export const durabilitySchema = z.enum(['memory', 'outbox', 'stored']);
export type Durability = z.infer<typeof durabilitySchema>;

/** Where records are kept. */
export const storeKindSchema = z.enum(['memory', 'embedded', 'postgres', 'redis', 'redis+postgres']);
export type StoreKind = z.infer<typeof storeKindSchema>;

/** A session as lists and single answers carry it. Times are ISO 8601. List rows carry `output: []`. */
export const terminalSessionSchema = z.object({
  id: sessionIdSchema,
  projectId: projectIdSchema,
  userId: z.string().optional(),
  type: sessionTypeSchema,
  tabName: z.string(),
  active: z.boolean(),
  output: z.array(z.string()),
  currentPath: z.string(),
  pid: z.number().nullable(),
  createdAt: z.string(),
  lastActivity: z.string().optional(),
  status: sessionStatusSchema,
  rev: z.number(),
  epoch: z.number(),
  nodeId: z.string(),
  backendId: z.string().nullable(),
  exit: exitFactsSchema.optional(),
  viewers: z.number(),
  durability: durabilitySchema,
  position: z.number(),
  pinned: z.boolean(),
  /** The window title that the program set, or ''. */
  title: z.string(),
  /** The command in the foreground other than the shell, or null. */
  foreground: z.string().nullable(),
  /** When it will be ended for being idle unless somebody uses it; absent or null: not announced. */
  idleEndsAt: z.string().nullable().optional(),
});
export type TerminalSession = z.infer<typeof terminalSessionSchema>;

export const projectSchema = z.object({
  id: projectIdSchema,
  name: z.string(),
  path: z.string(),
  pinned: z.boolean(),
  archived: z.boolean(),
  rev: z.number(),
  createdAt: z.string(),
  /** Live sessions of the project. */
  activeCount: z.number(),
});
export type Project = z.infer<typeof projectSchema>;

const success = z.literal(true);
/** Where and with which subprotocols to open the terminal socket; the ticket inside lives 30 s and opens one socket. */
const connection = { connectionUrl: z.string(), protocols: z.array(z.string()) };

export const sessionAnswerSchema = z.object({ success, session: terminalSessionSchema });
export const createTerminalAnswerSchema = sessionAnswerSchema.extend(connection);
export const attachAnswerSchema = z.object({ success, ...connection });
export const listTerminalsAnswerSchema = z.object({
  success,
  sessions: z.array(terminalSessionSchema),
  /** Of the sidecar, as text, for example `143 MB`; `sessionCount` counts live sessions of the caller. */
  memoryUsage: z.object({ rss: z.string(), heap: z.string(), external: z.string(), sessionCount: z.number() }),
  nextCursor: z.string().optional(),
});
export const projectAnswerSchema = z.object({ success, project: projectSchema });
export const listProjectsAnswerSchema = z.object({ success, projects: z.array(projectSchema) });
export const projectTerminalsAnswerSchema = z.object({
  success,
  projectId: projectIdSchema,
  terminals: z.array(terminalSessionSchema),
  activeCount: z.number(),
});

/** What a call answers that has nothing to give back. */
export const doneAnswerSchema = z.object({ success });
export const healthAnswerSchema = z.object({ status: z.literal('ok') });
export const loginSchema = z.strictObject({ token: z.string().min(1).max(256) });

export const readyAnswerSchema = z.object({
  status: z.enum(['ready', 'degraded', 'unavailable']),
  degraded: z.array(z.string()),
  store: z.object({
    kind: storeKindSchema,
    /** Why it is another kind than was wanted; absent when it is as wanted. */
    note: z.string().optional(),
    /** Changes that wait on disk for the database. */
    outbox: z.object({ pending: z.number(), bytes: z.number() }).optional(),
    /** Reads that the cache answered, and those that it could not. */
    cache: z.object({ hits: z.number(), misses: z.number() }).optional(),
  }),
  sidecar: z.object({ reachable: z.boolean(), sessions: z.number(), hosts: z.number() }),
});

/** What every refused or failed call answers (R2). */
export const errorAnswerSchema = z.object({
  success: z.literal(false),
  error: errorPayloadSchema.extend({ timestamp: z.string() }),
  requestId: z.string(),
});
export type ErrorAnswer = z.infer<typeof errorAnswerSchema>;

/** Messages of `GET /api/events`: a change to one session or project, or that it is gone. `hello` is first. */
export const serverEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('hello'), sidecar: z.boolean(), degraded: z.array(z.string()) }),
  z.object({ type: z.literal('sidecar'), reachable: z.boolean() }),
  /** What the store has to do without now, as in `degraded` of `/api/ready`; [] when all is well again. */
  z.object({ type: z.literal('store'), degraded: z.array(z.string()) }),
  z.object({ type: z.literal('session'), session: terminalSessionSchema }),
  z.object({ type: z.literal('session-removed'), id: sessionIdSchema, projectId: projectIdSchema }),
  z.object({ type: z.literal('project'), project: projectSchema }),
  z.object({ type: z.literal('project-removed'), id: projectIdSchema }),
]);
export type ServerEvent = z.infer<typeof serverEventSchema>;
