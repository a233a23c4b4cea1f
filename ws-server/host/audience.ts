/** The viewers of one session, and which of them drives: sets the size and answers for colours. */
import { type Event, encodeEvent } from '@/lib/protocol/wire';
import type { Viewer } from './viewer';

/** Between two lists of the viewers (ms for each of them): every one gets a list as long as they are many. */
const TELL_MS = 20;
const TELL_MAX_MS = 2_000;

export class Audience {
  readonly #viewers = new Set<Viewer>();
  readonly #onDriver: (driver: Viewer) => void;
  #driver: Viewer | null = null;
  #typedCount = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  #tellTimer: NodeJS.Timeout | undefined;

  /** @param onDriver called when another viewer drives, or the same in a new connection */
  constructor(onDriver: (driver: Viewer) => void) {
    this.#onDriver = onDriver;
  }

  get size(): number {
    return this.#viewers.size;
  }

  get driver(): Viewer | null {
    return this.#driver;
  }

  has(viewer: Viewer): boolean {
    return this.#viewers.has(viewer);
  }

  /** Whether a client has a viewer here. */
  hasClient(client: string): boolean {
    return [...this.#viewers].some((viewer) => viewer.client === client);
  }

  /** All viewers, in the order in which they came. */
  all(): Iterable<Viewer> {
    return this.#viewers;
  }

  send(event: Event): void {
    const frame = encodeEvent(event);
    for (const { sink } of this.#viewers) sink.send(frame);
  }

  /** Adds a viewer; an older connection of the same client gives up its place to it. */
  add(viewer: Viewer): void {
    const older = [...this.#viewers].find(({ client }) => client === viewer.client);
    let isDriving = this.#driver === null;
    if (older) {
      this.#viewers.delete(older);
      viewer.typedAt = older.typedAt;
      isDriving ||= this.#driver === older;
      if (this.#driver === older) this.#driver = null;
      older.sink.close('conflict');
    }
    this.#viewers.add(viewer);
    if (isDriving && viewer.mode === 'write') this.#drive(viewer);
  }

  /** Removes a viewer; if it drove, the last typist that is still here does, else the first that may write. */
  remove(viewer: Viewer): boolean {
    if (!this.#viewers.delete(viewer)) return false;
    if (this.#driver === viewer) {
      this.#driver = null;
      const next = this.#nextDriver();
      if (next) this.#drive(next);
    }
    return true;
  }

  /** A viewer typed or took the keyboard: it drives from now on. True when another did before. */
  typed(viewer: Viewer): boolean {
    viewer.typedAt = ++this.#typedCount;
    if (this.#driver === viewer) return false;
    this.#drive(viewer);
    return true;
  }

  /** Nobody drives a session that has ended. */
  stopDriving(): void {
    this.#driver = null;
  }

  /** Tells everyone who is here: at once, or when many come and go together, soon for all of them. */
  tell(): void {
    if (this.#tellTimer !== undefined) return;
    const pauseMs = Math.min(this.#viewers.size * TELL_MS, TELL_MAX_MS);
    const waitMs = this.#toldAt + pauseMs - performance.now();
    if (waitMs <= 0) this.#tellNow();
    else this.#tellTimer = setTimeout(() => this.#tellNow(), waitMs);
  }

  clear(): void {
    clearTimeout(this.#tellTimer);
    this.#viewers.clear();
    this.#driver = null;
  }

  #tellNow(): void {
    this.#tellTimer = undefined;
    this.#toldAt = performance.now();
    const list = [...this.#viewers].map(({ facts }) => facts);
    this.send({ event: 'viewers', count: list.length, driver: this.#driver?.name ?? null, list });
  }

  #drive(viewer: Viewer): void {
    this.#driver = viewer;
    this.#onDriver(viewer);
  }

  #nextDriver(): Viewer | null {
    let best: Viewer | null = null;
    for (const viewer of this.#viewers) {
      if (viewer.mode === 'write' && (!best || viewer.typedAt > best.typedAt)) best = viewer;
    }
    return best;
  }
}
