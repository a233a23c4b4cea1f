/** Deadline and circuit breaker around the calls to one driver. The only importer of opossum. */
import { setTimeout as sleep } from 'node:timers/promises';
import CircuitBreaker from 'opossum';
import type { Logger } from '@/lib/log';
import { AppError } from '@/lib/protocol/errors';
import type { Driver } from './store';

/** A probe starts this long after the one before, and a little at random (ms); it may take `PROBE_DEADLINE_MS`. */
const PROBE_EVERY_MS = 1_900;
const PROBE_JITTER_MS = 200;
const PROBE_DEADLINE_MS = 1_800;
/** Failures in a row that open the breaker; or the share of failures among at least `CALLS_MIN` calls in the window. */
const FAILURES_IN_ROW = 3;
const FAILURES_SHARE = 0.5;
const CALLS_MIN = 5;
const WINDOW_MS = 10_000;
/** More calls than this do not wait for their deadline when none is answered for this share of it: few users notice anything. */
const WAITING_MAX = 3;
const SILENCE_SHARE = 2 / 3;
/** Opening again this soon after closing is flapping (ms): each time it stays open twice as long, up to the second figure. */
const FLAPPING_MS = 60_000;
const HOLD_OFF_MS_MAX = 16_000;
/** While the driver is away the log says so this often (ms). */
const LOG_EVERY_MS = 60_000;
/** The longest timer that Node has (ms): opossum is not to try anything by itself. */
const NEVER_MS = 2 ** 31 - 1;

/** The driver gave no answer. */
export class Unavailable extends Error {
  /** Whether the call was made at all: if so, what it asks for may still happen. */
  readonly wasAsked: boolean;

  constructor(message: string, options: { wasAsked: boolean; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Unavailable';
    this.wasAsked = options.wasAsked;
  }
}

/** Makes a call with a deadline (ms) while the breaker does not let calls through. */
export type Attempt = <T>(deadlineMs: number, call: () => Promise<T>) => Promise<T>;

/** What a guard is made of. */
export type GuardOptions = {
  /** What is guarded, for the log: `database`, `redis`. */
  readonly name: string;
  readonly driver: Pick<Driver, 'ping' | 'reset'>;
  /** A call may take this long (ms). */
  readonly deadlineMs: number;
  /** The first connection may take this long (ms). */
  readonly connectMs: number;
  readonly log: Logger;
  /**
   * What is to be done with a driver that answers again before calls may go through: it ends by calling `close`, in the same
   * step in which it sees that nothing is left to do. When it throws, the driver counts as away.
   */
  readonly resume?: (attempt: Attempt, close: () => void) => Promise<void>;
  /** Told how long each call took, whatever came of it. */
  readonly onCall?: (operation: string, seconds: number) => void;
};

/**
 * Lets calls through to a driver as long as it answers in time.
 *
 * - **closed**: calls go through. A call that misses its deadline resets the driver, which settles every other call at once.
 * - **suspect**, after any failure, and at the start: calls fail at once, and the driver is probed without delay. So a user waits
 *   for one deadline at most, however many calls a request makes.
 * - **open**, after three failures in a row (of calls and probes), or when half of at least five calls in 10 s failed: as suspect, but
 *   told to listeners, and probed every 2 s. A probe is never a user's call.
 *
 * A probe is good when the driver answers, then answers once more within the deadline of a call (a connection may take longer to open
 * than a call may take), and `resume` closes. Errors of the table (`AppError`) are answers. opossum holds the switch and counts
 * the window; its own deadline, threshold and half-open request are not used, because its deadline settles one call only and its
 * half-open request is a user's.
 */
export class Guard {
  readonly #options: GuardOptions;
  readonly #breaker: CircuitBreaker<[() => Promise<void>], void>;
  readonly #inFlight = new Set<(reason: Unavailable) => void>();
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  /** Resolves when the first connection is there, or has failed. */
  readonly first: Promise<void>;
  #endFirst: () => void = () => undefined;
  #isFirstOver = false;
  #isOpen = false;
  #isProbing = false;
  #failuresInRow = 0;
  #openedAtMs = 0;
  #closedAtMs = Number.NEGATIVE_INFINITY;
  #holdOffMs = 0;
  #answeredAtMs = 0;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  #cause: unknown = null;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#breaker = new CircuitBreaker((call: () => Promise<void>) => call(), {
      timeout: false,
      errorThresholdPercentage: Number.POSITIVE_INFINITY,
      resetTimeout: NEVER_MS,
      rollingCountTimeout: WINDOW_MS,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      errorFilter: (error: unknown) => error instanceof AppError,
    });
    this.#breaker.on('failure', () => this.#openIfDue());
    this.#breaker.on('halfOpen', () => this.#breaker.open());
    this.first = new Promise((resolve) => {
      this.#endFirst = resolve;
    });
    this.#breaker.open();
    void this.#probe(options.connectMs);
  }

  /** Whether calls go through. */
  get isClosed(): boolean {
    return this.#breaker.closed;
  }

  /** Whether the driver counts as away. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Makes a call, if calls go through.
   * @param operation what it is called in the metrics
   * @throws AppError the driver's answer
   * @throws Unavailable when there is none
   */
  run<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const { name, deadlineMs, onCall } = this.#options;
    if (!this.isClosed) return Promise.reject(new Unavailable(`The ${name} is away.`, { wasAsked: false }));
    const startedAtMs = performance.now();
    return new Promise<T>((resolve, reject) => {
      const answered = this.#breaker.fire(async () => resolve(await this.#within(deadlineMs, call)));
      answered
        .then(
          () => {
            this.#failuresInRow = 0;
          },
          (error: unknown) => reject(this.#noted(error)),
        )
        .finally(() => onCall?.(operation, (performance.now() - startedAtMs) / 1000));
    });
  }

  /** Calls the listener when the driver went away or came back. Gives what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops probing and settles every call. */
  close(): void {
    this.#stop.abort();
    this.#settleAll('was closed');
    this.#breaker.shutdown();
    this.#endFirst();
  }

  /** What the caller gets for an error of a call. */
  #noted(error: unknown): AppError | Unavailable {
    if (error instanceof Unavailable) return error;
    if (error instanceof AppError) {
      this.#failuresInRow = 0;
      return error;
    }
    this.#fail(error);
    return new Unavailable(`The ${this.#options.name} failed.`, { wasAsked: true, cause: error });
  }

  #within<T>(deadlineMs: number, call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const startedAtMs = performance.now();
      // A loop that was held up fires timers first: an answer that is there already is read before it counts as missed.
      const unlessAnswered = (then: () => void) => () => setImmediate(() => this.#inFlight.has(settle) && then());
      const miss = unlessAnswered(() => this.#miss(`no answer within ${deadlineMs} ms`));
      const silenceMs = deadlineMs * SILENCE_SHARE;
      const listen = unlessAnswered(() => {
        const isSilent = this.#inFlight.size > WAITING_MAX && this.#answeredAtMs < startedAtMs;
        if (isSilent) this.#miss(`no answer to any of ${this.#inFlight.size} calls within ${silenceMs} ms`);
        else timer = setTimeout(miss, deadlineMs - silenceMs);
      });
      let timer = setTimeout(listen, silenceMs);
      const end = (finish: () => void) => {
        clearTimeout(timer);
        this.#inFlight.delete(settle);
        finish();
      };
      const settle = (reason: Unavailable) => end(() => reject(reason));
      const answered = (finish: () => void) => {
        this.#answeredAtMs = performance.now();
        end(finish);
      };
      this.#inFlight.add(settle);
      call().then(
        (answer) => answered(() => resolve(answer)),
        (error: unknown) => answered(() => reject(error)),
      );
    });
  }

  #miss(what: string): void {
    this.#options.driver.reset();
    this.#fail(new Error(what));
    this.#settleAll('did not answer in time');
  }

  #settleAll(what: string): void {
    const reason = new Unavailable(`The ${this.#options.name} ${what}.`, { wasAsked: true, cause: this.#cause });
    for (const settle of [...this.#inFlight]) settle(reason);
  }

  #fail(cause: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#cause = cause;
    this.#failuresInRow += 1;
    if (this.isClosed) {
      this.#breaker.open();
      this.#log('a call failed; asking again before the next one');
    }
    this.#openIfDue();
    if (!this.#isProbing) void this.#probe(PROBE_DEADLINE_MS);
  }

  #openIfDue(): void {
    const { failures, successes } = this.#breaker.stats;
    const calls = failures + successes;
    const isShareReached = calls >= CALLS_MIN && failures >= calls * FAILURES_SHARE;
    if (this.#failuresInRow >= FAILURES_IN_ROW || isShareReached) this.#open();
  }

  #open(): void {
    if (this.#isOpen || this.#stop.signal.aborted) return;
    const now = performance.now();
    const isFlapping = now - this.#closedAtMs < FLAPPING_MS;
    this.#holdOffMs = isFlapping ? Math.min(Math.max(this.#holdOffMs, PROBE_EVERY_MS) * 2, HOLD_OFF_MS_MAX) : 0;
    this.#openedAtMs = now;
    this.#isOpen = true;
    this.#breaker.open();
    this.#settleAll('is away');
    this.#loggedAtMs = Number.NEGATIVE_INFINITY;
    this.#log('away');
    this.#announce();
  }

  #close(): void {
    this.#breaker.close();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#failuresInRow = 0;
    this.#closedAtMs = performance.now();
    this.#options.log.info({ part: this.#options.name }, 'back');
    this.#announce();
  }

  #announce(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #log(message: string): void {
    const now = performance.now();
    if (now - this.#loggedAtMs < LOG_EVERY_MS) return;
    this.#loggedAtMs = now;
    this.#options.log.warn({ part: this.#options.name, err: this.#cause }, message);
  }

  /** Probes until calls may go through. @param firstMs deadline of the first probe */
  async #probe(firstMs: number): Promise<void> {
    const { driver, deadlineMs, resume } = this.#options;
    const attempt: Attempt = (ms, call) => this.#within(ms, call);
    let probeMs = firstMs;
    this.#isProbing = true;
    while (!this.isClosed && !this.#stop.signal.aborted) {
      const startedAtMs = performance.now();
      try {
        await this.#within(probeMs, () => driver.ping());
        await this.#within(deadlineMs, () => driver.ping());
        const isHeldOff = this.#isOpen && performance.now() - this.#openedAtMs < this.#holdOffMs;
        if (!isHeldOff && resume) await resume(attempt, () => this.#close());
        else if (!isHeldOff) this.#close();
      } catch (error) {
        // A missed deadline was counted where it was missed.
        if (!(error instanceof Unavailable)) this.#fail(error);
        if (!this.#isFirstOver) this.#open();
      }
      this.#isFirstOver = true;
      this.#endFirst();
      probeMs = PROBE_DEADLINE_MS;
      if (this.#isOpen) {
        this.#log('still away');
        await this.#pause(startedAtMs + PROBE_EVERY_MS + Math.random() * PROBE_JITTER_MS - performance.now());
      }
    }
    this.#isProbing = false;
  }

  async #pause(ms: number): Promise<void> {
    try {
      await sleep(Math.max(0, ms), undefined, { signal: this.#stop.signal, ref: false });
    } catch {
      // Closed while it waited: the loop sees it.
    }
  }
}
