/** A cgroup for each session, where this process may make some: what runs in it can leave neither by `setsid` nor by a double fork. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive, orNull, type ProcessRef } from './processes';

const PREFIX = 'holdfast';
const GROUP_NAME = /^holdfast-(\d+)-(\d+)-session_/;

/** The cgroup of this process in a hierarchy, as a directory; null when the mount does not show it. */
function ownDirectory(mount: { root: string; point: string }, path: string): string | null {
  if (path.includes('..')) return null;
  if (mount.root === '/') return join(mount.point, path);
  return path === mount.root || path.startsWith(`${mount.root}/`)
    ? join(mount.point, path.slice(mount.root.length))
    : null;
}

/** Directories of this process's own cgroup: of version 2, then of version 1's `pids`. See cgroups(7) and proc_pid_mountinfo(5). */
function candidates(): string[] {
  const own = new Map<string, string>();
  for (const line of (orNull(() => readFileSync('/proc/self/cgroup', 'utf8')) ?? '').split('\n')) {
    const [number, controllers, ...path] = line.split(':');
    if (number === '0') own.set('cgroup2', path.join(':'));
    else if (controllers?.split(',').includes('pids')) own.set('cgroup', path.join(':'));
  }
  const found = new Map<string, string>();
  for (const line of (orNull(() => readFileSync('/proc/self/mountinfo', 'utf8')) ?? '').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', point = ''] = before.split(' ');
    const [type = '', , options = ''] = after.split(' ');
    const path = own.get(type);
    const isWanted = type === 'cgroup2' || options.split(',').includes('pids');
    const directory = path !== undefined && isWanted ? ownDirectory({ root, point }, path) : null;
    if (directory) found.set(type, directory);
  }
  return ['cgroup2', 'cgroup'].flatMap((type) => found.get(type) ?? []);
}

/**
 * Takes this process out of the cgroups of a session that it was started in, as a host of a Holdfast that runs in a terminal of
 * another: it outlives that terminal.
 */
export function leaveSessionGroups(): void {
  for (const directory of candidates()) {
    const outermost = ancestors(directory).findLast((path) => GROUP_NAME.test(basename(path)));
    if (outermost) attempt(() => writeFileSync(join(dirname(outermost), 'cgroup.procs'), String(process.pid)));
  }
}

/** A path and those above it, the longest first. */
function ancestors(path: string): string[] {
  const above = dirname(path);
  return above === path ? [path] : [path, ...ancestors(above)];
}

/** Where this process can make cgroups and put processes in them, or null: most users may not. */
export function findGroupDirectory(): string | null {
  for (const directory of candidates()) {
    const probe = join(directory, `${PREFIX}-probe-${process.pid}`);
    const isPossible = attempt(() => mkdirSync(probe)) && existsSync(join(probe, 'cgroup.procs'));
    attempt(() => rmdirSync(probe));
    if (isPossible) return directory;
  }
  return null;
}

/** The beginning of the names of all cgroups that a host makes. */
export function groupPrefix({ pid, startTime }: ProcessRef): string {
  return `${PREFIX}-${pid}-${startTime}-`;
}

/** Removes what hosts that are gone have left in a directory, where nothing runs in it any more. */
export function removeStaleGroups(parent: string): void {
  for (const name of orNull(() => readdirSync(parent)) ?? []) {
    const [, pid, startTime] = GROUP_NAME.exec(name) ?? [];
    if (pid === undefined || startTime === undefined || isAlive({ pid: Number(pid), startTime })) continue;
    attempt(() => rmdirSync(join(parent, name)));
  }
}

/** One cgroup. */
export class Group {
  /** Resolves when the process that it was made for is in it, or cannot be. */
  readonly joined: Promise<void>;
  readonly #directory: string;

  private constructor(directory: string, pid: number | null) {
    this.#directory = directory;
    this.joined = pid === null ? Promise.resolve() : this.#join(pid);
  }

  /**
   * Makes a cgroup and begins to put a process in it; null when none can be made. The kernel lets the writer of the pid wait for all
   * processors, some 15 ms on a quiet machine, which must not hold up other sessions.
   */
  static create(parent: string, name: string, pid: number): Group | null {
    const directory = join(parent, name);
    return attempt(() => mkdirSync(directory)) ? new Group(directory, pid) : null;
  }

  /** The cgroups in a directory whose names begin so. */
  static find(parent: string, prefix: string): Group[] {
    const names = orNull(() => readdirSync(parent)) ?? [];
    return names.filter((name) => name.startsWith(prefix)).map((name) => new Group(join(parent, name), null));
  }

  /** Who runs in it, and in cgroups below it. */
  pids(): number[] {
    return pidsIn(this.#directory);
  }

  /** Kills all that runs in it and below at once, where the kernel can (Linux 5.14, version 2). */
  kill(): void {
    attempt(() => writeFileSync(join(this.#directory, 'cgroup.kill'), '1', { flag: 'r+' }));
  }

  /** Removes it if nothing runs in it. */
  remove(): void {
    attempt(() => rmdirSync(this.#directory));
  }

  async #join(pid: number): Promise<void> {
    try {
      await writeFile(join(this.#directory, 'cgroup.procs'), String(pid));
    } catch {
      this.remove(); // it is over already, or this kernel does not let us: the session goes on without
    }
  }
}

function pidsIn(directory: string): number[] {
  const own = orNull(() => readFileSync(join(directory, 'cgroup.procs'), 'utf8')) ?? '';
  const entries = orNull(() => readdirSync(directory, { withFileTypes: true })) ?? [];
  const below = entries.filter((entry) => entry.isDirectory()).flatMap(({ name }) => pidsIn(join(directory, name)));
  return [...own.split('\n').filter(Boolean).map(Number), ...below];
}

/** A cgroup file system refuses with many codes; whatever it is, the session goes on without. */
function attempt(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
