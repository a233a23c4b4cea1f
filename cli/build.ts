/** The production build: pages and API by Next, gateway and host by esbuild, once for each state of the sources. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownEnvironment } from '@/lib/config';
import { BUILD_FILE, isBuilt, sourceStamp } from './build-stamp';
import { CommandError } from './command-error';
import { tailOf } from './directories';
import { endGroup } from './processes';
import { type SocketLock, takeSocketLock } from './socket-lock';

const LOCK_DEADLINE_MS = 10 * 60_000;
const LOCK_POLL_MS = 200;
const NEXT_DEADLINE_MS = 10 * 60_000;
const STOP_GRACE_MS = 2_000;
const TAIL_LINES = 30;

/** Where to build, how to tell about it, and what cancels it. */
export type BuildOptions = { root: string; say: (line: string) => void; signal: AbortSignal };

/** Builds if there is no build of these sources. False when there was one. A failure leaves the earlier build usable. */
export async function buildIfNeeded(options: BuildOptions): Promise<boolean> {
  const { root, say, signal } = options;
  if (isBuilt(root, sourceStamp(root))) return false;
  mkdirSync(join(root, 'dist'), { recursive: true });
  const lock = await waitForLock(options);
  try {
    const stamp = sourceStamp(root);
    if (signal.aborted) throw stopped();
    if (isBuilt(root, stamp)) return false;
    say('Building Holdfast for these sources; this takes up to a minute.');
    await timed('gateway and host', say, () => bundleSidecar(root));
    await timed('pages and API', say, () => buildWeb(root, signal));
    putSidecar(root);
    writeFileSync(join(root, BUILD_FILE), `${JSON.stringify({ stamp })}\n`);
    return true;
  } finally {
    await lock.release();
  }
}

async function waitForLock({ root, say, signal }: BuildOptions): Promise<SocketLock> {
  // Unix socket paths are short, a checkout's may be long: the command runs in its root and uses the relative one.
  const path = root === process.cwd() ? join('dist', 'build.sock') : join(root, 'dist', 'build.sock');
  const deadline = Date.now() + LOCK_DEADLINE_MS;
  for (let isFirst = true; ; isFirst = false) {
    const lock = await takeSocketLock(path);
    if (lock) return lock;
    if (isFirst) say('Another build is running; waiting for it.');
    if (Date.now() > deadline) throw new CommandError('Another build has been running for 10 minutes. End it first.');
    await sleep(LOCK_POLL_MS);
    if (signal.aborted) throw stopped();
  }
}

function stopped(): CommandError {
  return new CommandError('The build was stopped.');
}

async function timed(phase: string, say: (line: string) => void, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  await work();
  say(`  ${phase}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

/** Next empties its directory first, so the server of the earlier build waits outside of it. */
async function buildWeb(root: string, signal: AbortSignal): Promise<void> {
  const standalone = join(root, '.next', 'standalone');
  const earlier = join(root, 'dist', 'earlier-standalone');
  if (existsSync(standalone)) {
    rmSync(earlier, { recursive: true, force: true });
    renameSync(standalone, earlier);
  }
  try {
    // Types that a killed development server left behind would fail the type check.
    rmSync(join(root, '.next', 'dev', 'types'), { recursive: true, force: true });
    await runNext(root, signal);
    rmSync(join(root, BUILD_FILE), { force: true }); // from here on the earlier build is gone
    cpSync(join(root, '.next', 'static'), join(standalone, '.next', 'static'), { recursive: true });
    if (existsSync(join(root, 'public'))) cpSync(join(root, 'public'), join(standalone, 'public'), { recursive: true });
  } catch (error) {
    if (existsSync(earlier)) {
      rmSync(standalone, { recursive: true, force: true });
      mkdirSync(join(root, '.next'), { recursive: true });
      renameSync(earlier, standalone);
    }
    throw error;
  }
  rmSync(earlier, { recursive: true, force: true });
}

async function runNext(root: string, signal: AbortSignal): Promise<void> {
  const log = join(root, 'dist', 'build.log');
  const file = openSync(log, 'w');
  const child = spawn(process.execPath, [join(root, 'node_modules', 'next', 'dist', 'bin', 'next'), 'build'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', file, file],
    env: { ...ownEnvironment(), NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' },
  });
  closeSync(file);
  const ended = once(child, 'exit');
  const cancel = AbortSignal.any([signal, AbortSignal.timeout(NEXT_DEADLINE_MS)]);
  const end = () => void (child.pid && endGroup(child.pid, STOP_GRACE_MS));
  cancel.addEventListener('abort', end, { once: true });
  const [code] = await ended;
  cancel.removeEventListener('abort', end);
  if (code === 0) return;
  if (signal.aborted) throw stopped();
  throw new CommandError([
    'The build failed. The end of dist/build.log:',
    ...tailOf(log, TAIL_LINES).map((line) => `  ${line}`),
    'Mend what it names and start again; if nothing is wrong there, `rm -rf .next dist` and `npm ci` begin anew.',
  ]);
}

async function bundleSidecar(root: string): Promise<void> {
  const esbuild = await import('esbuild');
  try {
    await esbuild.build({
      absWorkingDir: root,
      entryPoints: { gateway: 'ws-server/main.ts', host: 'ws-server/host/main.ts' },
      outdir: join(root, 'dist', 'new'),
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      packages: 'external',
      sourcemap: 'linked',
      tsconfig: join('ws-server', 'tsconfig.json'),
      logLevel: 'silent',
    });
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(['The build of the sidecar failed:', ...text.split('\n').slice(0, TAIL_LINES)]);
  }
}

function putSidecar(root: string): void {
  const fresh = join(root, 'dist', 'new');
  for (const name of ['gateway.js.map', 'gateway.js', 'host.js.map', 'host.js']) {
    renameSync(join(fresh, name), join(root, 'dist', name)); // a running gateway may start a host at this moment
  }
  rmSync(fresh, { recursive: true });
}
