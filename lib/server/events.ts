/** Changes that web announces to browsers, as server-sent events. */
import { AppError } from '@/lib/protocol/errors';
import type { ServerEvent } from '@/lib/protocol/rest';

const HEARTBEAT_MS = 15_000;
/** Messages that a subscriber may have unread; a slower one is closed, joins again and reads the lists afresh. */
const UNREAD_MAX = 512;
const SUBSCRIBERS_MAX = 256;

const encoder = new TextEncoder();

type Subscriber = {
  userId: string;
  sid: string;
  controller: ReadableStreamDefaultController<Uint8Array>;
  heartbeat: NodeJS.Timeout;
};

/** Who listens to what. */
export class EventHub {
  readonly #subscribers = new Set<Subscriber>();
  #isReachable: boolean | null = null;
  #degraded: readonly string[] = [];
  #isClosed = false;

  /** Open streams. */
  get size(): number {
    return this.#subscribers.size;
  }

  /** Whether the sidecar answered last, or null before the first time. */
  get isSidecarReachable(): boolean | null {
    return this.#isReachable;
  }

  /**
   * A stream of the user's events, `hello` first. It ends when its reader cancels it, is too slow, or signs out.
   * @throws AppError `rate_limited` when there are too many streams, `no_capacity` after `close`
   */
  subscribe(who: { userId: string; sid: string }, isSidecarReachable: boolean): ReadableStream<Uint8Array> {
    if (this.#isClosed) throw new AppError('no_capacity', 'Holdfast is stopping.');
    if (this.#subscribers.size >= SUBSCRIBERS_MAX) {
      throw new AppError('rate_limited', 'There are too many open event streams. Close some browser tabs.');
    }
    let subscriber: Subscriber | null = null;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          const heartbeat = setInterval(() => subscriber && this.#write(subscriber, ': \n\n'), HEARTBEAT_MS);
          subscriber = { userId: who.userId, sid: who.sid, controller, heartbeat };
          this.#subscribers.add(subscriber);
          this.#write(subscriber, format(this.#hello(isSidecarReachable)));
        },
        cancel: () => {
          if (subscriber) this.#forget(subscriber);
        },
      },
      new CountQueuingStrategy({ highWaterMark: UNREAD_MAX }),
    );
  }

  /** Tells every stream of a user. */
  publish(userId: string, event: ServerEvent): void {
    const text = format(event);
    for (const subscriber of [...this.#subscribers]) {
      if (subscriber.userId === userId) this.#write(subscriber, text);
    }
  }

  /** Notes whether the sidecar answers, and tells everybody when that changed. */
  setSidecarReachable(reachable: boolean): void {
    if (this.#isReachable === reachable) return;
    this.#isReachable = reachable;
    const text = format({ type: 'sidecar', reachable });
    for (const subscriber of [...this.#subscribers]) this.#write(subscriber, text);
  }

  /** Notes what the store has to do without, and tells everybody. */
  setStoreDegraded(degraded: readonly string[]): void {
    this.#degraded = degraded;
    const text = format({ type: 'store', degraded: [...degraded] });
    for (const subscriber of [...this.#subscribers]) this.#write(subscriber, text);
  }

  /** Ends the streams of a login. */
  closeLogin(sid: string): void {
    for (const subscriber of [...this.#subscribers]) if (subscriber.sid === sid) this.#end(subscriber);
  }

  /** Ends every stream and opens no more: browsers come back at once, and a server that ends would wait for them. */
  close(): void {
    this.#isClosed = true;
    for (const subscriber of [...this.#subscribers]) this.#end(subscriber);
  }

  #hello(isSidecarReachable: boolean): ServerEvent {
    return { type: 'hello', sidecar: this.#isReachable ?? isSidecarReachable, degraded: [...this.#degraded] };
  }

  #write(subscriber: Subscriber, text: string): void {
    if ((subscriber.controller.desiredSize ?? 0) > 0) subscriber.controller.enqueue(encoder.encode(text));
    else this.#end(subscriber);
  }

  #end(subscriber: Subscriber): void {
    this.#forget(subscriber);
    subscriber.controller.close();
  }

  #forget(subscriber: Subscriber): void {
    clearInterval(subscriber.heartbeat);
    this.#subscribers.delete(subscriber);
  }
}

function format(event: ServerEvent): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}
