import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, expect, it, vi } from 'vitest';
import { ApiError, listProjects } from './api';

let server: Server | null = null;
afterEach(async () => {
  vi.unstubAllGlobals();
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve) ?? resolve(null));
  server = null;
});

/** A page's fetch knows its server; this one is told. */
async function serve(listener: RequestListener): Promise<void> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const { fetch } = globalThis;
  vi.stubGlobal('fetch', (path: string, init: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init));
}

async function failure(): Promise<unknown> {
  return listProjects().then(
    () => null,
    (error: unknown) => error,
  );
}

it('C7 every failure of a call is an ApiError', async () => {
  const broken: [RequestListener, string][] = [
    [(request) => request.socket.destroy(), 'timeout'],
    [
      (request, response) => {
        response.writeHead(200, { 'content-length': '100' }).write('{');
        setImmediate(() => request.socket.destroy());
      },
      'timeout',
    ],
    [(_, response) => response.end('<html>'), 'internal'],
    [(_, response) => response.writeHead(502).end('{}'), 'internal'],
    [(_, response) => response.end('{}'), 'upgrade_required'],
  ];
  let listener: RequestListener = () => undefined;
  await serve((request, response) => listener(request, response));
  for (const [next, code] of broken) {
    listener = next;
    const error = await failure();
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ code });
  }
});

it('a call that its caller aborts fails with the reason of the abort', async () => {
  const abort = new AbortController();
  const reason = new Error('no longer wanted');
  await serve((_, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{');
    abort.abort(reason);
  });
  await expect(listProjects(abort.signal)).rejects.toBe(reason);
});
