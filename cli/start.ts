/** `holdfast start`: builds if needed, runs web and sidecar, and says which sessions outlive them. */
import { join } from 'node:path';
import type { Config } from '@/lib/config';
import { buildIfNeeded } from './build';
import { logFile } from './directories';
import { childEnvironment, sidecarEnvironment } from './environment';
import { launch } from './launch';

/** How long web keeps an idle connection. Browsers hold some, and a server that ends waits for each. */
const KEEP_ALIVE_MS = 1_000;

/**
 * What V8 may keep for old objects of web. Without a bound it collects so late that the process grows to 400 MB and more under a few
 * calls per second; with this one it stays below 200, and what it really needs is a small part of that.
 */
const WEB_HEAP_MB = 256;

/** Runs the production build until it is told to stop. */
export function start(config: Config, root: string, say: (line: string) => void): Promise<number> {
  return launch({
    config,
    say,
    prepare: async (signal) => {
      await buildIfNeeded({ root, say, signal });
    },
    children: (config) => [
      {
        name: 'sidecar',
        command: process.execPath,
        args: ['--enable-source-maps', join(root, 'dist', 'gateway.js')],
        env: { ...sidecarEnvironment(config), NODE_ENV: 'production' },
        output: { file: logFile(config, 'sidecar') },
      },
      {
        name: 'web',
        command: process.execPath,
        args: [`--max-old-space-size=${WEB_HEAP_MB}`, join(root, '.next', 'standalone', 'server.js')],
        env: {
          ...childEnvironment(config),
          HOSTNAME: config.host,
          KEEP_ALIVE_TIMEOUT: String(KEEP_ALIVE_MS),
          NODE_ENV: 'production',
        },
        output: { file: logFile(config, 'web') },
      },
    ],
  });
}
