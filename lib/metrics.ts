/** What Holdfast measures, as one table, and how a process tells it to Prometheus. The only importer of prom-client. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** How often the event loop is looked at (ms); the histogram counts this interval in, so that it is taken off again. */
const LOOP_RESOLUTION_MS = 20;

/** The processes that serve `/metrics`. */
export type Process = 'gateway' | 'web';

type Row = {
  type: 'gauge' | 'counter' | 'histogram';
  /** Where it is told. */
  at: readonly Process[];
  labels: readonly string[];
  help: string;
  buckets?: readonly number[];
};

const HOP_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const REQUEST_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const LIFETIME_BUCKETS = [1, 10, 60, 300, 1_800, 3_600, 14_400, 43_200, 86_400, 604_800];

/** Every metric. `docs/metrics.md` says the same for people. Bytes, seconds and counts; no label holds a name or a path. */
export const METRICS = {
  holdfast_start_time_seconds: {
    type: 'gauge',
    at: ['gateway', 'web'],
    labels: ['process'],
    help: 'When the process started, in seconds since 1970; a change is a restart',
  },
  holdfast_memory_bytes: {
    type: 'gauge',
    at: ['gateway', 'web'],
    labels: ['process'],
    help: 'Resident memory of the process; hosts: of all pty hosts together',
  },
  holdfast_loop_lag_seconds: {
    type: 'gauge',
    at: ['gateway', 'web'],
    labels: ['process'],
    help: 'Longest delay of the event loop since the scrape before',
  },
  holdfast_errors_total: {
    type: 'counter',
    at: ['gateway', 'web'],
    labels: ['code'],
    help: 'Requests and upgrades that were refused or failed, by the code of the error table',
  },
  holdfast_sessions: {
    type: 'gauge',
    at: ['gateway'],
    labels: ['status'],
    help: 'Sessions that the hosts of this node hold',
  },
  holdfast_session_memory_bytes: {
    type: 'gauge',
    at: ['gateway'],
    labels: ['session'],
    help: 'Memory that a host holds for one session: output ring, screen and scrollback',
  },
  holdfast_sessions_hibernated: {
    type: 'gauge',
    at: ['gateway'],
    labels: [],
    help: 'Sessions whose screen is put away because they are idle',
  },
  holdfast_sessions_created_total: {
    type: 'counter',
    at: ['gateway'],
    labels: [],
    help: 'Sessions that were started, restarts included',
  },
  holdfast_sessions_ended_total: {
    type: 'counter',
    at: ['gateway'],
    labels: ['reason'],
    help: 'Sessions that ended',
  },
  holdfast_session_lifetime_seconds: {
    type: 'histogram',
    at: ['gateway'],
    labels: [],
    help: 'From the start of a session to its end',
    buckets: LIFETIME_BUCKETS,
  },
  holdfast_sockets: { type: 'gauge', at: ['gateway'], labels: [], help: 'Open terminal sockets' },
  holdfast_sockets_opened_total: {
    type: 'counter',
    at: ['gateway'],
    labels: [],
    help: 'Terminal sockets whose ticket was good',
  },
  holdfast_sockets_closed_total: {
    type: 'counter',
    at: ['gateway'],
    labels: ['code'],
    help: 'Terminal sockets that ended, by WebSocket close code',
  },
  holdfast_tickets_refused_total: {
    type: 'counter',
    at: ['gateway'],
    labels: [],
    help: 'Sockets whose ticket was bad, used, too old or meant for another use',
  },
  holdfast_received_bytes_total: {
    type: 'counter',
    at: ['gateway'],
    labels: [],
    help: 'Bytes of terminal frames from browsers',
  },
  holdfast_sent_bytes_total: {
    type: 'counter',
    at: ['gateway'],
    labels: [],
    help: 'Bytes of terminal frames to browsers',
  },
  holdfast_echo_seconds: {
    type: 'histogram',
    at: ['gateway'],
    labels: [],
    help: 'At the gateway, from a keystroke to the first output after it, up to 5 s',
    buckets: HOP_BUCKETS,
  },
  holdfast_hop_seconds: {
    type: 'histogram',
    at: ['gateway'],
    labels: ['hop'],
    help: 'Time that a ping spends on one part of its way',
    buckets: HOP_BUCKETS,
  },
  holdfast_hosts: { type: 'gauge', at: ['gateway'], labels: ['state'], help: 'Pty hosts of this node' },
  holdfast_host_restarts: {
    type: 'gauge',
    at: ['gateway'],
    labels: [],
    help: 'Hosts that were started again after a crash, as far as they count towards the limit',
  },
  holdfast_host_sessions: { type: 'gauge', at: ['gateway'], labels: ['host'], help: 'Live sessions of one host' },
  holdfast_host_memory_bytes: {
    type: 'gauge',
    at: ['gateway'],
    labels: ['host'],
    help: 'Resident memory of one host',
  },
  holdfast_host_cpu_seconds_total: {
    type: 'counter',
    at: ['gateway'],
    labels: ['host'],
    help: 'CPU time of one host',
  },
  holdfast_host_loop_lag_seconds: {
    type: 'gauge',
    at: ['gateway'],
    labels: ['host'],
    help: "Longest delay of a host's event loop since the heartbeat before",
  },
  holdfast_host_input_bytes_total: {
    type: 'counter',
    at: ['gateway'],
    labels: ['host'],
    help: 'Bytes that viewers typed into the sessions of one host',
  },
  holdfast_host_output_bytes_total: {
    type: 'counter',
    at: ['gateway'],
    labels: ['host'],
    help: 'Bytes that the programs of one host printed',
  },
  holdfast_host_errors_total: {
    type: 'counter',
    at: ['gateway'],
    labels: ['host'],
    help: 'Mistakes of ours that one host survived',
  },
  holdfast_host_collections_total: {
    type: 'counter',
    at: ['gateway'],
    labels: ['host'],
    help: 'Garbage collections that one host has asked for',
  },
  holdfast_host_journal_fault: {
    type: 'gauge',
    at: ['gateway'],
    labels: ['host'],
    help: '1 while one host cannot write its journals',
  },
  holdfast_session_records: {
    type: 'gauge',
    at: ['web'],
    labels: ['status'],
    help: 'Sessions that the store knows',
  },
  holdfast_store: {
    type: 'gauge',
    at: ['web'],
    labels: ['kind'],
    help: '1 for where records are kept',
  },
  holdfast_store_call_seconds: {
    type: 'histogram',
    at: ['web'],
    labels: ['driver', 'operation'],
    help: 'Calls of the database or of Redis, whatever came of them',
    buckets: HOP_BUCKETS,
  },
  holdfast_store_breaker_open: {
    type: 'gauge',
    at: ['web'],
    labels: ['part'],
    help: '1 while the database or Redis is not asked because it does not answer',
  },
  holdfast_outbox_pending: {
    type: 'gauge',
    at: ['web'],
    labels: [],
    help: 'Records of which a change waits for the database',
  },
  holdfast_outbox_bytes: { type: 'gauge', at: ['web'], labels: [], help: 'Size of the file in which they wait' },
  holdfast_cache_reads_total: {
    type: 'counter',
    at: ['web'],
    labels: ['result'],
    help: 'Reads of single records that the cache answered, or did not',
  },
  holdfast_degraded: { type: 'gauge', at: ['web'], labels: ['part'], help: '1 for a part that web has to do without' },
  holdfast_event_streams: { type: 'gauge', at: ['web'], labels: [], help: 'Open event streams of pages' },
  holdfast_http_requests_total: {
    type: 'counter',
    at: ['web'],
    labels: ['route', 'method', 'status'],
    help: 'REST requests',
  },
  holdfast_http_request_seconds: {
    type: 'histogram',
    at: ['web'],
    labels: ['route', 'method'],
    help: 'REST requests until the head of the answer is there',
    buckets: REQUEST_BUCKETS,
  },
} as const satisfies Record<string, Row>;

/** The name of a metric. */
export type MetricName = keyof typeof METRICS;

function isMetricName(name: string): name is MetricName {
  return Object.hasOwn(METRICS, name);
}

/** All names. */
export const METRIC_NAMES: readonly MetricName[] = Object.keys(METRICS).filter(isMetricName);

type Named<T extends Row['type']> = {
  [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never;
}[MetricName];
type Labels<N extends MetricName> = Record<(typeof METRICS)[N]['labels'][number], string>;

/** The metrics of one process. */
export class Metrics {
  readonly #process: Process;
  readonly #registry = new Registry();
  readonly #counters = new Map<MetricName, Counter>();
  readonly #gauges = new Map<MetricName, Gauge>();
  readonly #histograms = new Map<MetricName, Histogram>();
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  readonly #startedAtS = Date.now() / 1000;

  constructor(process: Process) {
    this.#process = process;
    this.#loop.enable();
    for (const name of METRIC_NAMES) {
      const { at, type, labels, help, buckets }: Row = METRICS[name];
      if (!at.includes(process)) continue;
      const options = { name, help, labelNames: labels, registers: [this.#registry] };
      if (type === 'counter') this.#counters.set(name, new Counter(options));
      else if (type === 'gauge') this.#gauges.set(name, new Gauge(options));
      else this.#histograms.set(name, new Histogram({ ...options, buckets: [...(buckets ?? [])] }));
    }
  }

  /** The media type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Something happened once. */
  count<N extends Named<'counter'>>(name: N, labels: Labels<N>): void {
    this.#counters.get(name)?.inc(labels);
  }

  /** One measurement (s). */
  observe<N extends Named<'histogram'>>(name: N, labels: Labels<N>, seconds: number): void {
    this.#histograms.get(name)?.observe(labels, seconds);
  }

  /** What is so now, in place of everything that was told before: values of a gauge, or totals that are counted elsewhere. */
  set<N extends Named<'gauge' | 'counter'>>(name: N, values: readonly (readonly [Labels<N>, number])[]): void {
    const gauge = this.#gauges.get(name);
    const counter = this.#counters.get(name);
    gauge?.reset();
    counter?.reset();
    for (const [labels, value] of values) {
      gauge?.set(labels, value);
      counter?.inc(labels, value);
    }
  }

  /** Everything in Prometheus' text format. `hostsMemory` is told beside that of this process (bytes). */
  async text(hostsMemory?: number): Promise<string> {
    const own = { process: this.#process };
    const lagMs = Math.max(0, this.#loop.max / 1e6 - LOOP_RESOLUTION_MS);
    this.#loop.reset();
    this.set('holdfast_start_time_seconds', [[own, this.#startedAtS]]);
    this.set('holdfast_loop_lag_seconds', [[own, lagMs / 1000]]);
    const rss = process.memoryUsage.rss();
    this.set('holdfast_memory_bytes', [
      [own, rss],
      ...(hostsMemory === undefined ? [] : ([[{ process: 'hosts' }, hostsMemory]] as const)),
    ]);
    return this.#registry.metrics();
  }

  /** Stops measuring. */
  close(): void {
    this.#loop.disable();
  }
}
