/** `holdfast dev`: web and sidecar with hot reload, their output prefixed, within bounded memory. */
import { join } from 'node:path';
import { type Config, ownEnvironment } from '@/lib/config';
import { childEnvironment, sidecarEnvironment } from './environment';
import { launch } from './launch';

/** Bounds of the V8 heap of `next dev`; native memory comes on top, and source maps would double it. */
const HEAP_LIMITS = '--max-old-space-size=192 --max-semi-space-size=4';
const HEAP_LIMITS_DEBUG = '--max-old-space-size=500';

const CYAN = '\u001b[36m';
const MAGENTA = '\u001b[35m';
const RESET = '\u001b[0m';

function prefix(name: string, colour: string): string {
  const label = `${name.padEnd(7)} | `;
  return process.stdout.isTTY && process.stdout.hasColors() ? `${colour}${label}${RESET}` : label;
}

/** Runs the development servers until they are told to stop; with `isDebug`, source maps are on. */
export function dev(
  config: Config,
  { root, isDebug, say }: { root: string; isDebug: boolean; say: (line: string) => void },
): Promise<number> {
  const limits = isDebug ? HEAP_LIMITS_DEBUG : HEAP_LIMITS;
  const nextFlags = ['-p', String(config.webPort), '-H', config.host, ...(isDebug ? [] : ['--disable-source-maps'])];
  const webPrefix = prefix('web', CYAN);
  const sidecarPrefix = prefix('sidecar', MAGENTA);
  return launch({
    config,
    say,
    prepare: async () => undefined,
    children: (config) => [
      {
        name: 'sidecar',
        command: process.execPath,
        args: [
          join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs'),
          ...['watch', '--clear-screen=false', '--tsconfig', join(root, 'ws-server', 'tsconfig.json')],
          join(root, 'ws-server', 'main.ts'),
        ],
        env: { ...sidecarEnvironment(config), NODE_ENV: 'development' },
        output: { onLine: (line) => say(sidecarPrefix + line) },
      },
      {
        name: 'web',
        command: process.execPath,
        args: [join(root, 'node_modules', 'next', 'dist', 'bin', 'next'), 'dev', ...nextFlags],
        env: {
          ...childEnvironment(config),
          HOLDFAST_SOURCE_MAPS: isDebug ? '1' : '0',
          NODE_ENV: 'development',
          NODE_OPTIONS: [ownEnvironment()['NODE_OPTIONS'], limits].filter(Boolean).join(' '),
        },
        output: { onLine: (line) => say(webPrefix + line) },
      },
    ],
  });
}
