/** A production Holdfast of the benchmark's own, started as a user starts it, with room for many sessions. */
import { join } from 'node:path';
import { App } from '@/tests/harness/app';
import { findProcesses, isRunning, signal, until } from '@/tests/harness/processes';
import { holdfastAdapter } from './holdfast-terminal';
import type { Layout, Peer } from './peer';

const LAYOUTS: Record<Layout, Record<string, string>> = {
  usual: { MAX_SESSIONS_PER_BACKEND: '10', BACKEND_POOL_SIZE: '30' },
  'one-host': { MAX_SESSIONS_PER_BACKEND: '1000', BACKEND_POOL_SIZE: '1' },
  'host-each': { MAX_SESSIONS_PER_BACKEND: '1', BACKEND_POOL_SIZE: '30' },
};

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

function fail(): never {
  throw new Error('the adapter cannot attach');
}
