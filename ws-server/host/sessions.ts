/** The sessions of one host: open, end, look, and how long ended ones are kept. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@/lib/log';
import type { LiveSession } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { CALLS, type CallArgs, type CallName, type CallResult } from '@/ws-server/link';
import type { ArchivedView } from './archived-session';
import { markOf } from './census';
import { groupPrefix } from './cgroup';
import { openDirectory } from './directory';
import { History, type HistoryOptions } from './history';
import { IdleRule } from './idle';
import { type ProcessRef, startTimeOf } from './processes';
import { ptysPerProcessMax } from './pty';
import { Session } from './session';
import { shed } from './shed';
import type { Vitals } from './vitals';

/** The last screens of ended sessions are kept for so many, and so long (ms). */
const ENDED_MAX = 20;
const ENDED_KEPT_MS = 30 * 60_000;
/** Facts go to the gateways at most this often for a session (ms). */
const NEWS_INTERVAL_MS = 250;

/** The end of a host or a session waits this long for its journals (ms). */
const SETTLE_MS = 2_000;
const NO_HISTORY: HistoryOptions = { kind: 'memory', directory: '', bytesMax: 0, keptMs: 0 };

/** What the gateways are told. */
export type News = { session(facts: LiveSession): void; gone(id: string, epoch: number): void };

/** How the sessions of a host are kept. */
export type SessionsOptions = {
  hostId: string;
  capacity: number;
  /** A bare shell that nobody uses ends after this (ms); 0 for never. */
  idleTimeoutMs: number;
  /** Where cgroups can be made, or null. */
  groupDirectory: string | null;
  history?: HistoryOptions;
  vitals: Vitals;
  news: News;
  log: Logger;
};

export class Sessions {
  readonly #sessions = new Map<string, Session>();
  readonly #self: ProcessRef = { pid: process.pid, startTime: startTimeOf(process.pid) };
  readonly #idleRule: IdleRule;
  readonly #groupDirectory: string | null;
  readonly #hostId: string;
  readonly #capacity: number;
  readonly #news: News;
  readonly #log: Logger;
  readonly #history: History;
  readonly #vitals: Vitals;
  readonly #dueNews = new Map<string, NodeJS.Timeout>();
  #isClosing = false;
  #wantedAt = 0;

  constructor(options: SessionsOptions) {
    this.#idleRule = new IdleRule(options.idleTimeoutMs, options.log);
    this.#groupDirectory = options.groupDirectory;
    this.#hostId = options.hostId;
    this.#capacity = Math.min(options.capacity, ptysPerProcessMax);
    this.#news = options.news;
    this.#log = options.log;
    this.#history = new History({ ...(options.history ?? NO_HISTORY), hostId: options.hostId, log: options.log });
    this.#vitals = options.vitals;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Sessions that live, and ended ones whose screens are kept. */
  get size(): number {
    return this.#sessions.size;
  }

  /** When a gateway last said that it wants this host also while it is empty (ms since 1970); 0 for never. */
  get wantedAt(): number {
    return this.#wantedAt;
  }

  list(): LiveSession[] {
    return [...this.#sessions.values()].map((session) => session.facts());
  }

  /** @throws AppError `not_found`, or `epoch_superseded` when this host has a higher epoch than was asked for */
  find(id: string, epoch: number): Session {
    const session = this.#sessions.get(id);
    if (!session || session.epoch < epoch) throw new AppError('not_found', 'There is no such session.');
    if (session.epoch > epoch) {
      throw new AppError('epoch_superseded', 'The session was started again.', { details: { epoch: session.epoch } });
    }
    return session;
  }

  /** A session of which only the journal is left, for viewers. @throws AppError `not_found`, `epoch_superseded` */
  archived(at: { id: string; epoch: number }): Promise<ArchivedView> {
    return this.#history.view(at);
  }

  /**
   * The session if it is here, or null when at most a journal has it.
   * @throws AppError `epoch_superseded`, or `not_found` for one that has ended where nothing is kept: it only is not swept yet
   */
  #readable({ id, epoch }: { id: string; epoch: number }): Session | null {
    const session = (this.#sessions.get(id)?.epoch ?? 0) < epoch ? null : this.find(id, epoch);
    if (session?.isEnded && this.#history.kind === 'off') {
      throw new AppError('not_found', 'Nothing of this session is kept.');
    }
    return session;
  }

  /** Carries out a call of a gateway. @throws AppError, or ZodError for arguments outside the schema */
  async call<N extends CallName>(name: N, given: unknown): Promise<CallResult<N>> {
    const calls: { [M in CallName]: (args: CallArgs<M>) => Promise<CallResult<M>> | CallResult<M> } = {
      open: async (args) => {
        const older = this.#sessions.get(args.id) ?? null;
        const preface = args.epoch > 1 ? await this.#history.preface(args.id, older, args) : '';
        return this.#open(args, preface);
      },
      end: async ({ id, epoch, forget }) => {
        const session = this.find(id, epoch);
        await session.end('closed');
        await Promise.race([session.journal?.flush(), sleep(SETTLE_MS, undefined, { ref: false })]);
        const facts = session.facts();
        if (forget) this.#forget(session);
        return facts;
      },
      label: ({ id, epoch, label }) => {
        const session = this.find(id, epoch);
        session.setLabel(label);
        return session.facts();
      },
      keep: ({ id, epoch }) => {
        const session = this.find(id, epoch);
        if (session.isEnded) throw new AppError('session_ended', 'The session has ended.');
        session.keep();
        return session.facts();
      },
      look: ({ id, epoch }) => this.find(id, epoch).facts(),
      list: () => this.list(),
      read: async (args) => {
        const session = this.#readable(args);
        const found = session ? this.#history.read(session, args.from, args.limit) : this.#history.archivedRead(args);
        const { position, end, bytes } = await found;
        return { position, end, base64: bytes.toString('base64') };
      },
      lines: async (args) => {
        const session = this.#readable(args);
        return { lines: session ? session.output.lines(args.count) : await this.#history.archivedLines(args) };
      },
      beat: ({ keep }) => {
        if (keep) this.#wantedAt = Date.now();
        return {
          ...this.#vitals.read(),
          sessions: this.#living,
          hibernated: [...this.#sessions.values()].filter(({ output }) => output.isHibernated).length,
          sessionBytes: [...this.#sessions.values()].reduce((sum, { bytes }) => sum + bytes, 0),
          bytesBySession: Object.fromEntries([...this.#sessions.values()].map(({ id, bytes }) => [id, bytes])),
          journalFault: this.#history.fault,
        };
      },
      shed: ({ stage, ids }) => shed({ stage, ids, sessions: this.#sessions, idleRule: this.#idleRule }),
      archive: ({ id }) => this.#history.archived(id),
      forget: async ({ id }) => {
        const session = this.#sessions.get(id);
        if (session && !session.isEnded) throw new AppError('conflict', 'The session still lives.');
        if (session) this.#forget(session);
        await this.#history.forget(id);
        return {};
      },
      history: async (args) => {
        const session = this.#readable(args);
        const found = session ? this.#history.page(session, args) : this.#history.archivedPage(args);
        const { position, end, start, bytes } = await found;
        return { position, end, start, base64: bytes.toString('base64') };
      },
      directory: ({ path, within, roots }) => {
        const directory = openDirectory(path, roots);
        directory.close();
        if (within !== undefined) openDirectory(directory.path, [within]).close();
        return { path: directory.path };
      },
    };
    // The table above is total; TypeScript cannot follow the name through both indexed types.
    const args = CALLS[name].args.parse(given) as CallArgs<N>;
    return calls[name](args);
  }

  /** Ends every session that lives, HUP, then KILL after the grace period, and opens no more. */
  async endAll(): Promise<void> {
    this.#isClosing = true;
    const living = [...this.#sessions.values()].filter(({ isEnded }) => !isEnded);
    await Promise.all(living.map((session) => session.end('node-shutdown')));
    await Promise.race([this.#history.settle(), sleep(SETTLE_MS, undefined, { ref: false })]);
  }

  /** Called about once a second: ends sessions that are idle for too long, forgets old ended ones, and lets idle ones rest. */
  sweep(now: number = Date.now()): void {
    void this.#idleRule
      .sweep([...this.#sessions.values()].map(({ idleness }) => idleness))
      .catch((err: unknown) => this.#log.error({ err }, 'the idle sweep failed'));
    const ended = [...this.#sessions.values()].filter(({ isEnded }) => isEnded).sort((a, b) => b.endedAt - a.endedAt);
    for (const [n, session] of ended.entries()) {
      const isUnwanted = this.#history.kind === 'off' && !session.isWatched;
      if (n >= ENDED_MAX || now - session.endedAt > ENDED_KEPT_MS || isUnwanted) this.#forget(session);
    }
    this.#history.sweep(now);
    this.#rest([...this.#sessions.values()], now);
  }

  /** Lets idle sessions rest, one at a time: others are served in between. */
  #rest(sessions: Session[], now: number): void {
    for (let session = sessions.pop(); session; session = sessions.pop()) {
      if (!session.output.rest(now)) continue;
      setImmediate(() => this.#rest(sessions, now));
      return;
    }
  }

  get #living(): number {
    return [...this.#sessions.values()].filter(({ isEnded }) => !isEnded).length;
  }

  #open(args: CallArgs<'open'>, preface: string): LiveSession {
    const older = this.#sessions.get(args.id);
    if (older && older.epoch >= args.epoch) {
      throw new AppError('epoch_superseded', 'The session was started again.', { details: { epoch: older.epoch } });
    }
    if (older && !older.isEnded) throw new AppError('conflict', 'The session still lives.');
    if (this.#isClosing || this.#living >= this.#capacity)
      throw new AppError('no_capacity', 'This host is full.', { details: { limit: 'host' } });
    const directory = this.#openStartDirectory(args);
    try {
      const session = new Session({
        ...args,
        hostId: this.#hostId,
        mark: markOf(this.#hostId, this.#self),
        group: this.#groupDirectory === null ? null : { parent: this.#groupDirectory, name: this.#groupName(args) },
        directory,
        preface,
        onChange: () => this.#changed(args.id),
        onEnd: () => this.#tell(args.id),
        onLeft: (pids) => this.#log.warn({ session: args.id, pids }, 'processes of the session could not be ended'),
        onFault: (error) => {
          this.#vitals.errors++;
          this.#log.error({ err: error, session: args.id }, 'the screen failed on some output');
        },
        vitals: this.#vitals,
      });
      if (older) this.#forget(older);
      this.#sessions.set(args.id, session);
      this.#history.record(session);
      this.#log.info({ session: args.id, epoch: args.epoch }, 'session opened');
      this.#changed(args.id);
      return session.facts();
    } finally {
      directory.close();
    }
  }

  #groupName({ id, epoch }: { id: string; epoch: number }): string {
    return `${groupPrefix(this.#self)}${id}-${epoch}`;
  }

  /** A start directory that was there when it was chosen, and is not now, is a conflict and no bad request. */
  #openStartDirectory({ cwd, roots }: CallArgs<'open'>) {
    try {
      return openDirectory(cwd, roots);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'bad_request') throw error;
      throw new AppError('conflict', `The directory ${cwd} is gone.`, {
        details: { reason: 'project_path_gone', path: cwd },
        cause: error,
      });
    }
  }

  #changed(id: string): void {
    if (this.#dueNews.has(id)) return;
    this.#dueNews.set(
      id,
      setTimeout(() => this.#tell(id), NEWS_INTERVAL_MS),
    );
  }

  /** Tells now: an end frees a slot, which nobody should wait for. */
  #tell(id: string): void {
    clearTimeout(this.#dueNews.get(id));
    this.#dueNews.delete(id);
    const session = this.#sessions.get(id);
    if (session) this.#news.session(session.facts());
  }

  #forget(session: Session): void {
    const { id, epoch } = session;
    clearTimeout(this.#dueNews.get(id));
    this.#dueNews.delete(id);
    this.#sessions.delete(id);
    this.#history.release(session);
    session.dispose();
    this.#news.gone(id, epoch);
  }
}
