/** Control groups of version 1 or 2 as limits for single processes. They need root. */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '@/tests/harness/processes';

const ROOT = '/sys/fs/cgroup';
const FILES = {
  memory: { v1: 'memory.limit_in_bytes', v2: 'memory.max' },
  pids: { v1: 'pids.max', v2: 'pids.max' },
} as const;
type Controller = keyof typeof FILES;

let count = 0;

/** Where groups of a controller are made, and in which version; null where they cannot be. */
function placeOf(controller: Controller): { directory: string; version: 'v1' | 'v2' } | null {
  const v1 = join(ROOT, controller);
  const places = existsSync(join(v1, 'cgroup.procs'))
    ? [{ directory: v1, version: 'v1' as const }]
    : [ROOT, join(ROOT, 'unified')].map((directory) => ({ directory, version: 'v2' as const }));
  for (const place of places) {
    const control = join(place.directory, 'cgroup.subtree_control');
    try {
      accessSync(place.directory, constants.W_OK);
      if (place.version === 'v2') {
        if (!readFileSync(join(place.directory, 'cgroup.controllers'), 'utf8').split(/\s+/).includes(controller))
          continue;
        writeFileSync(control, `+${controller}`);
      }
      return place;
    } catch {} // not root, or the controller is in use elsewhere
  }
  return null;
}

/** Why groups of a controller cannot be used here, or null. */
export function cgroupObstacle(controller: Controller): string | null {
  return placeOf(controller) ? null : `it needs root and a writable ${controller} cgroup`;
}

/** One group. `remove` it when its processes are gone or have been moved away. */
export class Cgroup {
  readonly directory: string;
  readonly #limitFile: string;
  readonly #parent: string;

  constructor(controller: Controller) {
    const place = placeOf(controller);
    if (!place) throw new Error(`no ${controller} cgroup can be made`);
    this.#parent = place.directory;
    this.directory = join(place.directory, `holdfast-faults-${process.pid}-${++count}`);
    this.#limitFile = join(this.directory, FILES[controller][place.version]);
    mkdirSync(this.directory);
  }

  /** The file that a process is moved by. */
  get processesFile(): string {
    return join(this.directory, 'cgroup.procs');
  }

  /** Processes and threads in the group now. */
  get tasks(): number {
    return Number(readFileSync(join(this.directory, 'pids.current'), 'utf8'));
  }

  /** Bytes of memory, or processes; null for no limit. */
  limit(value: number | null): void {
    writeFileSync(
      this.#limitFile,
      value === null ? (this.#limitFile.endsWith('_in_bytes') ? '-1' : 'max') : String(value),
    );
  }

  take(pid: number): void {
    writeFileSync(this.processesFile, String(pid));
  }

  /** Lifts the limit, and moves what still runs back. */
  async remove(): Promise<void> {
    this.limit(null);
    const isEmpty = () => {
      for (const pid of readFileSync(this.processesFile, 'utf8').split('\n').filter(Boolean)) {
        try {
          writeFileSync(join(this.#parent, 'cgroup.procs'), pid);
        } catch {} // it has just ended
      }
      return readFileSync(this.processesFile, 'utf8') === '';
    };
    await until('the cgroup is empty', isEmpty, 5_000);
    rmdirSync(this.directory);
  }
}
