import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isBuilt, sourceStamp } from './build-stamp';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hf-stamp-'));
  write('app/page.tsx', 'one');
  write('package-lock.json', '{}');
});

afterEach(() => rmSync(root, { recursive: true }));

function write(name: string, content: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), content);
}

test('L9 the stamp changes with the content, the name and the number of sources', () => {
  const stamps = new Set([sourceStamp(root)]);
  write('app/page.tsx', 'two');
  stamps.add(sourceStamp(root));
  write('app/other/page.tsx', 'one');
  stamps.add(sourceStamp(root));
  rmSync(join(root, 'app/other'), { recursive: true });
  write('app/deeper/page.tsx', 'one');
  stamps.add(sourceStamp(root));
  write('package-lock.json', '{"a":1}');
  stamps.add(sourceStamp(root));
  expect(stamps.size).toBe(5);
});

test('L9 tests and documents are no sources', () => {
  const stamp = sourceStamp(root);
  write('app/page.test.tsx', 'test');
  write('docs/spec.md', 'text');
  write('tests/e2e/a.spec.ts', 'test');
  expect(sourceStamp(root)).toBe(stamp);
});

test('L9 a build counts only when it is whole and of these sources', () => {
  const stamp = sourceStamp(root);
  expect(isBuilt(root, stamp)).toBe(false);
  for (const name of ['.next/standalone/server.js', 'dist/gateway.js', 'dist/host.js']) write(name, '');
  mkdirSync(join(root, '.next/standalone/.next/static'), { recursive: true });
  write('dist/build.json', JSON.stringify({ stamp }));
  expect(isBuilt(root, stamp)).toBe(true);
  expect(isBuilt(root, 'another')).toBe(false);
  rmSync(join(root, 'dist/host.js'));
  expect(isBuilt(root, stamp)).toBe(false);
  write('dist/host.js', '');
  write('dist/build.json', '{"stamp":');
  expect(isBuilt(root, stamp)).toBe(false);
});
