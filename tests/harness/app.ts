/** The whole product as a user starts it, on ports and directories of its own, for end-to-end tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Page } from '@playwright/test';
import { z } from 'zod';
import {
  attachAnswerSchema,
  createTerminalAnswerSchema,
  listTerminalsAnswerSchema,
  type Project,
  projectAnswerSchema,
  type TerminalSession,
} from '@/lib/protocol/rest';
import { type Mode, SUBPROTOCOL, TICKET_PREFIX } from '@/lib/protocol/wire';
import { removeEmbedded } from './embedded';
import { findProcesses, freePort, signal, until } from './processes';
import { openViewer, type Viewer } from './viewer';

const ROOT = resolve(import.meta.dirname, '../..');
const START_DEADLINE_MS = 240_000;
/** The shell's prompt. */
export const PROMPT = 'hf% ';

/** A shell whose prompt and screen are the same on every machine. */
const PROFILE = `PS1='${PROMPT}'; HISTFILE=; export LC_ALL=C.UTF-8 PAGER=less EDITOR=vim; unset PROMPT_COMMAND; cd "$PWD"\n`;

/** What a test may want to be different about the start. */
type StartOptions = {
  /** Words before the launcher's command line. */
  wrap?: readonly string[];
  /** The tree to run, if not this one. */
  root?: string;
  /** How to run it, if not `start`. */
  command?: 'start' | 'dev';
  /** Run before anything is started. */
  prepare?(app: App): void;
};

export class App {
  readonly directory: string;
  /** The user's home, which is also the only root. */
  readonly home: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly port: number;
  readonly wsPort: number;
  readonly env: NodeJS.ProcessEnv;
  output = '';
  readonly #wrap: readonly string[];
  readonly #root: string;
  readonly #command: string;
  #launcher: ChildProcess | null = null;

  private constructor([port, wsPort]: [number, number], settings: Record<string, string>, options: StartOptions) {
    this.#wrap = options.wrap ?? [];
    this.#root = options.root ?? ROOT;
    this.#command = options.command ?? 'start';
    this.directory = realpathSync(mkdtempSync(join(tmpdir(), 'hf-e2e-')));
    this.home = join(this.directory, 'home');
    this.dataDir = join(this.directory, 'data');
    this.runDir = join(this.dataDir, 'run');
    this.port = port;
    this.wsPort = wsPort;
    mkdirSync(this.home);
    writeFileSync(join(this.home, '.bash_profile'), PROFILE);
    this.env = {
      NODE_ENV: 'production',
      PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
      HOME: this.home,
      SHELL: '/bin/bash',
      LANG: 'C.UTF-8',
      PORT: String(port),
      WS_PORT: String(wsPort),
      HOLDFAST_DATA_DIR: this.dataDir,
      ...settings,
    };
  }

  /** Starts web and sidecar through the command that users run. Call `stop` also when the test fails. */
  static async start(settings: Record<string, string> = {}, options: StartOptions = {}): Promise<App> {
    const app = new App([await freePort(), await freePort()], settings, options);
    try {
      options.prepare?.(app);
      await app.launch();
    } catch (error) {
      await app.stop();
      throw error;
    }
    return app;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** `npm start`: resolves when the line with the URL is there. */
  async launch(): Promise<void> {
    this.output = '';
    const [program = process.execPath, ...words] = [...this.#wrap, process.execPath, 'cli/bin.mjs', this.#command];
    const child = spawn(program, words, {
      cwd: this.#root,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#launcher = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    await until(
      'the product is ready',
      () => {
        if (child.exitCode !== null) throw new Error(`the launcher ended:\n${this.output}`);
        return /Holdfast is ready: /.test(this.output);
      },
      START_DEADLINE_MS,
    );
  }

  /** The one-time link of the last start. */
  get loginUrl(): string {
    const url = /Holdfast is ready: (\S+)/.exec(this.output)?.[1];
    if (!url) throw new Error(`no login link in:\n${this.output}`);
    return url;
  }

  /** Ctrl-C: web and gateway end, sessions stay. */
  async interrupt(): Promise<void> {
    const child = this.#launcher;
    if (child?.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    child.kill('SIGINT');
    await until('the launcher ends', () => child.exitCode !== null || child.signalCode !== null, 15_000);
  }

  /** Ends everything that this app has started, and removes its files. */
  async stop(): Promise<void> {
    await this.end();
    this.remove();
  }

  /** Ends everything that this app has started. */
  async end(): Promise<void> {
    await this.interrupt();
    await this.command('stop', '--all');
    for (const pid of findProcesses(this.directory)) signal(pid, 'SIGKILL');
  }

  /** Removes its files. */
  remove(): void {
    removeEmbedded(this.dataDir, this.runDir);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Runs `holdfast` with some words to its end, and gives what it printed. */
  async command(...words: string[]): Promise<{ code: number | null; output: string }> {
    const child = spawn(process.execPath, ['cli/bin.mjs', ...words], {
      cwd: this.#root,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const code = await new Promise<number | null>((done) => child.once('close', done));
    return { code, output };
  }

  /** The instance id of the gateway that answers now; null when none does. */
  async gatewayId(): Promise<string | null> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.wsPort}/health`);
      return z.object({ instanceId: z.string() }).parse(await response.json()).instanceId;
    } catch {
      return null; // nobody listens
    }
  }

  /** The pid of the process that the user has started. */
  get launcherPid(): number {
    const pid = this.#launcher?.pid;
    if (pid === undefined) throw new Error('no launcher runs');
    return pid;
  }

  /** The pid of one of the launcher's processes now. */
  pidOf(name: 'web' | 'sidecar' | 'database'): number {
    const file = join(this.runDir, 'children', `${name}.json`);
    return z.object({ pid: z.number() }).parse(JSON.parse(readFileSync(file, 'utf8'))).pid;
  }

  get machineToken(): string {
    return readFileSync(join(this.dataDir, 'token'), 'utf8').trim();
  }

  /** A REST call as a script makes it. */
  async api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.origin}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.machineToken}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Creates a project in a new directory of the home. */
  async createProject(name: string): Promise<Project> {
    const path = join(this.home, name);
    mkdirSync(path, { recursive: true });
    return projectAnswerSchema.parse((await this.api('POST', '/api/workspace/projects', { name, path })).body).project;
  }

  async createTerminal(
    project: Project,
    tabName: string,
    type: 'system' | 'claude' = 'system',
  ): Promise<TerminalSession> {
    const body = { projectId: project.id, projectPath: project.path, type, tabName };
    return createTerminalAnswerSchema.parse((await this.api('POST', '/api/terminal/create', body)).body).session;
  }

  async terminals(): Promise<TerminalSession[]> {
    return listTerminalsAnswerSchema.parse((await this.api('GET', '/api/terminal/list')).body).sessions;
  }

  /** A viewer in Node that gets every byte from position 0: the reference for what a browser shows. */
  async record(session: TerminalSession, mode: Mode = 'read'): Promise<Viewer> {
    const answer = await this.api('POST', `/api/terminal/${session.id}/attach`, { mode });
    const { connectionUrl, protocols } = attachAnswerSchema.parse(answer.body);
    const ticket = protocols.find((each) => each.startsWith(TICKET_PREFIX))?.slice(TICKET_PREFIX.length) ?? '';
    if (!protocols.includes(SUBPROTOCOL)) throw new Error(`unexpected subprotocols ${protocols}`);
    const viewer = await openViewer({ url: connectionUrl, ticket, origin: null });
    await viewer.attach({ cursor: { epoch: session.epoch, position: 0 } });
    return viewer;
  }

  /** Signs a page in with a fresh link; it shows the projects then. */
  async signIn(page: Page): Promise<void> {
    await page.goto(await this.freshLink());
    // The cookie is there when the page of projects is: the address is cleaned earlier.
    await page.getByRole('heading', { name: 'Projects' }).waitFor();
  }

  /** A one-time link as `npm run open` prints it. */
  async freshLink(): Promise<string> {
    const { output } = await this.command('open');
    const url = /https?:\/\/\S+#t=\S+/.exec(output)?.[0];
    if (!url) throw new Error(`no link from open: ${output}`);
    return url;
  }
}
