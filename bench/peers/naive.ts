/** The naive baseline as a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, isRunning, signal, until } from '@/tests/harness/processes';
import { treeOf } from '../machine';
import { naiveAdapter } from './naive-terminal';
import type { Peer } from './peer';

/** It does nothing for idle sessions (ms). */
const REST_MS = 1_000;
const SERVER = join(import.meta.dirname, 'naive-server.mjs');

/** Starts the baseline with a shell. */
export async function startNaive(shell: string): Promise<Peer> {
  const port = await freePort();
  const child = spawn(process.execPath, [SERVER, String(port), shell], { stdio: ['ignore', 'ignore', 'inherit'] });
  const pid = child.pid ?? 0;
  const stop = async () => {
    for (const each of treeOf(pid).reverse()) signal(each, 'SIGKILL');
    await until('the baseline ends', () => !isRunning(pid));
  };
  try {
    await until('the baseline listens', () => canConnect(port));
  } catch (error) {
    await stop();
    throw error;
  }
  const address = { name: 'naive' as const, url: `ws://127.0.0.1:${port}`, options: {} };
  return {
    name: 'naive',
    address,
    processes: () => [pid],
    terminalProcesses: () => [pid],
    atRest: () => sleep(REST_MS),
    open: () => naiveAdapter.open(address),
    attach: () => Promise.reject(new Error('sessions of the baseline end with their connection')),
    killServer: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null) await once(child, 'exit');
    },
    stop,
  };
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
