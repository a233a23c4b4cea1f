/** When a session that nobody uses may be ended: never as long as anything runs in it but the shell itself. */
import type { Logger } from '@/lib/log';
import { IDLE_WARNING_MS } from '@/lib/protocol/limits';
import { type Census, membersOf, takeCensus } from './census';
import type { Life } from './life';
import type { ProcessTree, TreeFacts } from './process-tree';

/** Without a time-out, a session counts as inactive after this (ms). */
const INACTIVE_MS = 1_800_000;
/** Unused for less than this (ms), a session is not ended for want of memory; a sixth of a time-out that is shorter. */
const SHED_IDLE_MS = 60_000;

/** What is known of a session at one moment. */
export type EndFacts = TreeFacts & {
  isOpen: boolean;
  isPinned: boolean;
  /** An agent is a program that runs, also when it waits for its user. */
  isAgent: boolean;
  viewers: number;
  /** How long ago the last input, output, viewer or `keep` was (ms). */
  unusedMs: number;
};

/** Whether the session is an open shell at its prompt, without viewers, and everything that it has started is over. */
function isBare({ isOpen, isAgent, viewers, census, belonging, launched, runsNow }: EndFacts): boolean {
  const { leader } = belonging;
  const shell = leader && census.get(leader.pid);
  if (!isOpen || isAgent || viewers > 0 || !shell || shell.startTime !== leader.startTime) return false;
  // After `exec vim` the shell's process is no shell any more.
  const isShell = runsNow?.length === launched.length && launched.every((word, n) => word === runsNow[n]);
  const isInFront = shell.foregroundGroup === shell.group;
  return isShell && isInFront && membersOf(census, belonging).every(({ pid }) => pid === shell.pid);
}

/** Whether a session may be ended that nobody has used for `idleMs`: it is bare, and its shell has not worked since an earlier look. */
export function mayEnd(facts: EndFacts, idleMs: number): boolean {
  const { isPinned, unusedMs, census, belonging, cpuTicksBefore } = facts;
  if (isPinned || unusedMs < idleMs || !isBare(facts)) return false;
  return cpuTicksBefore !== null && census.get(belonging.leader?.pid ?? 0)?.cpuTicks === cpuTicksBefore;
}

/** What the idleness of a session depends on. */
export type IdlenessOptions = {
  life: Life;
  tree: ProcessTree;
  viewers(): number;
  isPinned(): boolean;
  /** It became active or inactive, or its end was announced (ms since 1970) or is off (null). */
  onChange(endsAt: number | null): void;
  end(reason: 'idle' | 'memory'): Promise<void>;
};

/** How long a session has been unused, and what follows. It counts by a clock that nobody sets. */
export class Idleness {
  readonly #options: IdlenessOptions;
  #usedAt = performance.now();
  #announcedAt: number | null = null;
  #endsAt: number | null = null;

  constructor(options: IdlenessOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#options.tree.id;
  }

  get isOpen(): boolean {
    return this.#options.life.isOpen;
  }

  get isInactive(): boolean {
    return this.#options.life.state === 'inactive';
  }

  get isPinned(): boolean {
    return this.#options.isPinned();
  }

  /** How long ago it was used (ms); 0 while somebody looks. */
  get unusedMs(): number {
    return this.#options.viewers() > 0 ? 0 : performance.now() - this.#usedAt;
  }

  /** How long ago its end was announced (ms), or null. */
  get announcedMs(): number | null {
    return this.#announcedAt === null ? null : performance.now() - this.#announcedAt;
  }

  /** When it will end, for people (ms since 1970), or null. */
  get endsAt(): number | null {
    return this.#endsAt;
  }

  /** The idle time begins anew. */
  use(): void {
    this.#usedAt = performance.now();
    if (this.#announcedAt === null && !this.isInactive) return;
    this.#announcedAt = null;
    this.#endsAt = null;
    if (this.isInactive) this.#options.life.become('active');
    this.#options.onChange(null);
  }

  /** Its end is to come after `afterMs`. */
  announceEnd(afterMs: number): void {
    this.#announcedAt = performance.now();
    this.#endsAt = Date.now() + afterMs;
    this.#options.onChange(this.#endsAt);
  }

  becomeInactive(): void {
    this.#options.life.become('inactive');
    this.#options.onChange(null);
  }

  /** The facts as a census shows them; the next ones hold the processor time of these. */
  look(census: Census): EndFacts {
    const { viewers, tree } = this.#options;
    const { isOpen, isPinned, unusedMs } = this;
    return { ...tree.look(census), isOpen, isPinned, isAgent: tree.isAgent, viewers: viewers(), unusedMs };
  }

  end(reason: 'idle' | 'memory'): Promise<void> {
    return this.#options.end(reason);
  }
}

/** Ends what is idle for the whole time-out, and announces it before. One for each host. */
export class IdleRule {
  readonly #timeoutMs: number;
  readonly #warningMs: number;
  readonly #shedIdleMs: number;
  readonly #log: Logger;
  #isSweeping = false;

  /** @param timeoutMs 0: nothing is ended */
  constructor(timeoutMs: number, log: Logger) {
    this.#timeoutMs = timeoutMs;
    this.#warningMs = Math.min(IDLE_WARNING_MS, timeoutMs / 6);
    this.#shedIdleMs = timeoutMs > 0 ? Math.min(SHED_IDLE_MS, timeoutMs / 6) : SHED_IDLE_MS;
    this.#log = log;
  }

  /** To be called about once a second: looks at no process unless a session's time has come. */
  async sweep(sessions: readonly Idleness[]): Promise<void> {
    if (this.#isSweeping) return;
    const due = sessions.filter((session) => this.#isDue(session));
    if (due.length === 0) return;
    this.#isSweeping = true;
    try {
      const census = await takeCensus();
      // What was used during the census is not due any more.
      const ending = due.filter((session) => this.#isDue(session) && this.#judge(session, census));
      await Promise.all(ending.map((session) => this.#end(session, 'idle')));
    } finally {
      this.#isSweeping = false;
    }
  }

  /** The ids of those that could be ended for want of memory, if they are still so at the next look. */
  async findUnused(sessions: readonly Idleness[]): Promise<string[]> {
    const census = await takeCensus();
    const found = sessions.filter((session) => {
      const facts = session.look(census);
      return isBare(facts) && !facts.isPinned && facts.unusedMs >= this.#shedIdleMs;
    });
    return found.map(({ id }) => id);
  }

  /** Ends those that may still be ended, and gives their ids. */
  async endUnused(sessions: readonly Idleness[]): Promise<string[]> {
    const census = await takeCensus();
    const ending = sessions.filter((session) => mayEnd(session.look(census), this.#shedIdleMs));
    await Promise.all(ending.map((session) => this.#end(session, 'memory')));
    return ending.map(({ id }) => id);
  }

  #canEnd(session: Idleness): boolean {
    return this.#timeoutMs > 0 && !session.isPinned;
  }

  #isDue(session: Idleness): boolean {
    if (!session.isOpen) return false;
    if (session.announcedMs !== null) return session.announcedMs >= this.#warningMs;
    if (this.#canEnd(session)) return session.unusedMs >= this.#timeoutMs - this.#warningMs;
    return !session.isInactive && session.unusedMs >= (this.#timeoutMs || INACTIVE_MS);
  }

  /** Does what is due, but for the end itself: whether that is. */
  #judge(session: Idleness, census: Census): boolean {
    const facts = session.look(census);
    const isAnnounced = session.announcedMs !== null;
    if (!isBare(facts) || (isAnnounced && !mayEnd(facts, this.#timeoutMs))) {
      session.use();
      return false;
    }
    if (isAnnounced) return true;
    if (this.#canEnd(session)) session.announceEnd(this.#warningMs);
    else session.becomeInactive();
    return false;
  }

  async #end(session: Idleness, reason: 'idle' | 'memory'): Promise<void> {
    this.#log.info({ session: session.id, reason, unusedMs: session.unusedMs }, 'a bare session that nobody uses ends');
    await session.end(reason);
  }
}
