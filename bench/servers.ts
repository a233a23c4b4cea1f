/** The servers under measurement: started when they are needed first, and all ended at the end. */
import { join } from 'node:path';
import { startHoldfast } from './peers/holdfast';
import { startNaive } from './peers/naive';
import type { Layout, Peer, PeerName } from './peers/peer';

const SHELL = join(import.meta.dirname, 'shell.sh');

export class Servers {
  readonly #running = new Map<string, Promise<Peer>>();
  #isStopped = false;

  /** The server of this kind, as earlier cases left it. */
  running(name: PeerName, layout: Layout): Promise<Peer> {
    const key = keyOf(name, layout);
    const known = this.#running.get(key);
    if (known) return known;
    if (this.#isStopped) throw new Error('stopped');
    const starting = name === 'naive' ? startNaive(SHELL) : startHoldfast(SHELL, layout);
    starting.catch(() => this.#running.delete(key)); // whoever waits for it is told
    this.#running.set(key, starting);
    return starting;
  }

  /** A server of this kind that has done nothing yet. */
  async fresh(name: PeerName, layout: Layout): Promise<Peer> {
    await this.discard(name, layout);
    return this.running(name, layout);
  }

  /** Ends the server of this kind, if one runs. */
  async discard(name: PeerName, layout: Layout): Promise<void> {
    const key = keyOf(name, layout);
    const known = this.#running.get(key);
    this.#running.delete(key);
    await stopped(known);
  }

  /** Ends every server, and starts no more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const all = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(all.map(stopped));
  }
}

/** The baseline is one process in any layout. */
function keyOf(name: PeerName, layout: Layout): string {
  return name === 'naive' ? name : `${name} ${layout}`;
}

async function stopped(starting: Promise<Peer> | undefined): Promise<void> {
  const peer = await starting?.catch(() => null); // a server that failed to start has ended what it began
  await peer?.stop();
}
