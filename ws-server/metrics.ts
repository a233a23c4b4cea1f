/** What the gateway counts while it works, and what it asks of its hosts when somebody reads `/metrics`. */
import { Metrics } from '@/lib/metrics';
import type { LiveSession } from '@/lib/protocol/control';
import { CLOSE, codeForClose, type ErrorCode } from '@/lib/protocol/errors';
import type { PoolEvent } from './backend';
import type { Pool } from './pool';
import type { Hop, RelayMeter } from './relay';

/** Close codes of WebSocket itself that tell something; a client may send any other. */
const PLAIN_CLOSES: readonly number[] = [CLOSE.normal, CLOSE.drain, 1005, 1006, 1009, CLOSE.restart];

/** A session that is followed until it is gone; whether its end was counted. */
type Followed = { epoch: number; createdAt: number; isEnded: boolean };

const STATUSES = ['active', 'inactive', 'terminating', 'ended'] as const;

function statusOf({ exit, state, viewers, foreground }: LiveSession): (typeof STATUSES)[number] {
  if (exit) return 'ended';
  if (state === 'active' || state === 'inactive' || state === 'terminating') return state;
  return viewers > 0 || foreground !== null ? 'active' : 'inactive';
}

function tally(words: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** The metrics of a gateway. Relays count into it. */
export class GatewayMetrics implements RelayMeter {
  bytesIn = 0;
  bytesOut = 0;
  readonly #metrics = new Metrics('gateway');
  readonly #pool: Pool;
  readonly #startedAt = Date.now();
  readonly #sessions = new Map<string, Followed>();
  #sockets = 0;
  #scrape: Promise<string> | null = null;

  /** Follows the pool from now on, so make it before the pool discovers its hosts. */
  constructor(pool: Pool) {
    this.#pool = pool;
    pool.subscribe((event) => this.#follow(event));
  }

  /** The media type of `text`. */
  get contentType(): string {
    return this.#metrics.contentType;
  }

  observeEcho(ms: number): void {
    this.#metrics.observe('holdfast_echo_seconds', {}, ms / 1000);
  }

  observeHop(hop: Hop, ms: number): void {
    this.#metrics.observe('holdfast_hop_seconds', { hop }, ms / 1000);
  }

  /** A socket's ticket was good. */
  opened(): void {
    this.#sockets++;
    this.#metrics.count('holdfast_sockets_opened_total', {});
  }

  /** A socket that was `opened` has ended. */
  closed(code: number): void {
    this.#sockets--;
    const isTold = PLAIN_CLOSES.includes(code) || codeForClose(code, '') !== null;
    this.#metrics.count('holdfast_sockets_closed_total', { code: isTold ? String(code) : 'other' });
  }

  /** A ticket opened nothing. */
  ticketRefused(): void {
    this.#metrics.count('holdfast_tickets_refused_total', {});
  }

  /** A request, an upgrade or a socket was refused. */
  refused(code: ErrorCode): void {
    this.#metrics.count('holdfast_errors_total', { code });
  }

  /** Everything in Prometheus' text format. Readers at the same time share one collection. */
  text(): Promise<string> {
    this.#scrape ??= this.#collect().finally(() => {
      this.#scrape = null;
    });
    return this.#scrape;
  }

  async #collect(): Promise<string> {
    const hosts = await this.#pool.hosts.beats();
    const metrics = this.#metrics;
    const sessions = tally(this.#pool.sessions().map(statusOf));
    metrics.set(
      'holdfast_sessions',
      STATUSES.map((status) => [{ status }, sessions.get(status) ?? 0]),
    );
    metrics.set('holdfast_sockets', [[{}, this.#sockets]]);
    metrics.set('holdfast_received_bytes_total', [[{}, this.bytesIn]]);
    metrics.set('holdfast_sent_bytes_total', [[{}, this.bytesOut]]);
    metrics.set(
      'holdfast_hosts',
      [...tally(hosts.map(({ state }) => state))].map(([state, count]) => [{ state }, count]),
    );

    metrics.set('holdfast_host_restarts', [[{}, this.#pool.hosts.restarts.count]]);

    const heard = hosts.flatMap(({ hostId: host, beat }) => (beat ? [{ labels: { host }, beat }] : []));
    type Beat = (typeof heard)[number]['beat'];
    const each = (read: (beat: Beat) => number) => heard.map(({ labels, beat }) => [labels, read(beat)] as const);
    metrics.set(
      'holdfast_host_sessions',
      each((beat) => beat.sessions),
    );
    metrics.set(
      'holdfast_host_memory_bytes',
      each((beat) => beat.rss),
    );
    metrics.set(
      'holdfast_host_cpu_seconds_total',
      each((beat) => beat.cpuSeconds),
    );
    metrics.set(
      'holdfast_host_loop_lag_seconds',
      each((beat) => beat.loopLagMs / 1000),
    );
    metrics.set(
      'holdfast_host_input_bytes_total',
      each((beat) => beat.bytesIn),
    );
    metrics.set(
      'holdfast_host_output_bytes_total',
      each((beat) => beat.bytesOut),
    );
    metrics.set(
      'holdfast_host_errors_total',
      each((beat) => beat.errors),
    );
    metrics.set(
      'holdfast_host_collections_total',
      each((beat) => beat.collections ?? 0),
    );
    metrics.set(
      'holdfast_host_journal_fault',
      each((beat) => (beat.journalFault === null ? 0 : 1)),
    );
    const sum = (read: (beat: Beat) => number) => heard.reduce((total, { beat }) => total + read(beat), 0);
    metrics.set('holdfast_sessions_hibernated', [[{}, sum((beat) => beat.hibernated)]]);
    metrics.set(
      'holdfast_session_memory_bytes',
      heard.flatMap(({ beat }) =>
        Object.entries(beat.bytesBySession ?? {}).map(([session, bytes]) => [{ session }, bytes] as const),
      ),
    );
    return metrics.text(sum((beat) => beat.rss));
  }

  #follow(event: PoolEvent): void {
    if (event.event === 'gone') {
      const followed = this.#sessions.get(event.id);
      if (followed?.epoch !== event.epoch) return;
      this.#sessions.delete(event.id);
      if (!followed.isEnded) this.#ended('lost', Date.now() - followed.createdAt);
      return;
    }
    const { id, epoch, createdAt, exit } = event.session;
    const before = this.#sessions.get(id);
    const isKnown = before?.epoch === epoch;
    // What happened before this gateway was there is not its to count.
    if (!isKnown && createdAt >= this.#startedAt) this.#metrics.count('holdfast_sessions_created_total', {});
    const isEnded = exit !== null;
    if (exit && !(isKnown && before.isEnded) && exit.at >= this.#startedAt) {
      this.#ended(exit.reason ?? 'exited', exit.at - createdAt);
    }
    this.#sessions.set(id, { epoch, createdAt, isEnded });
  }

  #ended(reason: string, lifetimeMs: number): void {
    this.#metrics.count('holdfast_sessions_ended_total', { reason });
    this.#metrics.observe('holdfast_session_lifetime_seconds', {}, lifetimeMs / 1000);
  }
}
