import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SignOuts } from './sign-outs';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'holdfast-signouts-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

it('A4 a sign-out is remembered over a restart, by hash only', () => {
  new SignOuts(dataDir).add('login-1');
  const again = new SignOuts(dataDir);
  expect(again.has('login-1')).toBe(true);
  expect(again.has('login-2')).toBe(false);
  expect(readdirSync(join(dataDir, 'signed-out')).join()).not.toContain('login-1');
});

it('A4 a sign-out is forgotten when its cookie has expired by itself', () => {
  const signOuts = new SignOuts(dataDir);
  signOuts.add('login-1');
  const [name = ''] = readdirSync(join(dataDir, 'signed-out'));
  const long = Date.now() / 1000 - 31 * 24 * 3600;
  utimesSync(join(dataDir, 'signed-out', name), long, long);
  signOuts.add('login-2');
  expect(signOuts.has('login-1')).toBe(false);
  expect(readdirSync(join(dataDir, 'signed-out'))).toHaveLength(1);
});
