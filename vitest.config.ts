/** Unit and contract tests: real ptys, sockets and processes, so few of them at a time. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    alias: { '@': fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, '') },
  },
  test: {
    include: [
      'lib/**/*.test.ts',
      'ws-server/**/*.test.ts',
      'components/**/*.test.{ts,tsx}',
      'cli/**/*.test.ts',
      'bench/**/*.test.ts',
      'tests/contract/**/*.test.ts',
    ],
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // Spies of one test do not reach the next.
    restoreMocks: true,
  },
});
