/** The REST API without a web server: the exported functions of the route files, called with real requests. */
import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { vi } from 'vitest';
import { z } from 'zod';
import { type Config, settingsEnvironment } from '@/lib/config';
import { createLoginToken, loadSecret } from '@/lib/secrets';
import type { RouteFunction } from '@/lib/server/api';
import { closeContext } from '@/lib/server/context';
import { openApiDocument } from '@/lib/server/openapi';
import { ApiDocument } from './api-document';

const VERBS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const;
export type Verb = (typeof VERBS)[number];

/** One route file: its URL as Next writes it, for example `/api/terminal/[sessionId]`, and its functions. */
export type Route = { url: string; verbs: Record<Verb, RouteFunction> };

/** Whose credentials a request carries: the machine token, the cookie of a browser (with its Origin), or none. */
type Credentials = 'token' | 'cookie' | 'none';

export type WebRequest = {
  as?: Credentials;
  /** An object becomes JSON; text, bytes and streams are sent as they are. */
  body?: unknown;
  /** Headers over those that the credentials bring; null takes one away. */
  headers?: Record<string, string | null>;
};

export type WebResponse = { status: number; headers: Headers; bytes: Uint8Array; text: string; json: unknown };

const functionsSchema = z.record(
  z.enum(VERBS),
  z.custom<RouteFunction>((value) => typeof value === 'function'),
);

/** Every route file under `app/api`. */
async function loadRoutes(): Promise<Route[]> {
  const root = fileURLToPath(new URL('../../app', import.meta.url));
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('route.ts'));
  return Promise.all(
    files.map(async (file) => ({
      url: `/${file.split(sep).slice(0, -1).join('/')}`,
      verbs: functionsSchema.parse(await import(pathToFileURL(join(root, file)).href)),
    })),
  );
}

function matchRoute(url: string, path: string): Record<string, string | string[]> | null {
  const names = url.split('/');
  const parts = path.split('/').map(decodeURIComponent);
  const params: Record<string, string | string[]> = {};
  for (const [i, name] of names.entries()) {
    const part = parts[i];
    if (part === undefined || (part === '' && i > 0)) return null;
    if (name.startsWith('[...')) return { ...params, [name.slice(4, -1)]: parts.slice(i) };
    if (name.startsWith('[')) params[name.slice(1, -1)] = part;
    else if (name !== part) return null;
  }
  return names.length === parts.length ? params : null;
}

/** The web process of a configuration, inside the test's process. `stop` ends it. */
export class Web {
  readonly config: Config;
  readonly routes: Route[];
  readonly #document: ApiDocument;
  #cookie = '';

  private constructor(config: Config, routes: Route[]) {
    this.config = config;
    this.routes = routes;
    this.#document = new ApiDocument(openApiDocument({ url: config.publicUrl, cookieName: 'cookie' }));
    for (const [name, value] of Object.entries(settingsEnvironment(config))) vi.stubEnv(name, value);
  }

  static async start(config: Config): Promise<Web> {
    return new Web(config, await loadRoutes());
  }

  /** Forgets everything that the process held, as its end would. */
  restart(): void {
    closeContext();
  }

  stop(): void {
    closeContext();
    vi.unstubAllEnvs();
  }

  /** Signs a browser in; requests `as: 'cookie'` carry its cookie from now on. */
  async signIn(): Promise<WebResponse> {
    const body = { token: createLoginToken(this.config.dataDir) };
    const response = await this.call('POST /api/auth/local', { as: 'none', body });
    this.#cookie = response.headers.get('set-cookie')?.split(';')[0] ?? '';
    return response;
  }

  /** The answer as it comes, for streams. */
  async fetch(line: string, { as = 'token', body, headers = {} }: WebRequest = {}): Promise<Response> {
    const [method = 'GET', target = '/'] = line.split(' ');
    const url = new URL(target, this.config.publicUrl);
    const isJson =
      typeof body === 'object' && body !== null && !(body instanceof Uint8Array || body instanceof ReadableStream);
    const all: Record<string, string | null> = {
      host: url.host,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(as === 'token' && { authorization: `Bearer ${loadSecret(this.config.dataDir, 'token')}` }),
      ...(as === 'cookie' && { cookie: this.#cookie, origin: this.config.publicUrl }),
      ...headers,
    };
    const request = new Request(url, {
      method,
      headers: Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== null),
      ...(body !== undefined && { body: isJson ? JSON.stringify(body) : (body as BodyInit), duplex: 'half' }),
    });
    const path = target.split('?')[0] ?? '';
    // As Next does it: names before placeholders, placeholders before the rest of a path.
    const sorted = this.routes.toSorted((a, b) => (a.url.replaceAll('[', '~') < b.url.replaceAll('[', '~') ? -1 : 1));
    for (const route of sorted) {
      const params = matchRoute(route.url, path);
      const run = z.enum(VERBS).parse(method);
      if (!params) continue;
      const given = Object.keys(params).length > 0 ? params : undefined;
      const response = await route.verbs[run](request, { params: Promise.resolve(given) });
      await this.#checkDocumented(route, response, method);
      return response;
    }
    throw new Error(`no route file for ${path}`);
  }

  /** Every JSON answer of a test is what the API document says. */
  async #checkDocumented(route: Route, response: Response, method: string): Promise<void> {
    const contentType = response.headers.get('content-type') ?? '';
    if (!route.url.startsWith('/api/') || !contentType.startsWith('application/json') || method === 'HEAD') return;
    const { status } = response;
    const problem = this.#document.problemOf({
      method,
      url: route.url,
      status,
      contentType,
      json: await response.clone().json(),
    });
    if (problem) throw new Error(`Not as in /api/openapi.json: ${problem}`);
  }

  /** One request, for example `call('POST /api/terminal/create', {body})`. */
  async call(line: string, request: WebRequest = {}): Promise<WebResponse> {
    const response = await this.fetch(line, request);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    const isJson = response.headers.get('content-type')?.startsWith('application/json') && text !== '';
    return { status: response.status, headers: response.headers, bytes, text, json: isJson ? JSON.parse(text) : null };
  }
}
