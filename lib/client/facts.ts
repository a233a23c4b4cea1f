/** What a connection knows and shows: one immutable object, replaced at each change. */
import type { ClientAction, ErrorCode } from '@/lib/protocol/errors';
import type { EndReason, Event, Size, ViewerFacts } from '@/lib/protocol/wire';

/** How a session ended. `signal` is 0 when its program exited by itself; a lost session has code -1. */
export type Exit = { code: number; signal: number; reason?: EndReason | undefined };

/** Where a connection stands. `retryAt` is in milliseconds since 1970. */
export type ConnectionState =
  | { kind: 'connecting' }
  | { kind: 'live' }
  | { kind: 'waiting'; retryAt: number; attempt: number; reason: string }
  | { kind: 'ended'; exit: Exit | null }
  | { kind: 'failed'; code: ErrorCode; action: ClientAction; message: string };

/**
 * Milliseconds. `browserMs`: from the arrival of output until the terminal has drawn it; `networkMs`: between browser and
 * gateway, both ways; `gatewayMs` and `hostMs`: in each of them, time that they were busy included; `totalMs`: the sum.
 */
export type Latency = {
  readonly totalMs: number;
  readonly browserMs: number;
  readonly networkMs: number;
  readonly gatewayMs: number;
  readonly hostMs: number;
};

/** Whether the session's host answers the gateway. */
export type HostState = Extract<Event, { event: 'host' }>['state'];

/** Everything that a view may show of a connection. */
export type ConnectionFacts = {
  readonly state: ConnectionState;
  readonly epoch: number | null;
  /** This viewer's public name, and that of the viewer which sets the size. */
  readonly viewer: string | null;
  readonly driver: string | null;
  readonly viewers: readonly ViewerFacts[];
  readonly title: string;
  readonly cwd: string;
  /** The terminal's size as it is drawn; it changes only at its place in the stream. */
  readonly size: Size;
  /** Smoothed, and as it was measured last; null before the first answer to a ping. */
  readonly latency: Latency | null;
  readonly lastLatency: Latency | null;
  readonly host: HostState;
  /** Input that was typed around a break and is not sent without the user's word. */
  readonly unsent: { readonly bytes: number; readonly text: string } | null;
  /** Bytes of output that this viewer was not shown, since the last `dismissGap`. */
  readonly skippedBytes: number;
  /** When an idle session ends, in milliseconds since 1970. */
  readonly idleEndsAt: number | null;
  /** The last refusal that closed nothing. */
  readonly notice: { readonly code: ErrorCode; readonly message: string } | null;
};

/** What is known before the first attach. */
export function initialFacts(size: Size): ConnectionFacts {
  return {
    state: { kind: 'connecting' },
    epoch: null,
    viewer: null,
    driver: null,
    viewers: [],
    title: '',
    cwd: '',
    size,
    latency: null,
    lastLatency: null,
    host: 'ok',
    unsent: null,
    skippedBytes: 0,
    idleEndsAt: null,
    notice: null,
  };
}

/** What an event changes when it only announces a fact. */
export function factsOf(event: Event): Partial<ConnectionFacts> {
  switch (event.event) {
    case 'title':
      return { title: event.text };
    case 'cwd':
      return { cwd: event.path };
    case 'viewers':
      return { viewers: event.list, driver: event.driver };
    case 'idle':
      return { idleEndsAt: event.endsAt };
    case 'error':
      return { notice: { code: event.code, message: event.message } };
    case 'host':
      return { host: event.state };
    default:
      return {};
  }
}
