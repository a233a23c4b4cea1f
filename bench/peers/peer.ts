/** A server under measurement. */
import type { Terminal } from './terminal';

export type PeerName = 'naive' | 'holdfast';

/**
 * How Holdfast spreads sessions: `usual` as it is installed (10 for each host), all on `one-host`, or one `host-each`. The
 * baseline has one process in any case.
 */
export type Layout = 'usual' | 'one-host' | 'host-each';

export interface Peer {
  readonly name: PeerName;
  /** The server's processes, without the programs that users run. */
  processes(): number[];
  /** Of those, the ones that terminals pass through: gateway and hosts. */
  terminalProcesses(): number[];
  /** Resolves when nothing is left to do for so many sessions that are idle: their memory is what they cost from now on. */
  atRest(sessions: number): Promise<void>;
  /** A new session with its first viewer. */
  open(): Promise<Terminal>;
  /** One more viewer of a session. @throws where sessions end with their connection */
  attach(id: string): Promise<Terminal>;
  /** What another process needs to open sessions here. */
  readonly address: Address;
  /** Kills the process that browsers are connected to, and returns once it is dead. */
  killServer(): Promise<void>;
  /** Ends the server and everything that it has started. */
  stop(): Promise<void>;
}

/** Where a peer answers, to be sent to a load process. */
export type Address = { name: PeerName; url: string; options: Record<string, unknown> };
