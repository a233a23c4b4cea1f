/** A production Holdfast of the benchmark's own, started as a user starts it, with room for many sessions. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { App } from '@/tests/harness/app';
import { findProcesses, isRunning, signal, until } from '@/tests/harness/processes';
import { holdfastAdapter } from './holdfast-terminal';
import type { Layout, Peer } from './peer';

const LAYOUTS: Record<Layout, Record<string, string>> = {
  usual: { MAX_SESSIONS_PER_BACKEND: '10', BACKEND_POOL_SIZE: '30' },
  'one-host': { MAX_SESSIONS_PER_BACKEND: '1000', BACKEND_POOL_SIZE: '1' },
  'host-each': { MAX_SESSIONS_PER_BACKEND: '1', BACKEND_POOL_SIZE: '30' },
};

/** Collections of garbage come at most every 20 s, and some seconds after a screen was put away (ms). */
const COLLECTED_MS = 24_000;
const HIBERNATED_DEADLINE_MS = 60_000;
const REST_POLL_MS = 250;

const SETTINGS = {
  HOLDFAST_MAX_SESSIONS_PROJECT: '1000',
  HOLDFAST_MAX_SESSIONS_USER: '1000',
  HOLDFAST_MAX_SESSIONS_NODE: '1000',
  HOLDFAST_MEMORY_MB: '16000',
  HOLDFAST_LOG_LEVEL: 'warn',
};

/** Builds if these sources are not built, and starts. */
export async function startHoldfast(shell: string, layout: Layout): Promise<Peer> {
  const app = await App.start({ ...SETTINGS, ...LAYOUTS[layout], HOLDFAST_SHELL: shell });
  const address = {
    name: 'holdfast' as const,
    url: app.origin,
    options: { dataDir: app.dataDir, project: join(app.home, 'bench') },
  };
  const hosts = () => findProcesses(join(app.runDir, 'hosts')).filter(isRunning);
  return {
    name: 'holdfast',
    address,
    processes: () => [app.launcherPid, app.pidOf('web'), app.pidOf('sidecar'), ...hosts()],
    terminalProcesses: () => [app.pidOf('sidecar'), ...hosts()],
    atRest: (sessions) => atRest(app.wsPort, sessions),
    open: () => holdfastAdapter.open(address),
    attach: (id) => (holdfastAdapter.attach ?? fail)(address, id),
    killServer: async () => {
      const pid = app.pidOf('sidecar');
      signal(pid, 'SIGKILL');
      await until('the gateway is dead', () => !isRunning(pid));
    },
    stop: () => app.stop(),
  };
}

/** Screens hibernate, and the last of them is followed by a collection of garbage unless one came in the same moment. */
async function atRest(port: number, sessions: number): Promise<void> {
  const deadline = performance.now() + HIBERNATED_DEADLINE_MS;
  let hibernated: { at: number; collections: number } | null = null;
  for (;;) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const collections = sumOf(text, 'holdfast_host_collections_total');
    const now = performance.now();
    if (sumOf(text, 'holdfast_sessions_hibernated') < sessions) hibernated = null;
    else hibernated ??= { at: now, collections };
    if (hibernated && (collections > hibernated.collections || now - hibernated.at > COLLECTED_MS)) return;
    if (!hibernated && now > deadline) throw new Error(`${sessions} sessions are not at rest:\n${text}`);
    await sleep(REST_POLL_MS);
  }
}

/** A metric of all hosts together. */
function sumOf(metrics: string, name: string): number {
  return [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

function fail(): never {
  throw new Error('the adapter cannot attach');
}
