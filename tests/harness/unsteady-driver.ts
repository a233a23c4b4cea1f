/** A driver in memory that fails like a database: it hangs, goes away, is slow or refuses writes, and does late what it was asked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryDriver } from '@/lib/server/store/memory';
import type { Driver, ProjectStore, SessionStore } from '@/lib/server/store/store';

/** `hung`: connects and never answers, until it thaws; `away`: refuses connections; `readonly`: refuses to write. */
export type Mood = 'well' | 'hung' | 'away' | 'readonly';

/** One place whose mood a test sets. What was asked while it hung is done when it thaws, answered or not. */
export class UnsteadyDriver implements Driver {
  /** What it holds. */
  readonly inside = new MemoryDriver();
  readonly projects: ProjectStore;
  readonly sessions: SessionStore;
  /** How often it was probed, and how often its connections were destroyed. */
  pings = 0;
  resets = 0;
  /** Every call takes this long (ms). */
  delayMs = 0;
  #mood: Mood = 'well';
  readonly #frozen: (() => void)[] = [];
  readonly #open = new Set<() => void>();

  constructor() {
    const { projects, sessions } = this.inside;
    const [read, write] = [this.#read.bind(this), this.#write.bind(this)];
    this.projects = {
      insert: (record, rule) => write(() => projects.insert(record, rule)),
      get: (id) => read(() => projects.get(id)),
      list: (filter) => read(() => projects.list(filter)),
      update: (record) => write(() => projects.update(record)),
      delete: (id) => write(() => projects.delete(id)),
      put: (states) => write(() => projects.put(states)),
    };
    this.sessions = {
      durabilityOf: () => 'stored',
      insert: (record, limits) => write(() => sessions.insert(record, limits)),
      get: (id) => read(() => sessions.get(id)),
      list: (filter) => read(() => sessions.list(filter)),
      update: (record, limits) => write(() => sessions.update(record, limits)),
      delete: (id) => write(() => sessions.delete(id)),
      put: (states) => write(() => sessions.put(states)),
      saveTail: (id, epoch, lines) => write(() => sessions.saveTail(id, epoch, lines)),
      tail: (id) => read(() => sessions.tail(id)),
    };
  }

  get mood(): Mood {
    return this.#mood;
  }

  /** Changes the mood; what was frozen thaws, in the order in which it came. */
  set mood(mood: Mood) {
    this.#mood = mood;
    if (mood === 'hung') return;
    for (const thaw of this.#frozen.splice(0)) thaw();
    if (mood === 'away') this.#cut();
  }

  async ping(): Promise<void> {
    this.pings += 1;
    await this.#read(async () => undefined);
  }

  reset(): void {
    this.resets += 1;
    this.#cut();
  }

  async close(): Promise<void> {
    this.#cut();
  }

  #cut(): void {
    for (const cut of [...this.#open]) cut();
  }

  #write<T>(call: () => Promise<T>): Promise<T> {
    return this.#read(() => {
      if (this.#mood === 'readonly') return Promise.reject(new Error('cannot write in a read-only transaction'));
      return call();
    });
  }

  #read<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cut = () => {
        this.#open.delete(cut);
        reject(new Error('connection closed'));
      };
      this.#open.add(cut);
      const work = () => {
        const done = call().finally(() => this.#open.delete(cut));
        done.then(resolve, reject);
      };
      if (this.#mood === 'away') cut();
      else if (this.#mood === 'hung') this.#frozen.push(work);
      else if (this.delayMs > 0) void sleep(this.delayMs).then(work);
      // As an answer over a socket, it comes in a later turn of the loop.
      else setImmediate(work);
    });
  }
}
