/** What is known of a session and only told: its name and place, what its program says of itself, how it ended. */
import type { ExitFacts, Label, LiveSession, SessionType } from '@/lib/protocol/control';
import { WINDOW_BYTES } from '@/lib/protocol/limits';
import { type Event, type Mode, type Size, WIRE_REVISION } from '@/lib/protocol/wire';

/** What does not change while a session lives. */
type Known = { id: string; epoch: number; hostId: string; type: SessionType };

/** What is read when somebody asks. */
type Present = Pick<LiveSession, 'pid' | 'foreground' | 'viewers' | 'position' | 'state' | 'idleEndsAt'>;

/** Facts that are worth keeping when the session is over. */
export type LastingFacts = Pick<LiveSession, 'type' | 'label' | 'cwd' | 'title' | 'createdAt'>;

type Attached = Extract<Event, { event: 'attached' }>;

/** The facts of one session; the session itself keeps them true. */
export class SessionFacts {
  label: Label;
  size: Size;
  cwd: string;
  title = '';
  /** How its program ended, as soon as that is known; its output may still be drawn. */
  exit: ExitFacts | null = null;
  readonly createdAt = Date.now();
  lastActivity = this.createdAt;
  readonly #known: Known;

  constructor({ id, epoch, hostId, type }: Known, { label, cols, rows, cwd }: { label: Label; cwd: string } & Size) {
    this.#known = { id, epoch, hostId, type };
    this.label = label;
    this.size = { cols, rows };
    this.cwd = cwd;
  }

  get lasting(): LastingFacts {
    const { label, cwd, title, createdAt } = this;
    return { type: this.#known.type, label, cwd, title, createdAt };
  }

  /** All of them; how it ended only from then on that it has. */
  at(present: Present): LiveSession {
    const { size, lasting, lastActivity, exit } = this;
    return {
      ...this.#known,
      ...size,
      ...lasting,
      ...present,
      lastActivity,
      exit: present.state === 'ended' ? exit : null,
    };
  }

  /** What a viewer is told first. */
  attached(
    { name: viewer, mode }: { name: string; mode: Mode },
    { revision, ...now }: Pick<Attached, 'revision' | 'position' | 'inputSeq' | 'status' | 'driver'>,
  ): Attached {
    const { epoch } = this.#known;
    const agreed = { revision: Math.min(revision, WIRE_REVISION), window: WINDOW_BYTES };
    return { event: 'attached', epoch, viewer, mode, ...agreed, ...now, ...this.size };
  }
}
