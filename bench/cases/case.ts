/** What a case of the benchmark is. */
import type { Layout, Peer, PeerName } from '../peers/peer';
import type { Row, Values } from '../table';

/** The two forms of a run: all of it, or what fits into three minutes. */
export type Sizes = {
  logFile: string;
  logBytes: number;
  yesLines: number;
  echoSamples: number;
  floodSeconds: number;
  drawSecondsMax: number;
  opens: number;
  idleSteps: readonly [small: number, large: number];
  idleExtraSteps: readonly number[];
  reattaches: number;
  connections: number;
  manyFile: string;
  manySessions: number;
  cycles: number;
  storeRounds: number;
};

export type Bench = {
  sizes: Sizes;
  /** A fresh server of the same kind in place of the one that runs. */
  restart(): Promise<Peer>;
};

/** A case over servers: what it measures is set beside the baseline. */
export type ServerCase = {
  name: string;
  layout: Layout;
  peers: readonly PeerName[];
  /** Whether a server that has done other work would falsify it. */
  needsFresh: boolean;
  measure(peer: Peer, bench: Bench): Promise<Values>;
  rows(sizes: Sizes): Row[];
};

/** A case over a part of Holdfast, which needs no server. */
export type PartCase = {
  name: string;
  layout: 'none';
  peers: typeof OURS;
  measure(sizes: Sizes): Promise<Values>;
  rows(sizes: Sizes): Row[];
};

export type Case = ServerCase | PartCase;

export const BOTH: readonly PeerName[] = ['naive', 'holdfast'];
export const OURS: readonly PeerName[] = ['holdfast'];

/** Bytes as megabytes. */
export const toMegabytes = (bytes: number): number => bytes / 1e6;
