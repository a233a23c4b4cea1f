/** Who gets in, what a page of somebody else can do, and where secrets must not be. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { type BrowserContext, expect, type Page, test } from '@playwright/test';
import type { z } from 'zod';
import { TICKET_TTL_MS } from '@/lib/protocol/limits';
import { attachAnswerSchema, type Project, type TerminalSession } from '@/lib/protocol/rest';
import { encodeControl, TICKET_PREFIX } from '@/lib/protocol/wire';
import { signTicket } from '@/lib/ticket';
import { App } from '@/tests/harness/app';
import { openViewer } from '@/tests/harness/viewer';
import { openWorkspace, terminalOf, typeInto, waitForText } from '@/tests/harness/workspace-page';

const START_DEADLINE_MS = 300_000;
const COOKIE_DAYS = 30;
const DAY_S = 24 * 3600;

/** Secrets of an operator, in the environment of `npm start`. */
const PLANTED = {
  NEXTAUTH_SECRET: 'planted-nextauth-secret-0123456789abcdef',
  DATABASE_URL: 'postgres://holdfast:planted-database-password@127.0.0.1:5432/none',
  REDIS_PASSWORD: 'planted-redis-password',
  AWS_SECRET_ACCESS_KEY: 'planted-cloud-key',
};
const TYPED = 'canary-that-is-typed';
const PRINTED = 'canary-that-is-printed';

/** What the environment of a shell may hold; `PWD` and `SHLVL` are made by shells themselves. */
const ALLOWED_NAME =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_[A-Z]+|TZ|SSH_AUTH_SOCK|XDG_RUNTIME_DIR|DISPLAY|TERM|COLORTERM|TERM_PROGRAM|HOLDFAST_SESSION|HOLDFAST_HOST|PWD|SHLVL|_)$/;

type Connection = z.infer<typeof attachAnswerSchema>;

// The last test reads the logs of all the others.
test.describe.configure({ mode: 'serial' });

let app: App;
let context: BrowserContext;
let page: Page;
let project: Project;
let session: TerminalSession;
let foreign: Server;
let foreignOrigin: string;
/** Everything that opens something, as it is handed out. */
const secrets = new Set<string>();

test.beforeAll(async ({ browser }) => {
  test.setTimeout(START_DEADLINE_MS);
  app = await App.start({ ...PLANTED, HOLDFAST_LOG_LEVEL: 'debug' });
  project = await app.createProject('guarded');
  session = await app.createTerminal(project, 'shell');
  foreign = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>Another program of this machine</title>');
  });
  await new Promise<void>((done) => foreign.listen(0, '127.0.0.1', done));
  foreignOrigin = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`; // it listens on TCP
  context = await browser.newContext();
  context.on('response', (response) => {
    if (/\/api\/terminal\/(create|.*\/(attach|restart))$/.test(response.url())) {
      response.json().then(
        (body: unknown) => keepTicket(body),
        () => undefined, // the page was left before the answer was read
      );
    }
  });
  page = await context.newPage();
  const link = await app.freshLink();
  secrets.add(new URL(link).hash.replace('#t=', ''));
  await page.goto(link);
  await page.getByRole('heading', { name: 'Projects' }).waitFor();
  for (const { value } of await context.cookies()) secrets.add(value);
});

test.afterAll(async () => {
  await context?.close();
  foreign?.close();
  await app?.stop();
});

function keepTicket(body: unknown): void {
  const answer = attachAnswerSchema.safeParse(body);
  if (answer.success) secrets.add(ticketOf(answer.data));
}

function ticketOf({ protocols }: Connection): string {
  return protocols.find((each) => each.startsWith(TICKET_PREFIX))?.slice(TICKET_PREFIX.length) ?? '';
}

/** A ticket that was made for our page, with its cookie. */
async function stealTicket(): Promise<Connection> {
  const body = await page.evaluate(async (id) => {
    const headers = { 'Content-Type': 'application/json' };
    const answer = await fetch(`/api/terminal/${id}/attach`, { method: 'POST', headers, body: '{"mode":"write"}' });
    return answer.json();
  }, session.id);
  return attachAnswerSchema.parse(body);
}

/** Opens a socket in a page and attaches: `attached`, or the close code. */
function openSocket(where: Page, { connectionUrl, protocols }: Connection): Promise<string> {
  const attach = encodeControl({ op: 'attach', revision: 1, client: randomUUID(), cursor: null, cols: 80, rows: 24 });
  return where.evaluate(
    ({ url, names, frame }) =>
      new Promise<string>((done) => {
        const socket = new WebSocket(url, names);
        socket.onopen = () => socket.send(Uint8Array.from(frame));
        socket.onmessage = () => {
          done('attached');
          socket.close();
        };
        socket.onclose = ({ code }) => done(String(code));
      }),
    { url: connectionUrl, names: protocols, frame: [...attach] },
  );
}

/** An HTTP request as it is on the line, because `fetch` does not send a foreign Host. */
function statusOf(port: number, head: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n`),
    );
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.once('data', (chunk) => {
      socket.destroy();
      resolve(Number(chunk.toString().split(' ')[1]));
    });
    socket.once('error', reject);
  });
}

test('D73 the start says that the database it was told of cannot be used yet', async () => {
  await expect.poll(() => app.output).toContain('The database cannot be used yet');
});

test('A6 without the cookie every page shows how to sign in, and REST answers 401', async ({ browser }) => {
  const stranger = await browser.newPage();
  for (const path of ['/', `/projects/${project.id}`]) {
    await stranger.goto(app.origin + path);
    await expect(stranger.getByRole('heading', { name: 'Open a login link' })).toBeVisible();
    expect(await stranger.content()).not.toContain('guarded');
    expect(await stranger.content()).not.toContain(app.home);
  }
  const calls: [string, string][] = [
    ['GET', '/api/workspace/projects'],
    ['POST', '/api/workspace/projects'],
    ['GET', `/api/workspace/projects/${project.id}`],
    ['DELETE', `/api/workspace/projects/${project.id}?end=true`],
    ['GET', `/api/workspace/projects/${project.id}/terminals`],
    ['POST', '/api/terminal/create'],
    ['GET', '/api/terminal/list'],
    ['GET', `/api/terminal/${session.id}`],
    ['PATCH', `/api/terminal/${session.id}`],
    ['DELETE', `/api/terminal/${session.id}`],
    ['POST', `/api/terminal/${session.id}/attach`],
    ['POST', `/api/terminal/${session.id}/restart`],
    ['GET', `/api/terminal/${session.id}/output`],
    ['GET', '/api/events'],
    ['DELETE', '/api/auth/local'],
  ];
  for (const [method, path] of calls) {
    const answer = await stranger.request.fetch(app.origin + path, { method, ...(method !== 'GET' && { data: {} }) });
    expect(answer.status(), `${method} ${path}`).toBe(401);
  }
  await stranger.context().close();
  expect((await app.terminals()).map(({ id }) => id)).toContain(session.id);
});

test('A4 the cookie is HttpOnly, SameSite=Strict, for this port and for 30 days', async () => {
  const [cookie, ...others] = await context.cookies();
  expect(others).toEqual([]);
  expect(cookie).toMatchObject({ name: `holdfast-${app.port}`, httpOnly: true, sameSite: 'Strict', path: '/' });
  const days = ((cookie?.expires ?? 0) - Date.now() / 1000) / DAY_S;
  expect(days).toBeGreaterThan(COOKIE_DAYS - 1);
  expect(days).toBeLessThanOrEqual(COOKIE_DAYS);
  expect(await page.evaluate(() => document.cookie)).toBe('');
});

test('G1 a page of another port gets no socket with a stolen ticket and the cookie, and uses neither up', async () => {
  const ticket = await stealTicket();
  const evil = await context.newPage();
  await evil.goto(foreignOrigin);
  expect(await openSocket(evil, ticket)).toBe('1006');
  // It was the gateway that refused, not the browser.
  await expect.poll(() => readFileSync(join(app.dataDir, 'logs', 'sidecar.log'), 'utf8')).toContain('upgrade refused');
  const origins = [
    'https://evil.test',
    'null',
    foreignOrigin,
    `${app.origin}.`,
    `http://127.0.0.1.evil.test:${app.port}`,
    `http://127.0.0.1@evil.test:${app.port}`,
    `https://127.0.0.1:${app.port}`,
    'http://127.0.0.1',
  ];
  for (const origin of origins) {
    const refused = openViewer({ url: ticket.connectionUrl, ticket: ticketOf(ticket), origin });
    await expect(refused, origin).rejects.toMatchObject({ status: 403 });
  }
  const rebound = [
    `GET /v1/sessions/${session.id} HTTP/1.1`,
    `Host: evil.test:${app.wsPort}`,
    `Origin: ${app.origin}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `Sec-WebSocket-Protocol: ${ticket.protocols.join(', ')}`,
  ];
  expect(await statusOf(app.wsPort, rebound)).toBe(403);
  expect(await openSocket(page, ticket)).toBe('attached');
  await evil.close();

  const another = await stealTicket();
  const withoutOrigin = await openViewer({ url: another.connectionUrl, ticket: ticketOf(another), origin: null });
  expect((await withoutOrigin.closed).code).toBe(4401);
});

test('A3 a page of another port changes nothing and reads nothing, although the browser sends the cookie', async () => {
  const projects = `${app.origin}/api/workspace/projects`;
  const stolen = JSON.stringify({ name: 'stolen', path: app.home });
  const evil = await context.newPage();
  await evil.goto(foreignOrigin);
  const read = await evil.evaluate(
    (url) =>
      fetch(url, { credentials: 'include' }).then(
        (answer) => answer.text(),
        () => 'withheld',
      ),
    projects,
  );
  expect(read).toBe('withheld');
  // A form needs nobody's leave to be sent, and can carry JSON.
  const answered = evil.waitForResponse(projects);
  await evil.evaluate(
    ({ action, body }) => {
      const form = Object.assign(document.createElement('form'), { action, method: 'post', enctype: 'text/plain' });
      const [name = '', value = ''] = body.split('"stolen"');
      form.append(Object.assign(document.createElement('input'), { name: `${name}"stolen`, value: `"${value}` }));
      document.body.append(form);
      form.submit();
    },
    { action: projects, body: stolen },
  );
  const answer = await answered;
  expect(answer.status()).toBe(403);
  const [cookie] = await context.cookies();
  const credentials = `${cookie?.name}=${cookie?.value}`;
  expect(await answer.request().headerValue('cookie')).toBe(credentials);
  await evil.close();

  const headers = { cookie: credentials, 'content-type': 'application/json' };
  for (const origin of [foreignOrigin, 'null', 'https://evil.test']) {
    const refused = await fetch(projects, { method: 'POST', headers: { ...headers, origin }, body: stolen });
    expect(refused.status, origin).toBe(403);
  }
  const get = ['GET /api/workspace/projects HTTP/1.1', `Host: evil.test:${app.port}`, `Cookie: ${credentials}`];
  expect(await statusOf(app.port, get)).toBe(403);
  const { body } = await app.api('GET', '/api/workspace/projects');
  expect(JSON.stringify(body)).not.toContain('stolen');
});

test('G3 a ticket opens one socket, and within 30 s', async () => {
  const ticket = await stealTicket();
  expect(await openSocket(page, ticket)).toBe('attached');
  expect(await openSocket(page, ticket)).toBe('4401');

  const key = readFileSync(join(app.dataDir, 'ticket.key'), 'utf8').trim();
  const aud = (await app.gatewayId()) ?? '';
  const claims = {
    sub: 'local',
    sid: 'test',
    session: session.id,
    epoch: session.epoch,
    mode: 'read' as const,
    origin: null,
    aud,
  };
  const open = (age: number) =>
    openViewer({
      url: ticket.connectionUrl,
      ticket: signTicket(claims, key, Date.now() - age),
      origin: null,
    });
  const late = await open(TICKET_TTL_MS);
  expect((await late.closed).code).toBe(4401);
  const inTime = await open(TICKET_TTL_MS / 2);
  await inTime.attach();
  await inTime.close();
});

test('H3 a shell finds no secret of the server: not in its environment, not in its host’s, and no open file', async () => {
  await openWorkspace(app, page, project, session.id);
  await waitForText(page, session.id, 'hf% ');
  const commands = [
    'env > env',
    "tr '\\0' '\\n' < /proc/$$/environ > environ",
    "tr '\\0' '\\n' < /proc/$PPID/environ > host",
    'ls -l /proc/self/fd | cat > handles',
    `echo ${PRINTED}`,
  ];
  await typeInto(page, session.id, `${commands.join('; ')}; : ${TYPED}\n`);
  await waitForText(page, session.id, new RegExp(`^${PRINTED}$`, 'm'));
  const read = (name: string) => readFileSync(join(project.path, name), 'utf8');
  const forbidden = [...Object.values(PLANTED), ...ownSecrets(), 'planted-'];
  for (const name of ['env', 'environ', 'host']) {
    for (const secret of forbidden) expect(read(name), name).not.toContain(secret);
  }
  const names = read('environ')
    .trim()
    .split('\n')
    .map((line) => line.split('=')[0] ?? '');
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter((name) => !ALLOWED_NAME.test(name))).toEqual([]);

  const handles = [...read('handles').matchAll(/ (\d+) -> (\S+)$/gm)].map(([, number, target]) => [number, target]);
  expect(handles.map(([number]) => number)).toEqual(['0', '1', '2', '3']); // 3 is the listing itself
  expect(handles[0]?.[1]).toMatch(/^\/dev\/pts\/\d+$/);
  expect(handles[2]?.[1]).toBe(handles[0]?.[1]);
  expect(handles[3]?.[1]).toMatch(/^\/proc\/\d+\/fd$/);
});

/** The files that only the owner may read. */
function ownSecrets(): string[] {
  return ['token', 'ticket.key'].map((name) => readFileSync(join(app.dataDir, name), 'utf8').trim());
}

test('A4 signing out ends the sockets of that browser, and its cookie is worth nothing any more', async () => {
  await openWorkspace(app, page, project, session.id);
  const [cookie] = await context.cookies();
  const home = await context.newPage();
  await home.goto(app.origin);
  await home.getByRole('button', { name: 'Sign out' }).click();
  await expect(home.getByRole('heading', { name: 'Open a login link' })).toBeVisible();
  expect(await context.cookies()).toEqual([]);
  await expect(page.getByRole('heading', { name: 'Open a login link' })).toBeVisible();
  await expect(terminalOf(page, session.id)).toBeHidden();
  await expect.poll(async () => (await app.terminals())[0]?.viewers).toBe(0);
  await home.close();
  const replayed = await fetch(`${app.origin}/api/terminal/list`, {
    headers: { cookie: `${cookie?.name}=${cookie?.value}` },
  });
  expect(replayed.status).toBe(401);
});

test('A7 after all of this the logs hold no secret, no ticket and nothing that was typed or printed', async () => {
  for (const secret of [...Object.values(PLANTED), ...ownSecrets()]) secrets.add(secret);
  for (const canary of [TYPED, PRINTED, 'planted-']) secrets.add(canary);
  expect(secrets.size).toBeGreaterThan(10);
  const directory = join(app.dataDir, 'logs');
  const logs = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
  expect(logs.join('')).toContain('upgrade refused'); // debug messages are in them
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(7);
    for (const log of logs) expect(log.includes(secret), `a log holds ${secret.slice(0, 4)}…`).toBe(false);
  }
});
