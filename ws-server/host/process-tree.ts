/** The processes of one session: its shell, its cgroup where there is one, and all that they have started. */
import type { SignalName } from '@/lib/protocol/wire';
import type { Launch } from '@/ws-server/link';
import type { Belonging, Census } from './census';
import { Group } from './cgroup';
import { endProcesses } from './ending';
import {
  argumentsOf,
  commandOf,
  foregroundGroupOf,
  isAlive,
  type ProcessRef,
  runningCommand,
  signal,
  startTimeOf,
  workingDirectoryOf,
} from './processes';

/** Where a session's cgroup is made, and its name. */
export type GroupPlace = { parent: string; name: string };

/** What one look at the processes shows. */
export type TreeFacts = {
  census: Census;
  belonging: Belonging;
  /** How the shell was started, and with which arguments its process runs now. */
  launched: readonly string[];
  runsNow: readonly string[] | null;
  /** Time on the processor that the shell had used at an earlier look (ticks); null without one. */
  cpuTicksBefore: number | null;
};

/** What tells a session's processes, and how its shell was started. */
export type TreeOptions = {
  id: string;
  /** What they carry as `HOLDFAST_HOST`. */
  mark: string;
  launch: Pick<Launch, 'file' | 'args'>;
  /** An agent's own process is a program in the foreground. */
  isAgent: boolean;
  pid: number;
  /** The cgroup to be made for them, or null. */
  group: GroupPlace | null;
  /** Called when some could not be ended. */
  onLeft: (pids: number[]) => void;
};

export class ProcessTree {
  /** The shell. */
  readonly leader: ProcessRef;
  readonly id: string;
  readonly isAgent: boolean;
  readonly #options: TreeOptions;
  readonly #group: Group | null;
  #cpuTicks: number | null = null;

  /** Takes in a shell that was just started, before it has started anything itself. */
  constructor(options: TreeOptions) {
    const { pid, group } = options;
    this.#options = options;
    this.id = options.id;
    this.isAgent = options.isAgent;
    this.leader = { pid, startTime: startTimeOf(pid) };
    this.#group = group && Group.create(group.parent, group.name, pid);
  }

  /** The directory of the shell, or null. */
  workingDirectory(): string | null {
    return workingDirectoryOf(this.leader.pid);
  }

  /** The command in the foreground other than the shell, else a background job; null at a bare prompt. */
  foreground(): string | null {
    const { pid } = this.leader;
    return runningCommand(pid) ?? (this.isAgent ? commandOf(pid) : null);
  }

  /** Signals the job in the foreground of the terminal. */
  signalForeground(name: SignalName): void {
    const group = foregroundGroupOf(this.leader.pid);
    if (group !== null && isAlive(this.leader)) signal({ pid: -group, startTime: '' }, `SIG${name}`);
  }

  look(census: Census): TreeFacts {
    const { id, mark, launch } = this.#options;
    const { leader } = this;
    const cpuTicksBefore = this.#cpuTicks;
    this.#cpuTicks = census.get(leader.pid)?.cpuTicks ?? null;
    return {
      census,
      belonging: { id, mark, leader, known: [], grouped: this.#group?.pids() ?? [] },
      launched: [launch.file, ...launch.args],
      runsNow: argumentsOf(leader.pid),
      cpuTicksBefore,
    };
  }

  /** Ends all of them, see `endProcesses`. */
  async end(): Promise<void> {
    const { id, mark, onLeft } = this.#options;
    const left = await endProcesses({ id, mark, leader: this.leader, groups: this.#group ? [this.#group] : [] });
    if (left.length > 0) onLeft(left.map(({ pid }) => pid));
  }

  /** Gives the cgroup back if nothing runs in it. */
  release(): void {
    this.#group?.remove();
  }
}
