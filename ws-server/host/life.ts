/** The life of a session: its states, and which of them may follow which. */
import type { SessionState } from '@/lib/protocol/control';
import type { EndReason } from '@/lib/protocol/wire';

const NEXT: Record<SessionState, readonly SessionState[]> = {
  creating: ['active', 'error'],
  active: ['inactive', 'terminating'],
  inactive: ['active', 'terminating'],
  terminating: ['ended'],
  ended: [],
  error: [],
};

/** Where one session stands. It begins as `creating`; `inactive` is a bare shell that nobody has used for the idle time. */
export class Life {
  #state: SessionState = 'creating';
  #reason: EndReason | null = null;

  get state(): SessionState {
    return this.#state;
  }

  /** Why it ends or has ended: the first reason that was given. */
  get reason(): EndReason | null {
    return this.#reason;
  }

  /** Whether its program runs and nobody is ending it. */
  get isOpen(): boolean {
    return this.#state === 'active' || this.#state === 'inactive';
  }

  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Goes on to another state. @throws Error when that one cannot follow; nothing has changed then */
  become(next: Exclude<SessionState, 'terminating'>): void {
    this.#follow(next);
  }

  /** Its end begins. @throws Error when it is not open */
  terminate(reason: EndReason): void {
    this.#follow('terminating');
    this.#reason = reason;
  }

  #follow(next: SessionState): void {
    if (!NEXT[this.#state].includes(next)) throw new Error(`a session that is ${this.#state} cannot become ${next}`);
    this.#state = next;
  }
}
