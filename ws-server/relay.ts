/** One browser socket and its host connection: frames pass both ways unread, with backpressure both ways. */
import { connect, type Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { Logger } from '@/lib/log';
import type { ExitFacts } from '@/lib/protocol/control';
import { CLOSE, closeCode, type ErrorCode } from '@/lib/protocol/errors';
import { ATTACH_TIMEOUT_MS, CONTROL_BURST_MAX, CONTROL_PER_SECOND_MAX } from '@/lib/protocol/limits';
import { decodeViewerFrame, type Event, encodeControl, encodeEvent, FRAME, type Mode } from '@/lib/protocol/wire';
import { giveFrameBack, takeFrame } from './frame-blocks';
import {
  decodeLinkFrame,
  encodeLinkFrame,
  FrameReader,
  LINK_FRAME,
  LINK_FRAME_BYTES_MAX,
  monotonicMs,
  toGatewaySchema,
  writeFrame,
} from './link';
import { TokenBucket } from './token-bucket';

/** Bytes waiting for the browser above which the host is not read, and below which it is read again. */
const OUTGOING_HIGH_BYTES = 1024 * 1024;
const OUTGOING_LOW_BYTES = 256 * 1024;
/** A browser that missed this many pings in a row is gone. */
const PING_MISSES_MAX = 2;
/** What the host has to be told is flushed within this time after the browser is gone (ms). */
const FLUSH_DEADLINE_MS = 2_000;
/** A longer CONTROL frame is no ping (bytes); pings waiting for their pong at most. */
const PING_BYTES_MAX = 256;
const PINGS_MAX = 16;

/** Output that comes later than this after a keystroke is no echo of it (ms). */
const ECHO_MAX_MS = 5_000;

/** The parts of the way of a ping that the gateway can tell apart. */
export type Hop = 'network' | 'gateway' | 'host';

/** What relays count: plain numbers for what comes often, a call for what comes with a keystroke or a ping. */
export type RelayMeter = {
  /** Bytes of frames from browsers and to them, without what WebSocket and TCP add. */
  bytesIn: number;
  bytesOut: number;
  /** From a keystroke, when none waited for an answer, to the first output after it. */
  observeEcho(ms: number): void;
  observeHop(hop: Hop, ms: number): void;
};

/** Times of a relay (ms). */
export type RelayTimes = { attachMs: number; pingMs: number };
/** What a relay takes when it is given no others: a silent browser is freed within three pings, 45 s. */
export const RELAY_TIMES: RelayTimes = { attachMs: ATTACH_TIMEOUT_MS, pingMs: 15_000 };

/** What a relay connects, and whom it asks when the host is lost. */
export type RelayOptions = {
  socketPath: string;
  viewer: { id: string; epoch: number; mode: Mode };
  log: Logger;
  meter: RelayMeter;
  /** Whether the session still lives, after its host connection was lost. */
  lives(): Promise<boolean>;
  /** How a session ended that was lost with its host. Rejects where no journal tells. */
  loss?: () => Promise<ExitFacts>;
  /** Open sockets of the gateway. */
  sockets(): number;
  times?: RelayTimes;
};

/** Every read from every host goes through it: frames are copied out of it at once. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

const pingSchema = z.object({ op: z.literal('ping'), t: z.number() });
const TO_HOST: readonly (number | undefined)[] = [FRAME.input, FRAME.ack, FRAME.control];
const BINARY = { binary: true };
const PONG_START = Buffer.from('{"event":"pong"');

/** The time in a ping, or null for every other frame; those are the host's to judge. */
function pingTime(frame: Buffer): number | null {
  if (frame[0] !== FRAME.control || frame.length > PING_BYTES_MAX || !frame.includes('"ping"')) return null;
  try {
    return pingSchema.safeParse(JSON.parse(frame.toString('utf8', 1))).data?.t ?? null;
  } catch {
    return null; // not JSON: the host closes the socket for it
  }
}

/** Relays one attached socket until either side ends. */
export class Relay {
  readonly #ws: WebSocket;
  readonly #host: Socket;
  readonly #options: RelayOptions;
  readonly #attachTimer: NodeJS.Timeout;
  readonly #pingTimer: NodeJS.Timeout;
  /** Pings on their way through the host: the time that the browser wrote, and ours. */
  readonly #pings: { t: number; sentAt: number }[] = [];
  readonly #controls = new TokenBucket(CONTROL_PER_SECOND_MAX, CONTROL_BURST_MAX);
  /** When the oldest keystroke was passed on that no output has followed, and our own ping that no pong has followed. */
  #typedAt: number | null = null;
  #pingedAt: number | null = null;
  #missedPings = 0;
  #isClosing = false;

  constructor(ws: WebSocket, options: RelayOptions) {
    const { attachMs, pingMs } = options.times ?? RELAY_TIMES;
    this.#ws = ws;
    this.#options = options;
    this.#attachTimer = setTimeout(() => this.close('timeout'), attachMs);
    this.#pingTimer = setInterval(() => this.#ping(), pingMs);
    ws.on('message', (data, isBinary) => this.#fromBrowser(data, isBinary));
    ws.on('pong', () => {
      this.#missedPings = 0;
      if (this.#pingedAt !== null) options.meter.observeHop('network', monotonicMs() - this.#pingedAt);
      this.#pingedAt = null;
    });
    ws.on('error', (err) => {
      options.log.debug({ err }, 'browser socket failed');
      this.#finish();
    });
    ws.on('close', () => this.#finish());
    this.#host = this.#connectHost();
  }

  /** Closes the browser's socket with a code of the error table, or for a restart; nothing more is passed on. */
  close(reason: ErrorCode | 'restart'): void {
    if (this.#isClosing) return;
    this.#ws.close(reason === 'restart' ? CLOSE.restart : closeCode(reason), reason);
    this.#finish();
  }

  /** Tells the browser what the gateway itself knows. */
  tell(event: Event): void {
    if (!this.#isClosing) this.#toBrowser(encodeEvent(event));
  }

  /** Ends the browser's socket without a word. */
  terminate(): void {
    this.#ws.terminate();
    this.#finish();
  }

  #connectHost(): Socket {
    const reader = new FrameReader((frame) => this.#fromHost(frame), LINK_FRAME_BYTES_MAX, takeFrame);
    const read = (length: number) => {
      if (this.#isClosing) return true;
      try {
        reader.push(readBuffer.subarray(0, length));
      } catch (err) {
        this.#options.log.error({ err }, 'malformed frame from the host');
        this.close('internal');
      }
      return true;
    };
    const host = connect({ path: this.#options.socketPath, onread: { buffer: readBuffer, callback: read } });
    host.on('drain', () => this.#ws.resume());
    host.on('error', (err) => this.#options.log.debug({ err }, 'host connection failed'));
    host.on('close', () => void this.#lostHost());
    writeFrame(host, encodeLinkFrame({ link: 'viewer', ...this.#options.viewer }));
    return host;
  }

  #fromBrowser(data: unknown, isBinary: boolean): void {
    if (this.#isClosing) return;
    // With the binary type that a server socket has by default, every message is one Buffer.
    if (!isBinary || !Buffer.isBuffer(data) || !TO_HOST.includes(data[0])) {
      this.close('bad_request');
      return;
    }
    clearTimeout(this.#attachTimer);
    this.#missedPings = 0;
    this.#options.meter.bytesIn += data.length;
    let frame: Uint8Array = data;
    if (data[0] === FRAME.input) {
      this.#typed();
    } else if (data[0] === FRAME.control) {
      if (!this.#controls.take()) {
        this.close('rate_limited');
        return;
      }
      frame = this.#stampPing(data);
    }
    if (!writeFrame(this.#host, frame)) this.#ws.pause();
  }

  #typed(): void {
    if (this.#options.viewer.mode !== 'write') return;
    const now = monotonicMs();
    if (this.#typedAt === null || now - this.#typedAt > ECHO_MAX_MS) this.#typedAt = now;
  }

  #echoed(typedAt: number): void {
    this.#typedAt = null;
    const ms = monotonicMs() - typedAt;
    if (ms <= ECHO_MAX_MS) this.#options.meter.observeEcho(ms);
  }

  /** Writes into a ping when it is passed on, so that the host can tell how long it waited there; other frames stay. */
  #stampPing(frame: Buffer): Uint8Array {
    const t = pingTime(frame);
    if (t === null || this.#pings.length >= PINGS_MAX) return frame;
    const sentAt = monotonicMs();
    this.#pings.push({ t, sentAt });
    return encodeControl({ op: 'ping', t, at: sentAt });
  }

  #fromHost(frame: Buffer<ArrayBuffer>): void {
    if (this.#isClosing) return;
    switch (frame[0]) {
      case FRAME.output:
        if (this.#typedAt !== null) this.#echoed(this.#typedAt);
        this.#toBrowser(frame, (error) => {
          if (!error) giveFrameBack(frame);
          this.#onSent();
        });
        return;
      case FRAME.snapshot:
        this.#toBrowser(frame);
        return;
      case FRAME.event:
        this.#toBrowser(this.#pings.length > 0 ? this.#completePong(frame) : frame);
        return;
      case LINK_FRAME: {
        const message = decodeLinkFrame(frame, toGatewaySchema);
        if (message.link !== 'close') throw new Error(`"${message.link}" on a viewer's connection`);
        this.close(message.code);
        return;
      }
      default:
        throw new Error(`frame of type ${frame[0]}`);
    }
  }

  #toBrowser(frame: Uint8Array, onSent: (error?: Error) => void = this.#onSent): void {
    this.#options.meter.bytesOut += frame.length;
    this.#ws.send(frame, BINARY, onSent);
    if (this.#ws.bufferedAmount > OUTGOING_HIGH_BYTES) this.#host.pause();
  }

  readonly #onSent = (): void => {
    if (this.#host.isPaused() && this.#ws.bufferedAmount < OUTGOING_LOW_BYTES) this.#host.resume();
  };

  /** Writes our own share into a pong: the time since we passed the ping on, without what the host says is its own. */
  #completePong(frame: Buffer): Uint8Array {
    if (!frame.subarray(1, 1 + PONG_START.length).equals(PONG_START)) return frame;
    const decoded = decodeViewerFrame(frame);
    if (decoded?.type !== 'event' || decoded.message.event !== 'pong') return frame;
    const pong = decoded.message;
    const index = this.#pings.findIndex(({ t }) => t === pong.t);
    const [ping] = index < 0 ? [] : this.#pings.splice(0, index + 1).slice(-1);
    if (!ping) return frame;
    const gateway = Math.max(0, monotonicMs() - ping.sentAt - pong.host);
    this.#options.meter.observeHop('gateway', gateway);
    if (pong.host > 0) this.#options.meter.observeHop('host', pong.host); // an older host does not know its share
    return encodeEvent({ ...pong, gateway: Math.round(gateway * 1000) / 1000, sockets: this.#options.sockets() });
  }

  #ping(): void {
    if (this.#ws.isPaused) return; // we do not read, so that we cannot know
    if (this.#missedPings < PING_MISSES_MAX) {
      this.#missedPings++;
      this.#pingedAt ??= monotonicMs(); // pongs come in order: the next one answers the oldest ping
      this.#ws.ping();
    } else {
      this.terminate();
    }
  }

  async #lostHost(): Promise<void> {
    if (this.#isClosing) return;
    if (await this.#options.lives()) {
      this.close('restart');
      return;
    }
    const exit = await this.#options.loss?.().catch((err: unknown) => {
      this.#options.log.debug({ err }, 'a session was lost without a trace');
      return undefined;
    });
    if (this.#isClosing) return;
    if (exit) {
      const { code, signal, reason } = exit;
      this.#toBrowser(encodeEvent({ event: 'exit', code, signal, ...(reason && { reason }) }));
    }
    this.close(exit ? 'session_ended' : 'not_found');
  }

  /** Stops passing on. What the browser has typed so far still reaches the host. */
  #finish(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    clearTimeout(this.#attachTimer);
    clearInterval(this.#pingTimer);
    this.#ws.resume(); // to read the answer to our close frame
    this.#host.resume();
    this.#host.end();
    const flush = setTimeout(() => this.#host.destroy(), FLUSH_DEADLINE_MS);
    this.#host.once('close', () => clearTimeout(flush));
  }
}
