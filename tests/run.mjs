/**
 * `npm test`: installs what is missing where it can, runs every suite, and counts. The last line is `N passed, N failed`.
 * Plain Node, so that it also runs when the packages are broken.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installMissing } from './install.mjs';

const MINUTE_MS = 60_000;
const KILL_AFTER_MS = 5_000;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Where the suites write their reports; playwright.config.ts names the second one too. */
const REPORTS = {
  unit: 'test-results/unit.json',
  endToEnd: 'test-results/e2e.json',
  faults: 'test-results/faults.json',
};
const isCi = Boolean(process.env.CI) && process.env.CI !== 'false' && process.env.CI !== '0';
const total = { passed: 0, failed: 0, skipped: 0 };
/** Lines that must not drown in the output: they are repeated at the end. */
const remarks = [];
let running = null;
let isInterrupted = false;

function remark(line) {
  remarks.push(line);
  console.log(line);
}

function count({ passed = 0, failed = 0, skipped = 0 }) {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}

/** Runs a command in its own process group, its output passed through. Gives the exit code, null when it was ended. */
function run(command, args, { env = {}, minutes }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    });
    running = child;
    const deadline = setTimeout(() => {
      remark(`${command} ${args.join(' ')} was ended after ${minutes} minutes.`);
      end(child);
    }, minutes * MINUTE_MS);
    const finish = (code) => {
      clearTimeout(deadline);
      running = null;
      resolve(code);
    };
    child.once('error', (error) => {
      remark(`${command} cannot be run: ${error.message}`);
      finish(null);
    });
    child.once('exit', finish);
  });
}

function end(child) {
  signalGroup(child.pid, 'SIGTERM');
  setTimeout(() => signalGroup(child.pid, 'SIGKILL'), KILL_AFTER_MS).unref();
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Runs a test tool of the project and gives its exit code and its JSON report, null when it wrote none. */
async function runTool(name, args, { file, ...options }) {
  rmSync(join(root, file), { force: true });
  const code = await run(join(root, 'node_modules', '.bin', name), args, options);
  try {
    return { code, report: JSON.parse(readFileSync(join(root, file), 'utf8')) };
  } catch {
    return { code, report: null };
  }
}

/** Counts a suite. A tool that fails without a failed test, or without a report, is one failure. */
function countSuite(name, { code, report }, counts) {
  if (report === null) {
    remark(`${name}: no report was written, so they count as one failure.`);
    return count({ failed: 1 });
  }
  const { passed, failed, skipped } = counts;
  const isSilentFailure = code !== 0 && failed === 0;
  if (isSilentFailure) remark(`${name}: ended with code ${code} and no failed test; that counts as one failure.`);
  if (failed > 0) remark(`${name}: ${failed} failed.`);
  count({ passed, failed: isSilentFailure ? 1 : failed, skipped });
}

async function check() {
  title('check: lint, types, unused code');
  const code = await run('npm', ['run', '--silent', 'check'], { minutes: 10 });
  if (code !== 0) remark('Check: failed.');
  count(code === 0 ? { passed: 1 } : { failed: 1 });
}

async function build() {
  title('production build');
  const code = await run(process.execPath, ['cli/bin.mjs', 'build'], { minutes: 15 });
  if (code !== 0) remark('Production build: failed.');
  count(code === 0 ? { passed: 1 } : { failed: 1 });
  return code === 0;
}

async function unit() {
  title('unit and contract tests');
  const file = REPORTS.unit;
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const result = await runTool('vitest', args, { file, minutes: 30 });
  const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0, numTodoTests = 0 } = result.report ?? {};
  // A file that cannot be loaded has no test that could fail.
  const brokenFiles = (result.report?.testResults ?? []).filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  countSuite('Unit and contract tests', result, {
    passed: numPassedTests,
    failed: numFailedTests + brokenFiles.length,
    skipped: numPendingTests + numTodoTests,
  });
}

async function endToEnd(chromium) {
  title('end-to-end tests in a browser');
  const options = { file: REPORTS.endToEnd, env: { CHROMIUM_PATH: chromium }, minutes: 60 };
  const result = await runTool('playwright', ['test'], options);
  const { expected = 0, unexpected = 0, flaky = 0, skipped = 0 } = result.report?.stats ?? {};
  // `errors` lie outside of tests: a file that cannot be loaded, for example.
  const failed = unexpected + flaky + (result.report?.errors ?? []).length;
  countSuite('End-to-end tests', result, { passed: expected, failed, skipped });
}

async function faults() {
  title('fault tests, the short run');
  const file = REPORTS.faults;
  const result = await runTool('tsx', ['tests/faults/run.ts', '--quick', '--report', file], { file, minutes: 15 });
  const { passed = 0, failed = 0, skipped = 0 } = result.report ?? {};
  countSuite('Fault tests', result, { passed, failed, skipped });
}

function title(text) {
  console.log(`\n=== ${text}`);
}

async function main() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      isInterrupted = true;
      if (running) end(running);
    });
  }
  title('programs that the tests use');
  const { chromium, missing } = installMissing(remark);
  for (const { name, hint } of missing) {
    remark(`${name} is missing: ${hint}.${isCi ? '' : ' Tests that need it are skipped.'}`);
    if (isCi) count({ failed: 1 });
  }
  let isBuilt = false;
  const parts = [
    check,
    async () => {
      isBuilt = await build();
    },
    unit,
    async () => {
      if (!isBuilt) return notRun('The fault tests were', 'the production build failed');
      await faults();
    },
    async () => {
      if (!isBuilt) return notRun('The end-to-end tests were', 'the production build failed');
      if (!chromium) return notRun('The end-to-end tests were', 'there is no Chromium');
      await endToEnd(chromium);
    },
  ];
  for (const part of parts) {
    if (!isInterrupted) await part();
  }
  report();
}

function notRun(what, why) {
  remark(`${what} not run: ${why}.`);
  if (isCi) count({ failed: 1 });
}

function report() {
  title('result');
  for (const line of remarks) console.log(line);
  if (isCi && total.skipped > 0) {
    console.log(`With CI set nothing may be skipped: ${total.skipped} skipped tests count as failed.`);
    total.failed += total.skipped;
    total.skipped = 0;
  }
  if (isInterrupted) {
    console.log('The run was interrupted, which counts as one failure.');
    total.failed += 1;
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
}

await main();
