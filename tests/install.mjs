/** The programs of the system that the tests use: finds them, and installs what is missing where it can. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const INSTALL_DEADLINE_MS = 10 * 60_000;
const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const PROGRAMS = [
  { name: 'vim', debian: 'vim' },
  { name: 'less', debian: 'less' },
  { name: 'htop', debian: 'htop' },
  { name: 'top', debian: 'procps' },
  { name: 'git', debian: 'git' },
  { name: 'python3', debian: 'python3' },
  { name: 'postgres', debian: 'postgresql' },
  { name: 'redis-server', debian: 'redis-server' },
];
/** Where Debian puts the servers' programs of Postgres, in a directory for each version. */
const POSTGRES_DIR = '/usr/lib/postgresql';

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // that is the answer
  }
}

function postgresDirectories() {
  try {
    return readdirSync(POSTGRES_DIR).map((version) => join(POSTGRES_DIR, version, 'bin'));
  } catch {
    return []; // another system, or not installed
  }
}

function find(name) {
  const directories = [...(process.env.PATH ?? '').split(delimiter), ...postgresDirectories()];
  return directories.map((directory) => join(directory, name)).find(isExecutable) ?? null;
}

function findChromium() {
  const given = process.env.CHROMIUM_PATH;
  if (given) return isExecutable(given) ? given : null;
  for (const name of CHROMIUM_NAMES) {
    const path = find(name);
    if (path) return path;
  }
  return null;
}

function missingPrograms() {
  const missing = PROGRAMS.filter(({ name }) => !find(name));
  return findChromium() ? missing : [{ name: 'chromium', debian: 'chromium' }, ...missing];
}

function apt(args) {
  const { status } = spawnSync('apt-get', args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: INSTALL_DEADLINE_MS,
    // RUNLEVEL=1: packages must not start services on this machine.
    env: { ...process.env, RUNLEVEL: '1', DEBIAN_FRONTEND: 'noninteractive' },
  });
  return status === 0;
}

/**
 * Installs what is missing, as root on a system with apt-get.
 * @param say prints one line
 * @returns the browser's path or null, and what is still missing with how to get it
 */
export function installMissing(say) {
  if (process.env.CHROMIUM_PATH && !findChromium()) {
    return { chromium: null, missing: [{ name: 'chromium', hint: 'CHROMIUM_PATH does not name a program' }] };
  }
  const wanted = missingPrograms();
  if (wanted.length > 0 && process.getuid?.() === 0 && find('apt-get')) {
    const packages = wanted.map(({ debian }) => debian);
    say(`Installing ${packages.join(', ')}.`);
    apt(['-q', 'update']);
    apt(['-q', 'install', '-y', '--no-install-recommends', ...packages]);
  }
  const missing = missingPrograms().map(({ name, debian }) => ({
    name,
    hint: `\`apt-get install ${debian}\` as root installs it${name === 'chromium' ? ', or set CHROMIUM_PATH' : ''}`,
  }));
  if (wanted.length === 0) console.log('All there.');
  return { chromium: findChromium(), missing };
}
