/** The browser's connection, as it is, against a real sidecar: its WebSocket is that of `ws`, its terminal a headless one. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import headless from '@xterm/headless';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { swallowQueries } from '@/components/terminal/swallow-queries';
import { terminalSink } from '@/components/terminal/terminal-sink';
import { type ConnectionOptions, TerminalConnection } from '@/lib/client/connection';
import type { ConnectionState } from '@/lib/client/facts';
import type { TerminalSink } from '@/lib/client/feed';
import { infoReplySchema } from '@/lib/protocol/control';
import { newId } from '@/lib/protocol/ids';
import { SCROLLBACK_LINES } from '@/lib/protocol/limits';
import { guardEraseAbove, keepAlternateScreenFlat } from '@/lib/protocol/terminal';
import { SUBPROTOCOL, TICKET_PREFIX } from '@/lib/protocol/wire';
import { dumpTerminal } from '@/tests/harness/dump';
import { signal, until } from '@/tests/harness/processes';
import { type Sidecar, startSidecar } from '@/tests/harness/sidecar';
import { UnicodeGraphemesAddon } from '@/ws-server/host/unicode';

let sidecar: Sidecar;
const opened: { close(): void }[] = [];

beforeAll(async () => {
  sidecar = await startSidecar();
});

afterAll(() => sidecar?.stop());

afterEach(() => {
  for (const part of opened.splice(0)) part.close();
});

type SessionRef = { id: string; epoch: number };

/** A page's terminal without the page. */
class Client {
  readonly terminal: headless.Terminal;
  readonly connection: TerminalConnection;
  /** Every byte of output since the last snapshot. */
  output = '';
  snapshots = 0;
  readonly states: ConnectionState['kind'][] = [];

  constructor(session: SessionRef, changes: Partial<ConnectionOptions> & { at?: Sidecar; port?: number } = {}) {
    const { at = sidecar, port = at.port, ...rest } = changes;
    this.terminal = new headless.Terminal({ scrollback: SCROLLBACK_LINES, allowProposedApi: true, logLevel: 'off' });
    this.terminal.loadAddon(new UnicodeGraphemesAddon());
    guardEraseAbove(this.terminal);
    keepAlternateScreenFlat(this.terminal);
    const queries = swallowQueries(this.terminal.parser);
    const options = { origin: at.origin, headers: { Host: `127.0.0.1:${at.port}` }, perMessageDeflate: false };
    this.connection = new TerminalConnection({
      mode: 'write',
      size: { cols: 80, rows: 24 },
      sink: this.#recording(terminalSink(this.terminal)),
      webSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, options);
        }
      },
      getTicket: async () => {
        // Like web: the ticket names the gateway that runs now, and there is none while it is away.
        const { instanceId } = infoReplySchema.parse((await at.control('GET', '/v1/info')).json);
        const ticket = at.ticket(session, { aud: instanceId });
        return {
          connectionUrl: `ws://127.0.0.1:${port}/v1/sessions/${session.id}`,
          protocols: [SUBPROTOCOL, TICKET_PREFIX + ticket],
        };
      },
      ...rest,
    });
    this.terminal.onData((data) => {
      if (!queries.isAnswering()) this.type(data);
    });
    this.connection.subscribe(() => {
      const { kind } = this.connection.getSnapshot().state;
      if (this.states.at(-1) !== kind) this.states.push(kind);
    });
    opened.push(this);
    this.connection.connect();
  }

  get facts() {
    return this.connection.getSnapshot();
  }

  close(): void {
    this.connection.close();
    this.terminal.dispose();
  }

  type(text: string): void {
    this.connection.input(Buffer.from(text));
  }

  is(kind: ConnectionState['kind'], deadlineMs?: number): Promise<void> {
    return until(`${kind} (now ${JSON.stringify(this.facts.state)})`, () => this.facts.state.kind === kind, deadlineMs);
  }

  shows(text: string | RegExp, deadlineMs?: number): Promise<void> {
    const isThere = () => (typeof text === 'string' ? this.output.includes(text) : text.test(this.output));
    return until(`the output ${text}`, isThere, deadlineMs).catch((error: Error) => {
      throw new Error(`${error.message}; it ends with ${JSON.stringify(this.output.slice(-300))}`);
    });
  }

  #recording(sink: TerminalSink): TerminalSink {
    let isSnapshot = false;
    return {
      ...sink,
      reset: (size) => {
        sink.reset(size);
        isSnapshot = true;
        this.output = '';
        this.snapshots += 1;
      },
      write: (data, done) => {
        if (isSnapshot) isSnapshot = false;
        else this.output += Buffer.from(data).toString('latin1');
        sink.write(data, done);
      },
    };
  }
}

async function openLive(session: SessionRef, changes: Partial<ConnectionOptions> = {}): Promise<Client> {
  const client = new Client(session, changes);
  await client.is('live');
  return client;
}

/** All output of a session as the host keeps it. */
async function rawOutput(session: SessionRef): Promise<string> {
  let text = '';
  for (;;) {
    const path = `/v1/sessions/${session.id}/output?from=${text.length}&limit=1000000`;
    const { status, body } = await sidecar.control('GET', path);
    if (status >= 300) throw new Error(`output answered ${status}: ${body}`);
    if (body === '') return text;
    text += body;
  }
}

/** Waits until a session prints nothing more and every client has drawn it. */
async function settled(...clients: Client[]): Promise<void> {
  for (const client of clients) {
    client.type('echo "se"tt"led"\r');
    await client.shows('settled\r\n');
    await client.shows(/settled\r\n[^\n]*[$#] $/);
  }
}

test('C2 a flood of output arrives byte for byte over two killed gateways, and the screen is that of a fresh viewer', async () => {
  const session = await sidecar.openSession();
  const client = await openLive(session);
  client.type("PS1='$ '; seq 1 200000; echo fin''ished\r");
  for (const part of [/\n20\d\d\d\r/, /\n10\d\d\d\d\r/]) {
    await client.shows(part);
    await sidecar.restartGateway();
  }
  await client.shows('finished\r\n', 20_000);
  await settled(client);
  expect(client.snapshots).toBe(1);
  expect(client.states.filter((kind) => kind === 'live').length).toBeGreaterThanOrEqual(2);
  const raw = await rawOutput(session);
  expect(raw.length).toBeGreaterThan(1_300_000);
  expect(client.output === raw.slice(raw.length - client.output.length)).toBe(true);
  expect(client.output).toContain('seq 1 200000');

  const fresh = await openLive(session);
  await until('the snapshot is drawn', () => fresh.terminal.buffer.normal.length > 1000);
  expect(dumpTerminal(client.terminal)).toEqual(dumpTerminal(fresh.terminal));
}, 40_000);

test('C2 slow lines each appear exactly once over a killed gateway', async () => {
  const session = await sidecar.openSession();
  const client = await openLive(session);
  client.type('for i in $(seq 1 300); do echo "line $i."; sleep 0.005; done\r');
  await client.shows('line 60.');
  await sidecar.restartGateway();
  await client.shows('line 300.');
  const numbers = [...client.output.matchAll(/line (\d+)\.\r\n/g)].map(([, number]) => Number(number));
  expect(numbers).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
}, 30_000);

test('C3 I5 any bytes typed around killed gateways reach the program once, in order', async () => {
  const session = await sidecar.openSession();
  const client = await openLive(session);
  const bytes = randomBytes(40_000);
  client.type(`stty raw -echo; printf 'rea''dy'; head -c ${bytes.length} | sha256sum; stty sane; echo\r`);
  await client.shows('ready');
  const chunk = 100;
  let restarts = Promise.resolve();
  for (let offset = 0; offset < bytes.length; offset += chunk) {
    // Without a connection only a little is kept.
    if (client.facts.state.kind !== 'live') await client.is('live');
    if (offset === 8_000 || offset === 24_000) restarts = restarts.then(() => sidecar.restartGateway());
    expect(client.connection.input(bytes.subarray(offset, offset + chunk))).toBe(true);
    await new Promise(setImmediate);
  }
  await restarts;
  await client.shows(createHash('sha256').update(bytes).digest('hex'), 20_000);
  expect(client.facts.unsent).toBeNull();
  expect(client.states.filter((kind) => kind === 'live').length).toBeGreaterThan(1);
}, 40_000);

test('C3 a paste of 1 MB arrives whole, in as many frames as the program reads', async () => {
  const session = await sidecar.openSession();
  const client = await openLive(session);
  const pasted = Buffer.from('é漢🙂x\t'.repeat(1 + (1024 * 1024) / 11)).subarray(0, 1024 * 1024);
  client.type(`stty raw -echo; printf 'rea''dy'; head -c ${pasted.length} | sha256sum; stty sane; echo\r`);
  await client.shows('ready');
  expect(client.connection.input(pasted)).toBe(true);
  await client.shows(createHash('sha256').update(pasted).digest('hex'), 20_000);
}, 30_000);

test('C3 what was typed while the gateway was away is sent when it is back', async () => {
  const session = await sidecar.openSession();
  const client = await openLive(session);
  await sidecar.killGateway();
  await until('the break is noticed', () => client.facts.state.kind !== 'live');
  client.type('echo aw""ay-$((6*7))\r');
  await sidecar.startGateway();
  await client.shows('away-42\r\n');
  expect(client.output.split('away-42').length).toBe(2);
}, 30_000);

test('C3 after a long break it is shown as unsent, and sent on demand', async () => {
  const session = await sidecar.openSession();
  const gate = await openGate(sidecar.port);
  const client = new Client(session, { port: gate.port });
  await client.is('live');
  gate.shut();
  await until('the break is noticed', () => client.facts.state.kind !== 'live');
  client.type('echo la""te\r');
  const realNow = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => realNow() + 11_000);
  gate.open();
  client.connection.wake();
  await client.is('live');
  expect(client.facts.unsent).toEqual({ bytes: 12, text: 'echo la""te\r' });
  client.connection.sendUnsent();
  await client.shows('late\r\n');
  expect(client.facts.unsent).toBeNull();
}, 30_000);

test('C2 sockets that break again and again in the middle of frames lose and repeat nothing', async () => {
  const session = await sidecar.openSession();
  const gate = await openGate(sidecar.port);
  const client = new Client(session, { port: gate.port, random: () => 0.05 });
  await client.is('live');
  client.type("PS1='$ '; for i in $(seq 1 12); do seq 1 5000; sleep 0.1; done; echo fin''ished\r");
  let breaks = 0;
  await until(
    'the flood has passed',
    async () => {
      if (client.output.includes('finished\r\n')) return true;
      if (client.facts.state.kind === 'live' && breaks < 15) {
        breaks += 1;
        gate.break();
      }
      await new Promise((resolve) => setTimeout(resolve, 40));
      return false;
    },
    25_000,
  );
  expect(breaks).toBeGreaterThan(5);
  await settled(client);
  const raw = await rawOutput(session);
  expect(client.snapshots).toBe(1);
  expect(client.output === raw.slice(raw.length - client.output.length)).toBe(true);
  expect(client.output.match(/\n5000\r/g)).toHaveLength(12);
}, 40_000);

test('C5 two viewers with real terminals answer no query: the program gets the host’s one answer', async () => {
  const session = await sidecar.openSession();
  const first = await openLive(session);
  const second = await openLive(session);
  const ask = `stty raw -echo min 0 time 20; printf '\\033[6n\\033[c\\033[?1004h'; x=$(head -c 200); stty sane; printf '%s' "$x" | od -An -c; echo asked\r`;
  first.type(ask);
  await first.shows(/\nasked\r/);
  await second.shows(/\nasked\r/);
  const answers = first.output.slice(first.output.indexOf('echo asked'));
  expect(answers.match(/033 {3}\[[ \d;]*R/g)).toHaveLength(1);
  expect(answers.match(/033/g)).toHaveLength(2);
});

test('Z2 the second window does not size the session until it takes over; both terminals change at the same place', async () => {
  const session = await sidecar.openSession();
  const first = await openLive(session, { size: { cols: 90, rows: 20 } });
  await until('the first one drives', () => first.terminal.cols === 90);
  const second = await openLive(session, { size: { cols: 120, rows: 40 } });
  await until('the second one is drawn in that size', () => second.terminal.cols === 90 && second.terminal.rows === 20);
  expect(second.facts.driver).toBe(first.facts.viewer);
  expect(second.facts.size).toEqual({ cols: 90, rows: 20 });

  second.connection.take();
  await until('both have the new size', () => first.terminal.cols === 120 && second.terminal.cols === 120);
  await until('the driver is known', () => first.facts.driver === second.facts.viewer);
  second.connection.setLook({ size: { cols: 70, rows: 10 } });
  await until('both have the next size', () => first.terminal.cols === 70 && second.terminal.cols === 70);
  expect(first.facts.viewers).toHaveLength(2);
});

test('I4 a reader sees everything and types nothing', async () => {
  const session = await sidecar.openSession();
  const writer = await openLive(session);
  const getTicket = async () => ({
    connectionUrl: `${sidecar.wsUrl}/v1/sessions/${session.id}`,
    protocols: [SUBPROTOCOL, TICKET_PREFIX + sidecar.ticket(session, { mode: 'read' })],
  });
  const reader = await openLive(session, { mode: 'read', getTicket });
  expect(reader.connection.input(Buffer.from('exit\r'))).toBe(false);
  writer.type('echo se""en\r');
  await reader.shows('seen\r\n');
  expect(reader.facts.notice).toBeNull();
});

test('C7 an exit ends the connection with its code, and the restarted session starts below its older output', async () => {
  const session = await sidecar.openSession();
  const client = await openLive(session);
  client.type('echo be""fore; exit 7\r');
  await client.is('ended');
  expect(client.facts.state).toMatchObject({ kind: 'ended', exit: { code: 7, signal: 0 } });
  expect(client.output).toContain('before\r\n');

  const late = new Client(session);
  await late.is('ended');
  expect(late.facts.state).toMatchObject({ kind: 'ended', exit: { code: 7, signal: 0 } });
  expect(dumpTerminal(late.terminal).normal.join('\n')).toContain('before');
  expect(late.states).not.toContain('live');

  const next = { id: session.id, epoch: 2 };
  await sidecar.openSession(next);
  Object.assign(session, next);
  client.connection.reconnectNow();
  await client.is('live');
  client.type('echo af""ter\r');
  await client.shows('after\r\n');
  expect(client.facts).toMatchObject({ epoch: 2, skippedBytes: 0, unsent: null });
  const shown = () => dumpTerminal(client.terminal).normal.join('\n');
  await expect.poll(shown).toMatch(/before[\s\S]*── restarted[\s\S]*after/);
  expect(shown().split('── restarted')).toHaveLength(2);
});

test('C7 an unknown session and a bad ticket end in a failure that says why', async () => {
  const unknown = new Client({ id: newId('session'), epoch: 1 });
  await unknown.is('failed');
  expect(unknown.facts.state).toMatchObject({ code: 'not_found', action: 'stop' });

  const session = await sidecar.openSession();
  let tickets = 0;
  const refused = new Client(session, {
    getTicket: async () => {
      tickets += 1;
      return {
        connectionUrl: `${sidecar.wsUrl}/v1/sessions/${session.id}`,
        protocols: [SUBPROTOCOL, `${TICKET_PREFIX}bm8.bm8`],
      };
    },
  });
  await refused.is('failed');
  expect(refused.facts.state).toMatchObject({ code: 'unauthorized', action: 'sign-in' });
  expect(tickets).toBe(2);
});

test('C7 a killed host leaves a clear failure, not an endless reconnect', async () => {
  const other = await startSidecar();
  try {
    const client = new Client(await other.openSession(), { at: other });
    await client.is('live');
    for (const pid of other.hostPids()) signal(pid, 'SIGKILL');
    await client.is('failed');
    expect(client.facts.state).toMatchObject({ code: 'not_found' });
  } finally {
    await other.stop();
  }
}, 30_000);

test('M4 M5 the latency of a ping is split into its hops, each of which has its share', async () => {
  const session = await sidecar.openSession();
  const client = await openLive(session);
  await until('a pong has come', () => client.facts.latency !== null);
  const { lastLatency } = client.facts;
  if (!lastLatency) throw new Error('no latency');
  const { totalMs, browserMs, networkMs, gatewayMs, hostMs } = lastLatency;
  expect(totalMs).toBeCloseTo(browserMs + networkMs + gatewayMs + hostMs);
  for (const share of [networkMs, gatewayMs, hostMs]) expect(share).toBeGreaterThan(0);
});

/** A TCP relay that a test can break and shut: what is in flight when it breaks is lost. */
async function openGate(target: number) {
  const pairs = new Set<[Socket, Socket]>();
  let isShut = false;
  const server = createServer((near) => {
    if (isShut) {
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (!address || typeof address !== 'object') throw new Error('no address');
  const gate = {
    port: address.port,
    break() {
      for (const [near, far] of pairs) {
        near.resetAndDestroy();
        far.destroy();
      }
    },
    shut() {
      isShut = true;
      gate.break();
    },
    open() {
      isShut = false;
    },
    close() {
      gate.break();
      server.close();
    },
  };
  opened.push(gate);
  return gate;
}
