import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** The test runner in a project whose tools are scripts that report what they are told to. */
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hf-run-'));
  for (const name of ['tests/run.mjs', 'tests/install.mjs']) cpSync(name, join(root, name));
  tool('bin/npm', 'exit 0');
  tool('bin/apt-get', 'exit 1');
  tool('bin/chromium', 'exit 0');
  const programs = ['vim', 'less', 'htop', 'top', 'git', 'python3', 'postgres', 'redis-server'];
  for (const name of programs) tool(`bin/${name}`, 'exit 0');
  write('cli/bin.mjs', '');
  mkdirSync(join(root, 'test-results'));
  vitest({ numPassedTests: 5, numFailedTests: 0, numPendingTests: 0 }, 0);
  playwright({ stats: { expected: 3, unexpected: 0, flaky: 0, skipped: 0 } }, 0);
  faults({ passed: 2, failed: 0, skipped: 0 }, 0);
});

afterEach(() => rmSync(root, { recursive: true }));

function write(name: string, content: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), content);
}

function tool(name: string, script: string): void {
  write(name, `#!/bin/sh\n${script}\n`);
  chmodSync(join(root, name), 0o755);
}

function reporting(name: string, file: string, { report, code }: { report: unknown; code: number }): void {
  const text = JSON.stringify(report);
  tool(`node_modules/.bin/${name}`, `echo '${text}' > test-results/${file}; exit ${code}`);
}

function vitest(report: unknown, code: number): void {
  reporting('vitest', 'unit.json', { report, code });
}

function playwright(report: unknown, code: number): void {
  reporting('playwright', 'e2e.json', { report, code });
}

function faults(report: unknown, code: number): void {
  reporting('tsx', 'faults.json', { report, code });
}

function run(env: Record<string, string> = {}): { last: string; code: number | null; output: string } {
  const { stdout, status } = spawnSync(process.execPath, ['tests/run.mjs'], {
    cwd: root,
    encoding: 'utf8',
    // Nothing of the real system is found, and nothing can be installed on it.
    env: { NODE_ENV: 'test', PATH: join(root, 'bin'), ...env },
  });
  return { last: stdout.trimEnd().split('\n').at(-1) ?? '', code: status, output: stdout };
}

test('N1 everything that passes is counted, check and build as one each', () => {
  expect(run()).toMatchObject({ last: '12 passed, 0 failed', code: 0 });
});

test('N1 after a failure of one part the others are counted all the same', () => {
  tool('bin/npm', 'exit 1');
  vitest({ numPassedTests: 5, numFailedTests: 2 }, 1);
  expect(run()).toMatchObject({ last: '11 passed, 3 failed', code: 1 });
});

test('N2 a suite that ends badly without a failed test is a failure', () => {
  vitest({ numPassedTests: 5, numFailedTests: 0 }, 1);
  playwright({ stats: { expected: 3 }, errors: [{ message: 'cannot load a file' }] }, 1);
  expect(run()).toMatchObject({ last: '12 passed, 2 failed', code: 1 });
});

test('N2 a file that cannot be loaded is a failure', () => {
  vitest({ numPassedTests: 5, numFailedTests: 0, testResults: [{ status: 'failed', assertionResults: [] }] }, 1);
  expect(run()).toMatchObject({ last: '12 passed, 1 failed', code: 1 });
});

test('N2 a suite without a report is a failure, also when an earlier run left one', () => {
  write('test-results/unit.json', '{"numPassedTests": 99}');
  tool('node_modules/.bin/vitest', 'exit 0');
  expect(run()).toMatchObject({ last: '7 passed, 1 failed', code: 1 });
});

test('N8 the counts of the fault tests are added, and their run counts when it ends badly', () => {
  faults({ passed: 1, failed: 1, skipped: 0 }, 1);
  expect(run()).toMatchObject({ last: '11 passed, 1 failed', code: 1 });
  faults({ passed: 2, failed: 0, skipped: 0 }, 1);
  expect(run()).toMatchObject({ last: '12 passed, 1 failed', code: 1 });
});

test('N3 skipped tests are told, and count as failed with CI set', () => {
  vitest({ numPassedTests: 4, numFailedTests: 0, numPendingTests: 1 }, 0);
  expect(run()).toMatchObject({ last: '11 passed, 0 failed, 1 skipped', code: 0 });
  expect(run({ CI: 'true' })).toMatchObject({ last: '11 passed, 1 failed', code: 1 });
});

test('N3 what could not be run is told, and counts as failed with CI set', () => {
  rmSync(join(root, 'bin/chromium'));
  const local = run();
  expect(local).toMatchObject({ last: '9 passed, 0 failed', code: 0 });
  expect(local.output).toContain('chromium is missing: `apt-get install chromium` as root installs it');
  expect(local.output).toContain('The end-to-end tests were not run: there is no Chromium.');
  expect(run({ CI: 'true' })).toMatchObject({ last: '9 passed, 2 failed', code: 1 });
});

test.runIf(process.getuid?.() === 0)('N4 root gets exactly what is missing installed', () => {
  rmSync(join(root, 'bin/htop'));
  tool('bin/apt-get', `echo apt-get "$@"; [ "$2" = update ] || echo '#!/bin/sh' > bin/htop; /bin/chmod +x bin/htop`);
  const { output, last } = run({ CI: 'true' });
  expect(output.match(/^apt-get .*$/gm)).toEqual([
    'apt-get -q update',
    'apt-get -q install -y --no-install-recommends htop',
  ]);
  expect(last).toBe('12 passed, 0 failed');
});

test('N3 a failed build is a failure and ends the hope for tests of the whole product', () => {
  write('cli/bin.mjs', 'process.exit(1)');
  const result = run();
  expect(result).toMatchObject({ last: '6 passed, 1 failed', code: 1 });
  expect(result.output).toContain('The end-to-end tests were not run: the production build failed.');
  expect(result.output).toContain('The fault tests were not run: the production build failed.');
});
