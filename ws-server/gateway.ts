/** The server that browsers connect to: health, and upgrades that a ticket turns into a relay to a host. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Config } from '@/lib/config';
import type { Logger } from '@/lib/log';
import { isNearUrl, mayReadMetrics } from '@/lib/metrics-access';
import type { RevokeRequest } from '@/lib/protocol/control';
import { closeCode, type ErrorCode, errorPayload, httpStatus } from '@/lib/protocol/errors';
import { sessionIdSchema } from '@/lib/protocol/ids';
import { FRAME_BYTES_MAX } from '@/lib/protocol/limits';
import type { ErrorAnswer } from '@/lib/protocol/rest';
import { SUBPROTOCOL, TICKET_PREFIX } from '@/lib/protocol/wire';
import type { TicketClaims } from '@/lib/ticket';
import type { Backend } from './backend';
import type { GatewayMetrics } from './metrics';
import { OutputReader } from './output-reader';
import type { Pool } from './pool';
import { Relay, type RelayOptions } from './relay';
import { isRevokedBy, type Tickets } from './tickets';

const HEADER_BYTES_MAX = 16 * 1024;
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const TIMEOUT_CHECK_MS = 1_000;
/** Fragments of one message, and pieces of it in memory: enough for 64 KiB over any network, too few to hoard memory. */
const FRAGMENTS_MAX = 64;
const CHUNKS_MAX = 1_024;
/** How long a browser may take to answer a close frame when the gateway ends (ms). */
const SHUTDOWN_TIMEOUT_MS = 1_000;

const HEALTH_PATH = '/health';
const METRICS_PATH = '/metrics';
/** Node leaves the body of an answer to HEAD away by itself. */
const READING: readonly string[] = ['GET', 'HEAD'];
const UPGRADE_PATH = /^\/v1\/sessions\/([^/?#]+)$/;

/** What the gateway serves with. */
export type GatewayOptions = {
  config: Pick<Config, 'host' | 'wsPort' | 'wsHosts' | 'origins' | 'publicWsUrl' | 'metricsToken' | 'maxSockets'>;
  instanceId: string;
  pool: Pool;
  metrics: GatewayMetrics;
  tickets: Tickets;
  log: Logger;
};

/** One attached socket, the host of its session, and what its ticket said. */
type Viewer = { relay: Relay; hostId: string; claims: TicketClaims };
/** What an upgrade asks for, once its form is right. */
type Upgrade = { session: string; origin: string | null; ticket: string };
type Refusal = { code: ErrorCode; message: string };
const notFound: Refusal = { code: 'not_found', message: 'There is nothing here.' };

function errorAnswer({ code, message }: Refusal): { head: Record<string, string>; body: string } {
  const requestId = randomUUID();
  const answer: ErrorAnswer = {
    success: false,
    error: { code, message, timestamp: new Date().toISOString() },
    requestId,
  };
  const body = JSON.stringify(answer);
  const head = {
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Request-Id': requestId,
    Connection: 'close',
  };
  return { head, body };
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

function respond(response: ServerResponse, type: string, body: string): void {
  const length = Buffer.byteLength(body);
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': length, 'Cache-Control': 'no-store' }).end(body);
}

/** Answers an upgrade with an HTTP status, and ends the connection. */
function refuseUpgrade(socket: Duplex, refusal: Refusal): void {
  const { head, body } = errorAnswer(refusal);
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${httpStatus(refusal.code)} ${refusal.code}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** The public server of the gateway. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #output: OutputReader;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #viewers = new Set<Viewer>();
  #isClosing = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#output = new OutputReader(options.pool);
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_MAX,
      maxFragments: FRAGMENTS_MAX,
      maxBufferedChunks: CHUNKS_MAX,
      skipUTF8Validation: true, // text is refused whatever it says
      handleProtocols: () => SUBPROTOCOL,
    });
    this.#sockets.on('wsClientError', (error, socket) => {
      refuseUpgrade(socket, { code: 'bad_request', message: error.message });
    });
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      },
      (request, response) => {
        this.#answer(request, response).catch((err: unknown) => {
          options.log.error({ err }, 'request failed');
          response.destroy();
        });
      },
    );
    this.#server.maxConnections = options.config.maxSockets;
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    options.pool.hosts.watch((hostId, state) => {
      for (const viewer of this.#viewers) if (viewer.hostId === hostId) viewer.relay.tell({ event: 'host', state });
    });
  }

  /** Starts to listen. @throws the system's error, for example when the port is taken */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.config.wsPort, this.#options.config.host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  /** Closes the sockets whose ticket matches every given claim, says how many, and refuses tickets that were signed before. */
  revoke(match: RevokeRequest): number {
    this.#options.tickets.revoke(match);
    const matching = [...this.#viewers].filter(({ claims }) => isRevokedBy(match, claims));
    for (const { relay } of matching) relay.close('unauthorized');
    return matching.length;
  }

  /** Stops accepting and closes every socket with 1012, so that browsers come back to the next gateway. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const isClosed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const { relay } of this.#viewers) relay.close('restart');
    const timer = setTimeout(() => {
      for (const { relay } of this.#viewers) relay.terminate();
      this.#server.closeAllConnections();
    }, SHUTDOWN_TIMEOUT_MS);
    await isClosed;
    clearTimeout(timer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { instanceId, metrics } = this.#options;
    const refusal = this.#refuse(request);
    if (refusal) {
      metrics.refused(refusal.code);
      const { head, body } = errorAnswer(refusal);
      if (refusal.code === 'method_not_allowed') head['Allow'] = READING.join(', ');
      response.writeHead(httpStatus(refusal.code), head).end(body);
    } else if (pathOf(request) === HEALTH_PATH) {
      respond(response, 'application/json', JSON.stringify({ status: 'ok', instanceId }));
    } else {
      respond(response, metrics.contentType, await metrics.text());
    }
  }

  /** Why a request gets neither health nor metrics, or null. */
  #refuse(request: IncomingMessage): Refusal | null {
    const badHost = this.#refuseHost(request);
    if (badHost) return badHost;
    const path = pathOf(request);
    if (path !== HEALTH_PATH && path !== METRICS_PATH) return notFound;
    if (!READING.includes(request.method ?? '')) {
      return { code: 'method_not_allowed', message: `${request.method} is not possible here.` };
    }
    return path === METRICS_PATH ? this.#refuseReader(request) : null;
  }

  #refuseReader({ headers, socket }: IncomingMessage): Refusal | null {
    const mayRead = mayReadMetrics({
      header: (name) => headers[name]?.toString(),
      peer: socket.remoteAddress ?? null,
      isPublic: !isNearUrl(this.#options.config.publicWsUrl),
      tokens: [this.#options.config.metricsToken],
    });
    return mayRead
      ? null
      : { code: 'unauthorized', message: 'Metrics need a token from here: HOLDFAST_METRICS_TOKEN.' };
  }

  #refuseHost(request: IncomingMessage): Refusal | null {
    const [host, ...others] = request.headersDistinct['host'] ?? [];
    const isKnown = host !== undefined && others.length === 0 && this.#options.config.wsHosts.includes(host);
    return isKnown ? null : { code: 'forbidden', message: 'This Host is not served here.' };
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', (err) => this.#options.log.debug({ err }, 'upgrade failed'));
    const checked = this.#check(request);
    if ('code' in checked) {
      this.#options.log.debug({ code: checked.code, reason: checked.message }, 'upgrade refused');
      this.#options.metrics.refused(checked.code);
      refuseUpgrade(socket, checked);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, checked));
  }

  /** Looks at everything but the ticket, so that a refusal does not use it up. */
  #check(request: IncomingMessage): Upgrade | Refusal {
    const badHost = this.#refuseHost(request);
    if (badHost) return badHost;
    const { origin = null } = request.headers;
    if (origin !== null && !this.#options.config.origins.includes(origin)) {
      return { code: 'forbidden', message: 'This Origin is not allowed.' };
    }
    const session = sessionIdSchema.safeParse(UPGRADE_PATH.exec(request.url ?? '')?.[1]);
    if (!session.success) return notFound;
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    const [ticket, ...others] = offered.filter((name) => name.startsWith(TICKET_PREFIX));
    if (!offered.includes(SUBPROTOCOL) || ticket === undefined || others.length > 0) {
      return { code: 'bad_request', message: `The subprotocols are ${SUBPROTOCOL} and one ticket.` };
    }
    // Version 8 carries its origin in another header, which nobody has checked.
    if (request.headers['sec-websocket-version'] !== '13') {
      return { code: 'bad_request', message: 'The WebSocket version is 13.' };
    }
    if (this.#isClosing) return { code: 'sidecar_unavailable', message: 'The gateway is restarting.' };
    return { session: session.data, origin, ticket: ticket.slice(TICKET_PREFIX.length) };
  }

  #accept(ws: WebSocket, { session, origin, ticket }: Upgrade): void {
    const { pool, tickets, metrics } = this.#options;
    const log = this.#options.log.child({ session });
    const refuse = (code: ErrorCode) => {
      log.info({ code }, 'socket refused');
      metrics.refused(code);
      ws.on('error', (err) => log.debug({ err }, 'refused socket failed'));
      ws.close(closeCode(code), code);
    };
    const claims = tickets.redeem(ticket, { session, origin });
    if (!claims) {
      metrics.ticketRefused();
      refuse('unauthorized');
      return;
    }
    const place = pool.find(session);
    if (place && claims.epoch < place.session.epoch) {
      refuse('epoch_superseded');
      return;
    }
    if (place) {
      this.#relay(ws, claims, place.host, () => pool.lives(session));
      return;
    }
    // Any host can show what a journal has left of it.
    ws.on('error', (err) => log.debug({ err }, 'waiting socket failed'));
    ws.pause();
    pool
      .anyHost()
      .then((host) => {
        if (ws.readyState !== ws.OPEN) return;
        this.#relay(ws, claims, host, async () => true);
        ws.resume();
      })
      .catch((error: unknown) => {
        ws.resume();
        refuse(errorPayload(error).code);
      });
  }

  #relay(ws: WebSocket, claims: TicketClaims, host: Backend, lives: RelayOptions['lives']): void {
    const { session, epoch, mode } = claims;
    const { metrics } = this.#options;
    const log = this.#options.log.child({ session });
    const relay = new Relay(ws, {
      socketPath: host.socketPath,
      viewer: { id: session, epoch, mode },
      log,
      meter: metrics,
      lives,
      loss: () => this.#output.archived(session).then(({ exit }) => exit),
      sockets: () => this.#viewers.size,
    });
    const viewer = { relay, hostId: host.hostId, claims };
    this.#viewers.add(viewer);
    metrics.opened();
    if (host.silence !== 'ok') relay.tell({ event: 'host', state: host.silence });
    log.debug({ viewers: this.#viewers.size }, 'viewer connected');
    ws.once('close', (code) => {
      this.#viewers.delete(viewer);
      metrics.closed(code);
      log.debug({ code, viewers: this.#viewers.size }, 'viewer disconnected');
    });
  }
}
