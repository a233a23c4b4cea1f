import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { ownEnvironment } from '@/lib/config';

function show(...words: string[]): { status: number | null; stdout: string } {
  const env = {
    NODE_ENV: 'test' as const,
    PATH: ownEnvironment()['PATH'],
    DATABASE_URL: 'postgres://app:geheim@db/holdfast',
  };
  return spawnSync(process.execPath, ['cli/bin.mjs', 'config', ...words], { encoding: 'utf8', env });
}

test('L33 the table names each setting with its origin, and no password', () => {
  const { status, stdout } = show();
  expect(status).toBe(0);
  expect(stdout).toMatch(/^DATABASE_URL +environment +postgres:\/\/app@db\/holdfast$/m);
  expect(stdout).toMatch(/^PORT +default +4110$/m);
  expect(stdout).toContain('Records are kept in: postgres');
  expect(stdout).not.toContain('geheim');
});

test('L33 with --json programs can read it', () => {
  expect(JSON.parse(show('--json').stdout)).toMatchObject({
    settings: expect.arrayContaining([{ name: 'PORT', value: '4110', origin: 'default' }]),
    store: 'postgres',
    terminal: { mode: 'production', websocket: { port: 4001, maxConnections: 1_000 } },
  });
});
