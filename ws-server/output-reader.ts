/** What sessions have printed: read from the host that has the session, or from its journal by any host. */
import type { ArchivedSession, HistoryRequest } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { OUTPUT_LINES_MAX } from '@/lib/protocol/limits';
import type { Backend } from './backend';
import type { CallResult } from './link';

/** Journals are read from a disk that may be cold (ms). */
const READ_DEADLINE_MS = 10_000;

/** What the reader needs of the pool. */
export type Hosts = {
  /** The host that has a session, living or ended. */
  hostOf(id: string): Backend | null;
  /** Any host that can be called; one is started if there is none. */
  anyHost(): Promise<Backend>;
};

type Place = { backend: Backend; at: { id: string; epoch: number } };

/** Reads of output, and the archive: sessions of which only the journal is left. */
export class OutputReader {
  readonly #hosts: Hosts;

  constructor(hosts: Hosts) {
    this.#hosts = hosts;
  }

  /** Raw output from a position on. */
  async read(
    id: string,
    range: { from: number; limit: number },
  ): Promise<{ position: number; end: number; data: Buffer }> {
    const { backend, at } = await this.#locate(id);
    const { base64, position, end } = await backend.call('read', { ...at, ...range }, READ_DEADLINE_MS);
    return { position, end, data: Buffer.from(base64, 'base64') };
  }

  /** The last lines of scrollback and screen. */
  async lines(id: string): Promise<CallResult<'lines'>> {
    const { backend, at } = await this.#locate(id);
    return backend.call('lines', { ...at, count: OUTPUT_LINES_MAX }, READ_DEADLINE_MS);
  }

  /** A page of history. */
  async history(
    id: string,
    request: HistoryRequest,
  ): Promise<{ position: number; end: number; start: number; data: Buffer }> {
    const { backend, at } = await this.#locate(id);
    const { base64, ...positions } = await backend.call('history', { ...at, ...request }, READ_DEADLINE_MS);
    return { ...positions, data: Buffer.from(base64, 'base64') };
  }

  /** Sessions that are over and that no host has. */
  async archive(): Promise<ArchivedSession[]> {
    const archived = await (await this.#hosts.anyHost()).call('archive', {}, READ_DEADLINE_MS);
    return archived.filter((session) => this.#isElsewhere(session));
  }

  /** @throws AppError `not_found` */
  async archived(id: string): Promise<ArchivedSession> {
    const [session] = await (await this.#hosts.anyHost()).call('archive', { id }, READ_DEADLINE_MS);
    if (session && this.#isElsewhere(session)) return session;
    throw new AppError('not_found', 'There is no such session.');
  }

  /** Removes the journals of a session. @throws AppError `conflict` while it lives */
  async forget(id: string): Promise<void> {
    const host = this.#hosts.hostOf(id);
    if (host?.sessions.get(id)?.exit === null) throw new AppError('conflict', 'The session still lives.');
    await (host?.isUsable ? host : await this.#hosts.anyHost()).call('forget', { id }, READ_DEADLINE_MS);
  }

  #isElsewhere({ id, epoch }: { id: string; epoch: number }): boolean {
    return (this.#hosts.hostOf(id)?.sessions.get(id)?.epoch ?? 0) < epoch;
  }

  async #locate(id: string): Promise<Place> {
    const host = this.#hosts.hostOf(id);
    const session = host?.sessions.get(id);
    if (host && session) return { backend: host, at: { id, epoch: session.epoch } };
    const backend = await this.#hosts.anyHost();
    const { epoch } = await this.archived(id);
    return { backend, at: { id, epoch } };
  }
}
