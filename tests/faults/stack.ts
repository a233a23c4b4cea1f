/** The whole product for a group of faults: started as users start it, and ended with everything that it left. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { z } from 'zod';
import { type LiveSession, type PoolReply, poolReplySchema, sessionsReplySchema } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import {
  attachAnswerSchema,
  createTerminalAnswerSchema,
  errorAnswerSchema,
  listTerminalsAnswerSchema,
  type Project,
  projectAnswerSchema,
  sessionAnswerSchema,
  type TerminalSession,
} from '@/lib/protocol/rest';
import { type Mode, TICKET_PREFIX } from '@/lib/protocol/wire';
import { App } from '@/tests/harness/app';
import { findProcesses, isRunning, signal, until } from '@/tests/harness/processes';
import type { FaultClient } from './client';
import { Services, type ServicesPlan } from './services';

const ROOT = resolve(import.meta.dirname, '../..');
/** No REST call may take longer (ms). */
const REST_DEADLINE_MS = 20_000;
const GATEWAY_DEADLINE_MS = 30_000;
/** A child that ran so long is started again at once when it dies (see `cli/supervise.ts`, ms). */
const HEALTHY_MS = 30_000;

/** What a stack is started with. */
export type StackPlan = {
  settings?: Record<string, string>;
  services?: ServicesPlan;
  /** Words before the launcher's command line, `unshare -m …` for example. */
  wrap?: readonly string[];
  /** Run when the directories exist and nothing is started yet; what it gives is run at the end. */
  prepare?(app: App): () => unknown;
};

export type RestAnswer = { status: number; body: unknown; ms: number };

/** A running product with its clients. `stop` ends everything. */
export class Stack {
  readonly app: App;
  readonly clients = new Set<FaultClient>();
  /** Every ticket that was handed out: none may be in a log. */
  readonly tickets = new Set<string>();
  readonly services: Services;
  readonly #undo: () => unknown;
  #isStopped = false;
  /** The gateway was killed and its successor may not count as healthy yet. */
  #isGatewayYoung = false;

  private constructor(app: App, services: Services, undo: () => unknown) {
    this.app = app;
    this.services = services;
    this.#undo = undo;
  }

  static async start({ settings = {}, services: wanted = {}, wrap = [], prepare }: StackPlan): Promise<Stack> {
    const services = await Services.start(wanted);
    const defaults = { HOLDFAST_STORE: wanted.postgres || wanted.redis ? 'auto' : 'memory', ...services.settings };
    let stack: Stack | undefined;
    try {
      await App.start(
        { HOLDFAST_LOG_LEVEL: 'debug', MAX_SESSIONS_PER_BACKEND: '5', ...defaults, ...settings },
        {
          wrap,
          prepare: (app) => {
            stack = new Stack(app, services, prepare?.(app) ?? (() => undefined));
            running.add(stack);
          },
        },
      );
    } catch (error) {
      await (stack ?? services).stop();
      throw error;
    }
    if (!stack) throw new Error('the product was started without its preparation');
    return stack;
  }

  get wsPort(): number {
    return this.app.wsPort;
  }

  /** What the gateway answers to. */
  get gatewayHost(): string {
    return `127.0.0.1:${this.app.wsPort}`;
  }

  get logsDir(): string {
    return join(this.app.dataDir, 'logs');
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    running.delete(this);
    for (const client of this.clients) client.close();
    for (const pid of findProcesses(this.app.directory)) signal(pid, 'SIGCONT');
    const leftovers = () => [...findProcesses(this.app.directory), ...this.sessionProcesses().map(({ pid }) => pid)];
    try {
      await this.app.end();
    } finally {
      for (const pid of leftovers()) signal(pid, 'SIGKILL');
      await until('everything has ended', () => !leftovers().some(isRunning), 5_000).catch(() => undefined);
      this.#undo();
      this.app.remove();
      await this.services.stop();
    }
  }

  /** Keeps the logs for somebody who looks for the reason of a failure. */
  keepLogs(name: string): string {
    const target = join(ROOT, 'test-results', 'faults', name);
    mkdirSync(target, { recursive: true });
    cpSync(this.logsDir, target, { recursive: true });
    return target;
  }

  /** A REST call on a connection of its own, as a script makes it. Rejects when nobody answers. */
  rest(method: string, path: string, body?: unknown): Promise<RestAnswer> {
    const startedAt = performance.now();
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
    return new Promise((done, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: this.app.port,
          method,
          path,
          agent: false,
          signal: AbortSignal.timeout(REST_DEADLINE_MS),
          headers: {
            authorization: `Bearer ${this.app.machineToken}`,
            ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
          },
        },
        (response) => {
          text(response).then((answer) => {
            const ms = performance.now() - startedAt;
            done({ status: response.statusCode ?? 0, body: answer === '' ? null : JSON.parse(answer), ms });
          }, reject);
        },
      );
      call.on('error', reject);
      call.end(payload);
    });
  }

  /** A fresh ticket; a refusal has its code, so that the connection treats it as in a browser. */
  async attach(id: string, mode: Mode): Promise<{ connectionUrl: string; protocols: string[] }> {
    const path = `/api/terminal/${id}/attach`;
    const answer = await this.rest('POST', path, { mode }).catch((cause: unknown) => {
      throw new AppError('timeout', 'Holdfast cannot be reached.', { cause });
    });
    const granted = parse(attachAnswerSchema, answer);
    for (const name of granted.protocols) {
      if (name.startsWith(TICKET_PREFIX)) this.tickets.add(name.slice(TICKET_PREFIX.length));
    }
    return granted;
  }

  async createProject(name: string): Promise<Project> {
    const path = join(this.app.home, name);
    mkdirSync(path, { recursive: true });
    return parse(projectAnswerSchema, await this.rest('POST', '/api/workspace/projects', { name, path })).project;
  }

  /** Opens a shell in a project. @throws AppError with the refusal's code */
  async createTerminal(project: Project, tabName: string): Promise<TerminalSession> {
    const body = { projectId: project.id, projectPath: project.path, type: 'system', tabName };
    return parse(createTerminalAnswerSchema, await this.rest('POST', '/api/terminal/create', body)).session;
  }

  async deleteTerminal(id: string): Promise<void> {
    const { status } = await this.rest('DELETE', `/api/terminal/${id}`);
    if (status >= 300 && status !== 404) throw new Error(`deleting ${id} was answered with ${status}`);
  }

  async terminal(id: string): Promise<TerminalSession> {
    return parse(sessionAnswerSchema, await this.rest('GET', `/api/terminal/${id}`)).session;
  }

  async terminals(): Promise<TerminalSession[]> {
    return parse(listTerminalsAnswerSchema, await this.rest('GET', '/api/terminal/list?limit=500')).sessions;
  }

  /** What the hosts say of their sessions: `position` counts bytes of output. */
  async live(): Promise<LiveSession[]> {
    return sessionsReplySchema.parse(await this.#control('/v1/sessions')).sessions;
  }

  /** What the gateway says of its hosts. */
  async pool(): Promise<PoolReply> {
    return poolReplySchema.parse(await this.#control('/v1/pool'));
  }

  get gatewayPid(): number {
    return this.app.pidOf('sidecar');
  }

  get webPid(): number {
    return this.app.pidOf('web');
  }

  /** Host processes by the ids that sessions name as `backendId`. */
  hosts(): Map<string, number> {
    const found = new Map<string, number>();
    for (const pid of findProcesses(join(this.app.runDir, 'hosts'))) {
      const id = /hosts\/([a-z0-9]{8})\.sock/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1];
      if (id && isRunning(pid)) found.set(id, pid);
    }
    return found;
  }

  /** Processes of any session of this stack, also such as have left their terminal. */
  sessionProcesses(): { pid: number; session: string }[] {
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      const environment = readOrNothing(`/proc/${name}/environ`);
      if (!environment.includes(`HOME=${this.app.home}\0`)) return [];
      const session = /(?:^|\0)HOLDFAST_SESSION=([^\0]+)/.exec(environment)?.[1];
      return session && isRunning(Number(name)) ? [{ pid: Number(name), session }] : [];
    });
  }

  /** Ends the gateway at once, and waits for the next one. Gives the time of its end (by `performance.now`). */
  async killGateway(): Promise<number> {
    const before = await this.app.gatewayId();
    const killedAt = performance.now();
    signal(this.gatewayPid, 'SIGKILL');
    this.#isGatewayYoung = true;
    const isBack = async () => ![null, before].includes(await this.app.gatewayId());
    await until('the next gateway answers', isBack, GATEWAY_DEADLINE_MS);
    return killedAt;
  }

  /** Waits until the gateway has run so long that its next death counts as its first. */
  async settleGateway(): Promise<void> {
    if (!this.#isGatewayYoung) return;
    const isOld = () => ageMs(this.gatewayPid) > HEALTHY_MS + 500;
    await until('the gateway counts as healthy', isOld, HEALTHY_MS * 2);
    this.#isGatewayYoung = false;
  }

  #control(path: string): Promise<unknown> {
    return new Promise((done, reject) => {
      const socketPath = join(this.app.runDir, 'control.sock');
      const call = request({ socketPath, path, agent: false, signal: AbortSignal.timeout(5_000) }, (response) => {
        text(response).then((answer) => done(JSON.parse(answer)), reject);
      });
      call.on('error', reject);
      call.end();
    });
  }
}

/** Stacks that were not stopped yet: an interrupted run stops them. */
export const running = new Set<Stack>();

function parse<T>(schema: z.ZodType<T>, { status, body }: RestAnswer): T {
  const answer = schema.safeParse(body);
  if (answer.success) return answer.data;
  const refused = errorAnswerSchema.safeParse(body);
  if (!refused.success) throw new Error(`unexpected answer ${status}: ${JSON.stringify(body).slice(0, 500)}`);
  const { code, message, details } = refused.data.error;
  throw new AppError(code, message, details && { details });
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // a process that has just ended
  }
}

/** How long a process has run (ms); 0 when it does not. */
function ageMs(pid: number): number {
  const { status, stdout } = spawnSync('ps', ['-o', 'etimes=', '-p', String(pid)], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) * 1000 : 0;
}

/** Open handles of a process, and how many of them are ends of ptys. */
export function handlesOf(pid: number): { all: number; ptys: number } {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return { all: 0, ptys: 0 }; // it has ended
  }
  const targets = names.map((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      return '';
    }
  });
  return { all: names.length, ptys: targets.filter((target) => target.endsWith('/ptmx')).length };
}
