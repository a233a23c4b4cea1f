/** A Holdfast that somebody starts in a terminal of another. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { sessionReplySchema } from '@/lib/protocol/control';
import { bundleSidecar } from '@/tests/harness/bundle';
import { findProcesses, freePort, isRunning, signal, until } from '@/tests/harness/processes';
import { callControl } from '@/tests/harness/sidecar';
import { sidecarPerTest } from '@/tests/harness/sidecar-per-test';

const start = sidecarPerTest();
let hosts: number[] = [];

afterEach(() => {
  for (const pid of hosts.splice(0)) signal(pid, 'SIGKILL');
});

it('T25 ending its tab ends its gateway, and neither its hosts nor what runs in them', async () => {
  const outer = await start();
  const session = await outer.openSession();
  const viewer = await outer.connect(session);
  await viewer.attach();
  const directory = join(outer.homeDir, 'inner');
  const run = join(directory, 'run');
  const settings = {
    WS_PORT: String(await freePort()),
    PORT: String(await freePort()),
    HOLDFAST_DATA_DIR: join(directory, 'data'),
    HOLDFAST_RUN_DIR: run,
    HOLDFAST_ROOTS: outer.homeDir,
  };
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  await viewer.line(`env ${words.join(' ')} ${process.execPath} ${await bundleSidecar()} >inner.log 2>&1 &`);

  const socket = join(run, 'control.sock');
  const open = () =>
    callControl(socket, 'POST', '/v1/sessions', outer.openRequest()).catch(() => ({
      status: 0,
      json: null,
      body: '',
    }));
  let opened = await open();
  await until('the inner gateway opens a session', async () => {
    if (opened.status !== 200) opened = await open();
    return opened.status === 200;
  });
  const { session: inner } = sessionReplySchema.parse(opened.json);
  hosts = findProcesses(join(run, 'hosts')).filter(isRunning);
  const [gateway = 0] = childrenOf(session.pid);
  expect(isRunning(gateway) && isRunning(inner.pid)).toBe(true);
  // Where the outer host makes cgroups, an inner one does not stay in that of the tab.
  for (const pid of hosts) expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).not.toMatch(/holdfast-.*session_/);

  const { status } = await outer.control('DELETE', `/v1/sessions/${session.id}`);
  expect(status).toBe(200);
  expect(isRunning(session.pid) || isRunning(gateway)).toBe(false);
  expect([...hosts, inner.pid].filter((pid) => !isRunning(pid))).toEqual([]);
}, 60_000);

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
