/** A real gateway as a child process, with its hosts, on a free port and in temporary directories. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type Config, loadConfig } from '@/lib/config';
import { type LiveSession, type OpenRequest, sessionReplySchema } from '@/lib/protocol/control';
import { newId } from '@/lib/protocol/ids';
import { loadSecret } from '@/lib/secrets';
import { signTicket, type TicketClaims } from '@/lib/ticket';
import { bundleSidecar } from './bundle';
import { findProcesses, freePort, isRunning, signal, until } from './processes';
import { openViewer, type Viewer, type ViewerOptions } from './viewer';

const LOG_LINES_MAX = 5_000;

/** What a test may want to be different. */
export type SidecarOptions = {
  /** Settings and other variables of the gateway; they come over the harness's own. */
  env?: Record<string, string>;
  /** Nobody reads what gateways write to their standard output until `readLogs`. */
  isLogBlocked?: boolean;
};

type ControlAnswer = { status: number; headers: Record<string, unknown>; body: string; json: unknown };

/** A running sidecar. `stop` ends everything that it started. */
export class Sidecar {
  readonly config: Config;
  readonly port: number;
  readonly wsUrl: string;
  readonly runDir: string;
  readonly dataDir: string;
  readonly controlSocket: string;
  /** The home directory of the shells, and the only root; empty at the start. */
  readonly homeDir: string;
  /** An Origin that the gateway allows. */
  readonly origin: string;
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;
  #program: string;
  readonly #isLogBlocked: boolean;
  readonly #viewers = new Set<Viewer>();
  readonly #logLines: string[] = [];
  #gateway: ChildProcess | null = null;
  #instanceId = '';

  /** Use `startSidecar`. */
  constructor(options: { directory: string; env: NodeJS.ProcessEnv; program: string; isLogBlocked: boolean }) {
    this.#isLogBlocked = options.isLogBlocked;
    this.#directory = options.directory;
    this.#env = options.env;
    this.#program = options.program;
    this.config = loadConfig(options.env, options.directory);
    this.port = this.config.wsPort;
    this.wsUrl = this.config.publicWsUrl;
    this.runDir = this.config.runDir;
    this.dataDir = this.config.dataDir;
    this.controlSocket = join(this.runDir, 'control.sock');
    this.homeDir = join(options.directory, 'home');
    this.origin = this.config.publicUrl;
  }

  get gatewayPid(): number {
    const pid = this.#gateway?.pid;
    if (!pid) throw new Error('no gateway runs');
    return pid;
  }

  /** The id of the gateway that runs now: the audience of its tickets. */
  get instanceId(): string {
    return this.#instanceId;
  }

  /** What gateways have written to their standard output, line by line. */
  get logs(): readonly string[] {
    return this.#logLines;
  }

  /** Starts a gateway and waits until it is healthy. */
  async startGateway(): Promise<void> {
    const gateway = spawn(process.execPath, [this.#program], {
      env: this.#env,
      cwd: this.#directory,
      // With the channel the gateway notices when the test process is gone.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#gateway = gateway;
    if (!this.#isLogBlocked) this.readLogs();
    gateway.channel?.unref();
    await until('the gateway is healthy', async () => {
      if (gateway.exitCode !== null || gateway.signalCode !== null) {
        throw new Error(`the gateway ended:\n${this.#logLines.slice(-20).join('\n')}`);
      }
      return this.#readHealth();
    });
    // Health comes a moment before the control socket.
    await until('the control API answers', async () => {
      const info = await this.control('GET', '/v1/info').catch(() => null);
      return info?.status === 200;
    });
  }

  /** Reads what the gateway writes, from now on. */
  readLogs(): void {
    for (const stream of [this.#gateway?.stdout, this.#gateway?.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#keepLine(line));
    }
  }

  /** The next gateways are of another build. */
  setProgram(program: string): void {
    this.#program = program;
  }

  /** Ends the gateway and waits for it; hosts go on. */
  async killGateway(name: NodeJS.Signals = 'SIGKILL'): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const gateway = this.#gateway;
    if (!gateway) throw new Error('no gateway runs');
    if (gateway.exitCode === null && gateway.signalCode === null) {
      const exited = once(gateway, 'exit', { signal: AbortSignal.timeout(5_000) });
      gateway.kill(name);
      await exited;
    }
    this.#gateway = null;
    return { code: gateway.exitCode, signal: gateway.signalCode };
  }

  /** Ends the gateway, if it still runs, and starts the next one on the same directories. */
  async restartGateway(name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#gateway) await this.killGateway(name);
    await this.startGateway();
  }

  /** Cuts the channel to the gateway, as when the process that started it has died. */
  disconnect(): void {
    this.#gateway?.disconnect();
  }

  /** Runs one more gateway on the same directories until it ends, and gives what it printed. */
  async runSecondGateway(env: Record<string, string> = {}): Promise<{ code: number | null; output: string }> {
    const second = spawn(process.execPath, [this.#program], {
      env: { ...this.#env, ...env },
      cwd: this.#directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 10_000,
    });
    const ended = once(second, 'close');
    const output = (await Promise.all([text(second.stdout), text(second.stderr)])).join('');
    await ended;
    return { code: second.exitCode, output };
  }

  /** The host processes of this sidecar. */
  hostPids(): number[] {
    return findProcesses(join(this.runDir, 'hosts')).filter(isRunning);
  }

  /** One request to the control API; an object becomes JSON, a string is sent as it is. */
  control(method: string, path: string, body?: unknown): Promise<ControlAnswer> {
    return callControl(this.controlSocket, method, path, body);
  }

  /** Opens a session: a shell in the home directory unless told otherwise. */
  async openSession(changes: Partial<OpenRequest> = {}): Promise<LiveSession> {
    const { status, body, json } = await this.control('POST', '/v1/sessions', this.openRequest(changes));
    if (status !== 200) throw new Error(`open answered ${status}: ${body}`);
    return sessionReplySchema.parse(json).session;
  }

  openRequest(changes: Partial<OpenRequest> = {}): OpenRequest {
    const id = newId('session');
    return { id, epoch: 1, type: 'system', cwd: this.homeDir, cols: 80, rows: 24, label: {}, ...changes };
  }

  /** A ticket as web would sign it. */
  ticket(session: { id: string; epoch: number }, changes: Partial<Omit<TicketClaims, 'jti' | 'exp'>> = {}): string {
    const claims = { sub: 'local', sid: 'login-1', mode: 'write' as const, origin: this.origin, aud: this.#instanceId };
    const key = loadSecret(this.dataDir, 'ticket.key');
    return signTicket({ ...claims, session: session.id, epoch: session.epoch, ...changes }, key);
  }

  /** A viewer with an open socket that has not attached yet; it is closed by `stop`. */
  async connect(
    session: { id: string; epoch: number },
    options: Partial<ViewerOptions> & { claims?: Partial<Omit<TicketClaims, 'jti' | 'exp'>> } = {},
  ): Promise<Viewer> {
    const { claims, ...rest } = options;
    const url = `${this.wsUrl}/v1/sessions/${session.id}`;
    const viewer = await openViewer({ url, ticket: this.ticket(session, claims), origin: this.origin, ...rest });
    this.#viewers.add(viewer);
    return viewer;
  }

  /** Ends viewers, gateway and hosts, and removes the directories. */
  async stop(): Promise<void> {
    for (const viewer of this.#viewers) viewer.terminate();
    if (this.#gateway) await this.killGateway('SIGTERM').catch(() => this.killGateway('SIGKILL'));
    for (const pid of this.hostPids()) signal(pid, 'SIGTERM');
    await until('hosts end', () => this.hostPids().length === 0, 5_000).catch(() => {
      for (const pid of this.hostPids()) signal(pid, 'SIGKILL');
    });
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }

  async #readHealth(): Promise<boolean> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}/health`);
      const health: { instanceId: string } = await response.json();
      this.#instanceId = health.instanceId;
      return response.ok;
    } catch {
      return false; // it does not listen yet
    }
  }

  #keepLine(line: string): void {
    this.#logLines.push(line);
    if (this.#logLines.length > LOG_LINES_MAX) this.#logLines.shift();
  }
}

/** One request to the control API on a socket, see `Sidecar.control`. */
export function callControl(socketPath: string, method: string, path: string, body?: unknown): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, agent: false }, async (response) => {
      const answer = await text(response).catch(reject);
      if (typeof answer !== 'string') return;
      const isJson = response.headers['content-type'] === 'application/json';
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: answer,
        json: isJson ? JSON.parse(answer) : null,
      });
    });
    call.setTimeout(20_000, () => call.destroy(new Error(`${method} ${path} got no answer`)));
    call.on('error', reject);
    call.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
  });
}

/** Starts a sidecar from the production bundle; call `stop` also when the test fails. */
export async function startSidecar(options: SidecarOptions = {}): Promise<Sidecar> {
  const program = await bundleSidecar();
  const directory = mkdtempSync(join(tmpdir(), 'hf-'));
  const home = join(directory, 'home');
  mkdirSync(home);
  const [wsPort, webPort] = [await freePort(), await freePort()];
  const env: NodeJS.ProcessEnv = {
    NODE_ENV: 'production',
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    USER: 'tester',
    LANG: 'C.UTF-8',
    SHELL: '/bin/bash',
    WS_PORT: String(wsPort),
    PORT: String(webPort),
    HOLDFAST_DATA_DIR: join(directory, 'data'),
    HOLDFAST_RUN_DIR: join(directory, 'run'),
    HOLDFAST_ROOTS: home,
    HOLDFAST_SHELL: '/bin/bash',
    HOLDFAST_LOG_LEVEL: 'debug',
    ...options.env,
  };
  const sidecar = makeSidecar({ directory, env, program, isLogBlocked: options.isLogBlocked ?? false });
  try {
    await sidecar.startGateway();
  } catch (error) {
    await sidecar.stop();
    throw error;
  }
  return sidecar;
}

function makeSidecar(options: ConstructorParameters<typeof Sidecar>[0]): Sidecar {
  try {
    return new Sidecar(options);
  } catch (error) {
    rmSync(options.directory, { recursive: true }); // the settings are refused: there is nothing to stop
    throw error;
  }
}
