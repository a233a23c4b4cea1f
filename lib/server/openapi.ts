/** The REST API as an OpenAPI 3.1 document, made from the schemas that check requests and answers. */
import { z } from 'zod';
import { ERRORS, type ErrorCode, httpStatus } from '@/lib/protocol/errors';
import {
  attachAnswerSchema,
  attachTerminalSchema,
  createProjectSchema,
  createTerminalAnswerSchema,
  createTerminalSchema,
  doneAnswerSchema,
  errorAnswerSchema,
  healthAnswerSchema,
  keepTerminalSchema,
  listProjectsAnswerSchema,
  listTerminalsAnswerSchema,
  loginSchema,
  patchProjectSchema,
  patchTerminalSchema,
  projectAnswerSchema,
  projectSchema,
  projectTerminalsAnswerSchema,
  readyAnswerSchema,
  restartTerminalSchema,
  serverEventSchema,
  sessionAnswerSchema,
  terminalSessionSchema,
} from '@/lib/protocol/rest';
import { VERSION } from '@/lib/protocol/version';
import { historyQuery, pageQuery, projectParams, rangeQuery, removalQuery, sessionParams } from './page';

type JsonSchema = Record<string, unknown>;

/** What a route takes and answers. `success` has a schema for each JSON answer, or the media type of another one. */
type Operation = {
  readonly summary: string;
  readonly tag: 'terminals' | 'projects' | 'server' | 'login';
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly success: Readonly<Record<number, z.ZodType | Media>>;
  readonly errors?: readonly ErrorCode[];
  readonly isPublic?: true;
  readonly takesIdempotencyKey?: true;
};

/** An answer that is not JSON, with the headers that explain its bytes. */
type Media = { readonly media: string; readonly text: string; readonly headers?: Readonly<Record<string, string>> };

const SIDECAR_ERRORS = ['sidecar_unavailable', 'deadline_exceeded', 'no_capacity'] as const;
const STORE_ERRORS = ['no_capacity', 'storage_full'] as const;

const POSITIONS = {
  'X-Position': 'Position of the first byte',
  'X-End': 'Position behind the last byte that is kept',
  'X-Epoch': 'Incarnation of the session',
};

const RANGE = { ...POSITIONS, 'Content-Range': 'Which bytes these are, and how many there are: `bytes 0-9/10`' };

/** The operations by path and verb; a test compares them with the route files. */
const OPERATIONS: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  '/api/terminal/create': {
    post: {
      summary: 'Creates a terminal, or gives back an equal one',
      tag: 'terminals',
      body: createTerminalSchema,
      success: { 201: createTerminalAnswerSchema, 200: createTerminalAnswerSchema },
      errors: [
        ...(['not_found', 'conflict', 'session_limit_reached', 'rate_limited'] as const),
        ...SIDECAR_ERRORS,
        ...STORE_ERRORS,
      ],
      takesIdempotencyKey: true,
    },
  },
  '/api/terminal/list': {
    get: {
      summary: 'Lists terminals, page by page',
      tag: 'terminals',
      query: pageQuery,
      success: { 200: listTerminalsAnswerSchema },
      errors: ['not_found'],
    },
  },
  '/api/terminal/{sessionId}': {
    get: {
      summary: 'Gives one terminal with the last lines of its output',
      tag: 'terminals',
      params: sessionParams,
      success: { 200: sessionAnswerSchema },
      errors: ['not_found', 'sidecar_unavailable'],
    },
    patch: {
      summary: 'Changes name, place or pin of a terminal',
      tag: 'terminals',
      params: sessionParams,
      body: patchTerminalSchema,
      success: { 200: sessionAnswerSchema },
      errors: ['not_found', 'conflict', 'sidecar_unavailable', ...STORE_ERRORS],
    },
    delete: {
      summary: 'Ends a terminal and forgets it; once more is no error',
      tag: 'terminals',
      params: sessionParams,
      success: { 200: sessionAnswerSchema },
      errors: ['not_found', ...SIDECAR_ERRORS, 'storage_full'],
    },
  },
  '/api/terminal/{sessionId}/attach': {
    post: {
      summary: 'Gives a fresh ticket for the terminal socket',
      tag: 'terminals',
      params: sessionParams,
      body: attachTerminalSchema,
      success: { 200: attachAnswerSchema },
      errors: ['not_found', 'conflict', 'session_ended', ...SIDECAR_ERRORS],
    },
  },
  '/api/terminal/{sessionId}/restart': {
    post: {
      summary: 'Starts an ended or lost terminal again, with the next epoch',
      tag: 'terminals',
      params: sessionParams,
      body: restartTerminalSchema,
      success: { 201: createTerminalAnswerSchema },
      errors: ['not_found', 'conflict', 'session_limit_reached', ...SIDECAR_ERRORS, ...STORE_ERRORS],
    },
  },
  '/api/terminal/{sessionId}/keep': {
    post: {
      summary: 'Keeps an idle terminal from being ended',
      tag: 'terminals',
      params: sessionParams,
      body: keepTerminalSchema,
      success: { 200: sessionAnswerSchema },
      errors: ['not_found', 'session_ended', ...SIDECAR_ERRORS],
    },
  },
  '/api/terminal/{sessionId}/output': {
    get: {
      summary: 'Gives raw output bytes from a position on',
      tag: 'terminals',
      params: sessionParams,
      query: rangeQuery,
      success: {
        206: { media: 'application/octet-stream', text: 'Raw bytes of the pty', headers: RANGE },
        200: { media: 'application/octet-stream', text: 'Nothing was printed yet', headers: POSITIONS },
      },
      errors: ['not_found', 'session_ended', 'range_not_satisfiable', ...SIDECAR_ERRORS],
    },
  },
  '/api/terminal/{sessionId}/history': {
    get: {
      summary: 'Gives a page of history as wire frames, newest page first',
      tag: 'terminals',
      params: sessionParams,
      query: historyQuery,
      success: {
        200: {
          media: 'application/octet-stream',
          text: 'Frames of the wire protocol',
          headers: { ...POSITIONS, 'X-Start': 'Position of the oldest byte that is kept' },
        },
      },
      errors: ['not_found', 'range_not_satisfiable', ...SIDECAR_ERRORS],
    },
  },
  '/api/workspace/projects': {
    get: { summary: 'Lists projects', tag: 'projects', success: { 200: listProjectsAnswerSchema } },
    post: {
      summary: 'Makes a directory a project',
      tag: 'projects',
      body: createProjectSchema,
      success: { 201: projectAnswerSchema },
      errors: ['not_found', 'conflict', ...SIDECAR_ERRORS, ...STORE_ERRORS],
    },
  },
  '/api/workspace/projects/{id}': {
    get: {
      summary: 'Gives one project',
      tag: 'projects',
      params: projectParams,
      success: { 200: projectAnswerSchema },
      errors: ['not_found', 'sidecar_unavailable'],
    },
    patch: {
      summary: 'Changes name, pin or archive mark of a project',
      tag: 'projects',
      params: projectParams,
      body: patchProjectSchema,
      success: { 200: projectAnswerSchema },
      errors: ['not_found', 'conflict', 'sidecar_unavailable', ...STORE_ERRORS],
    },
    delete: {
      summary: 'Removes a project with its tabs; its files are never touched',
      tag: 'projects',
      params: projectParams,
      query: removalQuery,
      success: { 200: doneAnswerSchema },
      errors: ['not_found', 'conflict', ...SIDECAR_ERRORS, 'storage_full'],
    },
  },
  '/api/workspace/projects/{id}/terminals': {
    get: {
      summary: 'Lists the terminals of a project in the order of their tabs',
      tag: 'projects',
      params: projectParams,
      success: { 200: projectTerminalsAnswerSchema },
      errors: ['not_found', 'sidecar_unavailable'],
    },
  },
  '/api/events': {
    get: {
      summary: 'Streams changes of terminals and projects',
      tag: 'server',
      success: { 200: { media: 'text/event-stream', text: 'Each `data:` line is one ServerEvent in JSON' } },
      errors: ['rate_limited', 'no_capacity'],
    },
  },
  '/api/health': {
    get: { summary: 'Says that web runs', tag: 'server', success: { 200: healthAnswerSchema }, isPublic: true },
  },
  '/api/ready': {
    get: {
      summary: 'Says whether web can serve, and what it has to do without',
      tag: 'server',
      success: { 200: readyAnswerSchema },
      isPublic: true,
    },
  },
  '/api/openapi.json': {
    get: {
      summary: 'Gives this document',
      tag: 'server',
      success: { 200: z.looseObject({ openapi: z.literal('3.1.0') }) },
      isPublic: true,
    },
  },
  '/api/auth/local': {
    post: {
      summary: 'Exchanges the login token of the start line for a cookie',
      tag: 'login',
      body: loginSchema,
      success: { 200: doneAnswerSchema },
      errors: ['unauthorized', 'rate_limited'],
      isPublic: true,
    },
    delete: { summary: 'Signs this browser out', tag: 'login', success: { 200: doneAnswerSchema } },
  },
};

/** Bodies and answers by their names in the document; where one is part of another, it stands there as a reference. */
const BODIES = {
  CreateTerminal: createTerminalSchema,
  PatchTerminal: patchTerminalSchema,
  AttachTerminal: attachTerminalSchema,
  RestartTerminal: restartTerminalSchema,
  KeepTerminal: keepTerminalSchema,
  CreateProject: createProjectSchema,
  PatchProject: patchProjectSchema,
  Login: loginSchema,
};
const ANSWERS = {
  TerminalSession: terminalSessionSchema,
  Project: projectSchema,
  SessionAnswer: sessionAnswerSchema,
  CreateTerminalAnswer: createTerminalAnswerSchema,
  AttachAnswer: attachAnswerSchema,
  ListTerminalsAnswer: listTerminalsAnswerSchema,
  ProjectAnswer: projectAnswerSchema,
  ListProjectsAnswer: listProjectsAnswerSchema,
  ProjectTerminalsAnswer: projectTerminalsAnswerSchema,
  ReadyAnswer: readyAnswerSchema,
  HealthAnswer: healthAnswerSchema,
  DoneAnswer: doneAnswerSchema,
  ServerEvent: serverEventSchema,
  Error: errorAnswerSchema,
};

function reference(schema: z.ZodType): JsonSchema {
  const named = Object.entries({ ...BODIES, ...ANSWERS }).find(([, known]) => known === schema);
  if (named) return { $ref: `#/components/schemas/${named[0]}` };
  return jsonSchema(schema);
}

/** @param io what a client sends, or what it gets: defaults are optional in the first and there in the second */
function components(schemas: Readonly<Record<string, z.ZodType>>, io: 'input' | 'output'): JsonSchema {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const made = z.toJSONSchema(registry, { io, target: 'draft-2020-12', uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(Object.entries(made.schemas).map(([id, { $schema, $id, ...schema }]) => [id, schema]));
}

function jsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
  return rest;
}

function parameters({ params, query, takesIdempotencyKey }: Operation): JsonSchema[] {
  const named = (place: 'path' | 'query', schema: z.ZodObject | undefined): JsonSchema[] =>
    Object.entries(schema?.shape ?? {}).map(([name, part]) => ({
      name,
      in: place,
      required: place === 'path',
      // What stands in an address is text; the `meta` of a schema says what is in it.
      schema: jsonSchema(part),
    }));
  const key = {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description: 'A repeated call with the same key and body within 10 minutes gives the first answer’s terminal.',
    schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
  };
  return [...named('path', params), ...named('query', query), ...(takesIdempotencyKey ? [key] : [])];
}

function errorsOf({ isPublic, body, errors = [] }: Operation): ErrorCode[] {
  const codes: ErrorCode[] = ['bad_request', 'forbidden', 'internal', ...errors];
  if (!isPublic) codes.push('unauthorized');
  if (body) codes.push('timeout', 'payload_too_large', 'unsupported_media_type');
  return [...new Set(codes)];
}

function successOf(answer: z.ZodType | Media): JsonSchema {
  if (!('media' in answer)) {
    return { description: 'Done', content: { 'application/json': { schema: reference(answer) } } };
  }
  const headers = Object.entries(answer.headers ?? {}).map(([name, description]) => [
    name,
    { description, schema: { type: 'string', ...(name.startsWith('X-') && { pattern: '^\\d+$' }) } },
  ]);
  return {
    description: answer.text,
    headers: Object.fromEntries(headers),
    content: { [answer.media]: { schema: { type: 'string' } } },
  };
}

/** Codes that share a status are one answer, whose description names them all. */
function responses(operation: Operation): JsonSchema {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorsOf(operation)) {
    byStatus.set(httpStatus(code), [...(byStatus.get(httpStatus(code)) ?? []), code]);
  }
  const content = { 'application/json': { schema: reference(errorAnswerSchema) } };
  const refusals = [...byStatus].map(([status, codes]) => [status, { description: codes.join(', '), content }]);
  const successes = Object.entries(operation.success).map(([status, answer]) => [status, successOf(answer)]);
  return Object.fromEntries([...successes, ...refusals]);
}

function operationObject(operation: Operation): JsonSchema {
  const { summary, tag, body, isPublic } = operation;
  return {
    summary,
    tags: [tag],
    parameters: parameters(operation),
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: reference(body) } } },
    }),
    responses: responses(operation),
    ...(isPublic && { security: [] }),
  };
}

/** The document of the web process at `url`, whose login cookie has this name. */
export function openApiDocument({ url, cookieName }: { url: string; cookieName: string }): JsonSchema {
  const paths = Object.entries(OPERATIONS).map(([path, verbs]) => [
    path,
    Object.fromEntries(Object.entries(verbs).map(([verb, operation]) => [verb, operationObject(operation)])),
  ]);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: VERSION,
      description: `Projects and terminals. Errors carry one of the codes ${Object.keys(ERRORS).join(', ')}.`,
    },
    servers: [{ url }],
    security: [{ machineToken: [] }, { cookie: [] }],
    paths: Object.fromEntries(paths),
    components: {
      schemas: { ...components(BODIES, 'input'), ...components(ANSWERS, 'output') },
      securitySchemes: {
        machineToken: { type: 'http', scheme: 'bearer', description: 'The content of `token` in the data directory.' },
        cookie: { type: 'apiKey', in: 'cookie', name: cookieName, description: 'Set by the login.' },
      },
    },
  };
}
