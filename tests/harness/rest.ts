/** A client of the REST API for tests, over a real sidecar: every answer is checked against its schema. */
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import type { ErrorCode } from '@/lib/protocol/errors';
import {
  createTerminalAnswerSchema,
  errorAnswerSchema,
  listProjectsAnswerSchema,
  listTerminalsAnswerSchema,
  type Project,
  projectAnswerSchema,
  projectTerminalsAnswerSchema,
  sessionAnswerSchema,
  type TerminalSession,
} from '@/lib/protocol/rest';
import { TICKET_PREFIX } from '@/lib/protocol/wire';
import { type Sidecar, startSidecar } from './sidecar';
import { openViewer, type Viewer } from './viewer';
import { Web, type WebRequest } from './web';

type Opened = z.infer<typeof createTerminalAnswerSchema> & { status: number };

/** What a refusal said. */
export type Refusal = { status: number; code: ErrorCode; message: string; details: Record<string, unknown> };

/** Web and sidecar together. `stop` ends both. */
export class Rest {
  readonly sidecar: Sidecar;
  readonly web: Web;
  /** The only root, all links resolved. */
  readonly home: string;
  readonly #viewers = new Set<Viewer>();
  #count = 0;

  private constructor(sidecar: Sidecar, web: Web) {
    this.sidecar = sidecar;
    this.web = web;
    this.home = realpathSync(sidecar.homeDir);
  }

  static async start(env: Record<string, string> = {}): Promise<Rest> {
    const sidecar = await startSidecar({ env: { HOLDFAST_LOG_LEVEL: 'error', ...env } });
    return new Rest(sidecar, await Web.start(sidecar.config));
  }

  async stop(): Promise<void> {
    for (const viewer of this.#viewers) viewer.terminate();
    this.web.stop();
    await this.sidecar.stop();
  }

  /** Removes every project with what runs in it. */
  async clear(): Promise<void> {
    for (const { id } of await this.projects()) await this.web.call(`DELETE /api/workspace/projects/${id}?end=true`);
  }

  /** A project in a directory of its own. */
  async makeProject(name?: string): Promise<Project> {
    this.#count += 1;
    const path = join(this.home, `project-${this.#count}`);
    mkdirSync(path);
    const body = { name: name ?? `Project ${this.#count}`, path };
    const response = await this.web.call('POST /api/workspace/projects', { body });
    expect(response.status).toBe(201);
    return projectAnswerSchema.parse(response.json).project;
  }

  async projects(): Promise<Project[]> {
    return listProjectsAnswerSchema.parse((await this.web.call('GET /api/workspace/projects')).json).projects;
  }

  /** The body of a create: a shell in the project's directory. */
  creation(project: Project, change: Record<string, unknown> = {}): Record<string, unknown> {
    return { projectId: project.id, type: 'system', tabName: 'shell', projectPath: project.path, ...change };
  }

  async create(project: Project, change: Record<string, unknown> = {}, request: WebRequest = {}): Promise<Opened> {
    const body = this.creation(project, change);
    const response = await this.web.call('POST /api/terminal/create', { ...request, body });
    expect(response.status, response.text).toBeLessThan(300);
    return { ...createTerminalAnswerSchema.parse(response.json), status: response.status };
  }

  async read(id: string): Promise<TerminalSession> {
    return sessionAnswerSchema.parse((await this.web.call(`GET /api/terminal/${id}`)).json).session;
  }

  /** The tabs of a project, in order. */
  async tabs(project: Project): Promise<TerminalSession[]> {
    const response = await this.web.call(`GET /api/workspace/projects/${project.id}/terminals`);
    return projectTerminalsAnswerSchema.parse(response.json).terminals;
  }

  /** A refused call. */
  async refused(line: string, request: WebRequest = {}): Promise<Refusal> {
    const response = await this.web.call(line, request);
    const { error } = errorAnswerSchema.parse(response.json);
    return { status: response.status, code: error.code, message: error.message, details: error.details ?? {} };
  }

  /** A viewer on the socket that an answer names, attached. */
  async open(answer: { connectionUrl: string; protocols: string[] }, origin: string | null = null): Promise<Viewer> {
    const ticket = answer.protocols.find((name) => name.startsWith(TICKET_PREFIX))?.slice(TICKET_PREFIX.length) ?? '';
    const viewer = await openViewer({ url: answer.connectionUrl, ticket, origin });
    this.#viewers.add(viewer);
    await viewer.attach();
    return viewer;
  }

  /** Types a line into a shell and waits for a text that the program prints after it. */
  async run(answer: { connectionUrl: string; protocols: string[] }, line: string, printed: string): Promise<void> {
    const viewer = await this.open(answer);
    await viewer.line(line);
    await viewer.waitForText(printed);
    viewer.terminate();
  }

  /** Types `exit` and waits until web says that the session ended. */
  async exit(answer: Opened, code = 0): Promise<TerminalSession> {
    const viewer = await this.open(answer);
    await viewer.line(`exit ${code}`);
    await viewer.closed;
    await expect.poll(async () => (await this.read(answer.session.id)).status).toBe('ended');
    return this.read(answer.session.id);
  }

  /** Everything that a refused call must leave as it was. */
  async fingerprint(): Promise<unknown> {
    const answer = await this.web.call('GET /api/terminal/list?limit=500');
    const { sessions } = listTerminalsAnswerSchema.parse(answer.json);
    const info = z.object({ sessions: z.number() }).parse((await this.sidecar.control('GET', '/v1/info')).json);
    return {
      projects: await this.projects(),
      sessions: sessions.map(({ lastActivity, viewers, foreground, title, ...fixed }) => fixed),
      running: info.sessions,
    };
  }
}
