/** What the web process holds, in the one place that survives Next's separate bundles and reloads of modules. */
import { join } from 'node:path';
import { type Config, loadConfig } from '@/lib/config';
import { createLog, type Logger } from '@/lib/log';
import { Metrics } from '@/lib/metrics';
import { loadSecret } from '@/lib/secrets';
import { Coalesced } from './coalesced';
import { ControlClient } from './control';
import { EventHub } from './events';
import { RecentResults } from './recent';
import { SignOuts } from './sign-outs';
import { openStores } from './store/open';
import type { ProjectStore, SessionStore, Stores } from './store/store';
import { openWindows, type Windows } from './store/windows';
import { watchSidecar } from './watch';

/** Everything that a request works with. */
export type Context = {
  readonly config: Config;
  readonly log: Logger;
  readonly stores: Stores;
  readonly projects: ProjectStore;
  readonly sessions: SessionStore;
  readonly control: ControlClient;
  readonly events: EventHub;
  readonly metrics: Metrics;
  /** What users did lately. */
  readonly windows: Windows;
  /** Ids of sessions by the `Idempotency-Key` that made them. */
  readonly creations: RecentResults<string>;
  /** Answers of `restore: true` under way, so that two at once make one session. */
  readonly restores: Map<string, Promise<{ id: string }>>;
  /** Ids of sessions that are being ended. */
  readonly ending: Set<string>;
  /** Running sessions that were seen to have a record, and when (ms, monotonic): for some seconds nobody looks for it again. */
  readonly recorded: Map<string, number>;
  /** Labels on their way to the hosts, by session id. */
  readonly labelling: Coalesced;
  readonly signOuts: SignOuts;
  /** Requests that are being answered. */
  readonly requests: Set<Promise<unknown>>;
  /** From which gateway the archive is taken over, the one from which it was, and when to try again if that failed. */
  readonly archive: {
    instanceId: string | null;
    adopted: Promise<void>;
    adoptedFrom: string | null;
    retryAt: number;
  };
  readonly secrets: { readonly cookie: string; readonly machineToken: string; readonly ticketKey: string };
  /** Aborted when the process is told to end. */
  readonly closing: AbortSignal;
  /** Ends what the context keeps open. */
  readonly close: () => void;
};

const KEY = Symbol.for('holdfast.context');
type Shelf = typeof globalThis & { [KEY]?: Context };
/** The one cast that a property of our own on the global object needs. */
const shelf = globalThis as Shelf;

function createContext(config: Config): Context {
  const stop = new AbortController();
  const control = new ControlClient(controlSocket(config));
  const events = new EventHub();
  const metrics = new Metrics('web');
  const log = createLog('web', config.logLevel);
  const stores = openStores({ config, log, metrics });
  events.setStoreDegraded(stores.status().degraded);
  stores.onChange(({ degraded }) => events.setStoreDegraded(degraded));
  const context: Context = {
    config,
    log,
    stores,
    projects: stores.projects,
    sessions: stores.sessions,
    control,
    events,
    metrics,
    windows: openWindows({ config, log }),
    creations: new RecentResults(),
    restores: new Map(),
    ending: new Set(),
    recorded: new Map(),
    labelling: new Coalesced(),
    signOuts: new SignOuts(config.dataDir),
    requests: new Set(),
    archive: { instanceId: null, adopted: Promise.resolve(), adoptedFrom: null, retryAt: 0 },
    secrets: {
      cookie: config.nextAuthSecret ?? loadSecret(config.dataDir, 'nextauth.secret'),
      machineToken: loadSecret(config.dataDir, 'token'),
      ticketKey: loadSecret(config.dataDir, 'ticket.key'),
    },
    closing: stop.signal,
    close: () => {
      stop.abort();
      events.close();
      metrics.close();
      // Its calls have deadlines, and whoever closes does not wait for a database that is gone.
      void closeBehindRequests(context);
      process.off('SIGTERM', context.close);
    },
  };
  // The server waits for open requests when it is told to end, and browsers keep their event streams open.
  process.once('SIGTERM', context.close);
  watchSidecar(context, controlSocket(config), stop.signal);
  return context;
}

/** Ends what requests need, when the last one is answered. */
async function closeBehindRequests({ requests, control, stores, windows }: Context): Promise<void> {
  while (requests.size > 0) await Promise.allSettled(requests);
  control.close();
  await Promise.all([stores.close(), windows.close()]);
}

function controlSocket(config: Config): string {
  return join(config.runDir, 'control.sock');
}

/** The context of this process, made at the first call. */
export function getContext(): Context {
  shelf[KEY] ??= createContext(loadConfig());
  return shelf[KEY];
}

/** Ends the context; the next `getContext` makes a new one that knows only what it finds running. */
export function closeContext(): void {
  shelf[KEY]?.close();
  delete shelf[KEY];
}
