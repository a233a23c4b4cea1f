import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildIfNeeded } from './build';
import { signal as signalProcess } from './processes';

/** Stands for `next build`: empties its directory as Next does, counts its runs, and does what app/page.tsx says. */
const NEXT = `
const fs = require('node:fs');
fs.appendFileSync('runs.txt', process.pid + '\\n');
fs.rmSync('.next', { recursive: true, force: true });
const page = fs.readFileSync('app/page.tsx', 'utf8');
if (page === 'broken') { console.error('Unexpected token in app/page.tsx'); process.exit(1); }
if (page === 'endless') return setInterval(() => {}, 1e6);
fs.mkdirSync('.next/standalone', { recursive: true });
fs.mkdirSync('.next/static', { recursive: true });
fs.writeFileSync('.next/static/a.css', page);
fs.writeFileSync('.next/standalone/server.js', page);`;

let root: string;
let said: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hf-build-'));
  said = [];
  write('node_modules/next/dist/bin/next', NEXT);
  write('app/page.tsx', 'one');
  write('public/logo.svg', '<svg/>');
  write('lib/name.ts', `export const name: string = 'holdfast';`);
  write('ws-server/tsconfig.json', '{"compilerOptions":{"paths":{"@/*":["../*"]}}}');
  write('ws-server/main.ts', `import { name } from '@/lib/name'; import 'ws'; console.log('gateway', name);`);
  write('ws-server/host/main.ts', `import { name } from '@/lib/name'; console.log('host', name);`);
});

afterEach(() => rmSync(root, { recursive: true }));

function write(name: string, content: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), content);
}

function read(name: string): string {
  return readFileSync(join(root, name), 'utf8');
}

function build(signal: AbortSignal = new AbortController().signal): Promise<boolean> {
  return buildIfNeeded({ root, say: (line) => said.push(line), signal });
}

function runs(): number {
  return read('runs.txt').trim().split('\n').length;
}

test('L9 a build holds pages, static files and both bundles, and is made once', async () => {
  expect(await build()).toBe(true);
  expect(read('.next/standalone/.next/static/a.css')).toBe('one');
  expect(read('.next/standalone/public/logo.svg')).toBe('<svg/>');
  expect(read('dist/gateway.js')).toContain('holdfast');
  expect(read('dist/gateway.js')).toContain('import "ws"');
  expect(read('dist/host.js')).toContain('holdfast');
  expect(await build()).toBe(false);
  expect(runs()).toBe(1);
  write('lib/name.ts', `export const name: string = 'other';`);
  expect(await build()).toBe(true);
  expect(read('dist/host.js')).toContain('other');
});

test('L9 two builds at once build once', async () => {
  expect((await Promise.all([build(), build()])).sort()).toEqual([false, true]);
  expect(runs()).toBe(1);
  expect(said).toContain('Another build is running; waiting for it.');
});

test('L9 a failed build says why and leaves the earlier one', async () => {
  await build();
  write('app/page.tsx', 'broken');
  await expect(build()).rejects.toThrow('Unexpected token in app/page.tsx');
  expect(read('.next/standalone/server.js')).toBe('one');
  write('app/page.tsx', 'one');
  expect(await build()).toBe(false);
});

test('L9 a sidecar that does not build is told with file and line', async () => {
  await build();
  const earlier = read('ws-server/main.ts');
  write('ws-server/main.ts', `import { nothing } from './nowhere'; nothing();`);
  await expect(build()).rejects.toThrow(/ws-server\/main\.ts:1:\d+[\s\S]*nowhere/);
  expect(read('dist/gateway.js')).toContain('holdfast');
  write('ws-server/main.ts', earlier);
  expect(await build()).toBe(false);
});

test('L9 a build that is stopped leaves no process and keeps the earlier one', async () => {
  await build();
  write('app/page.tsx', 'endless');
  const stop = new AbortController();
  const stopped = build(stop.signal);
  const caught = expect(stopped).rejects.toThrow('The build was stopped.');
  await expect.poll(runs, { timeout: 10_000 }).toBe(2);
  stop.abort();
  await caught;
  const pid = Number(read('runs.txt').trim().split('\n')[1]);
  expect(signalProcess(pid, 0)).toBe(false);
  expect(read('.next/standalone/server.js')).toBe('one');
});
