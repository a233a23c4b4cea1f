/** The screen of a session behind its ring: drawn when it has to be, and only as far as it can still be seen. */
import { inflateRawSync } from 'node:zlib';
import { SCROLLBACK_LINES } from '@/lib/protocol/limits';
import type { CellSize, Colours, Size } from '@/lib/protocol/wire';
import type { Ring } from './ring';
import { Screen, type ScreenEvents, type SleepingScreen, type Snapshot } from './screen';
import type { SizeMarks } from './size-marks';
import { Skim } from './skim';

/** Output drawn before other sessions get their turn (bytes). */
const SLICE_BYTES = 64 * 1024;
/** Behind something that is not plain so much is drawn before the next look ahead (bytes). */
const STEP_BYTES = 4 * 1024;
/** Plain output above this is cut, and what is left may wait up to that (bytes): both stay well inside of the ring. */
const CUT_BYTES = 256 * 1024;
const WAITING_BYTES_MAX = 1024 * 1024;

/** Memory of a terminal beside its cells (bytes), as measured. */
const TERMINAL_BYTES = 160 * 1024;

/** What the driver's terminal looks like, for answers to queries. */
type Look = { cell?: CellSize | undefined; colours?: Colours | undefined };

export class Drawing {
  readonly #ring: Ring;
  readonly #marks: SizeMarks;
  readonly #events: ScreenEvents;
  /** The screen, or what is left of it while nothing happens. */
  #screen: Screen | null;
  #asleep: SleepingScreen | null = null;
  #look: Look = {};
  #skim: Skim | null = null;
  /** The position up to which output is drawn or left out, and the last change of size that is applied. */
  #drawn = 0;
  #appliedMark = 0;

  constructor(ring: Ring, marks: SizeMarks, size: Size, events: ScreenEvents) {
    this.#ring = ring;
    this.#marks = marks;
    this.#events = events;
    this.#screen = new Screen(size, events);
  }

  /** Bytes that are not drawn yet. */
  get waiting(): number {
    return this.#ring.end - this.#drawn;
  }

  get isHibernated(): boolean {
    return this.#screen === null;
  }

  /** Memory that it holds: a sleeping screen's text, or an estimate for a terminal (bytes). */
  get bytes(): number {
    if (!this.#screen) return this.#asleep?.deflated.length ?? 0;
    return TERMINAL_BYTES + this.#screen.bytes;
  }

  /** What the driver's terminal looks like, for answers to queries. */
  describe(look: Look): void {
    this.#look = { cell: look.cell ?? this.#look.cell, colours: look.colours ?? this.#look.colours };
    this.#screen?.describe(look);
  }

  /** Puts the terminal away until it is needed again. False when that would not bring back the same one. */
  hibernate(): boolean {
    const screen = this.drawAll();
    this.#asleep = screen.sleep();
    if (!this.#asleep) return false;
    screen.dispose();
    this.#screen = null;
    this.#skim = null;
    return true;
  }

  /** Draws text above everything that comes. */
  drawPreface(text: string): void {
    this.#awake().draw(Buffer.from(text));
  }

  /**
   * The screen of this moment: what waits is drawn first, so that a viewer never goes back.
   * @param scrollback lines above the screen to take along
   */
  snapshot(scrollback?: number): { snapshot: Snapshot; markSeq: number } {
    if (this.#asleep && scrollback === undefined && this.waiting === 0 && !this.#nextMark()) {
      const { deflated, ...snapshot } = this.#asleep;
      return { snapshot: { ...snapshot, text: inflateRawSync(deflated) }, markSeq: this.#appliedMark };
    }
    return { snapshot: this.drawAll().snapshot(this.#ring.start, scrollback), markSeq: this.#appliedMark };
  }

  /** Draws a slice of what may have an effect outside of its lines. False when all that is left is plain and can wait. */
  drawNeeded(): boolean {
    for (let budget = SLICE_BYTES; budget > 0; ) {
      if (this.#canWait()) return false;
      const from = this.#drawn;
      const step = this.#skim?.isOver ? this.#skim.position + STEP_BYTES - from : budget;
      this.#drawTo(Math.min(this.#ring.end, from + Math.min(step, budget)));
      budget -= Math.max(1, this.#drawn - from);
    }
    return true;
  }

  /** Draws a slice of what waits. False when nothing is left. */
  drawSome(): boolean {
    this.#leaveOut();
    this.#drawTo(Math.min(this.#ring.end, this.#drawn + SLICE_BYTES));
    return this.waiting > 0;
  }

  /** Draws all that waits. */
  drawAll(): Screen {
    this.#leaveOut();
    this.#drawTo(this.#ring.end);
    return this.#awake();
  }

  dispose(): void {
    this.#screen?.dispose();
  }

  #awake(): Screen {
    if (this.#screen) return this.#screen;
    if (!this.#asleep) throw new Error('a screen is awake or asleep');
    this.#screen = Screen.wake(this.#asleep, this.#events);
    this.#screen.describe(this.#look);
    this.#asleep = null;
    return this.#screen;
  }

  #canWait(): boolean {
    if (this.#nextMark()) return false;
    if (this.waiting === 0) return true;
    if (!this.#skim && !this.#awake().scrollsPlainly) return false;
    this.#skim ??= new Skim(this.#drawn);
    this.#lookAhead(this.#skim);
    if (this.waiting > CUT_BYTES || this.#skim.isOver) this.#leaveOut();
    return !this.#skim.isOver && this.waiting <= WAITING_BYTES_MAX;
  }

  #lookAhead(skim: Skim): void {
    const end = this.#nextMark()?.position ?? this.#ring.end;
    if (skim.isOver || end <= skim.next) return;
    for (const slice of this.#ring.slices(skim.next, end)) skim.scan(slice);
  }

  /**
   * Leaves out what is sure to scroll out. So many line feeds follow the cut, within plain output, that the cursor comes to the last
   * row and then scrolls every row out that was there at the cut: all that is left was drawn behind it.
   */
  #leaveOut(): void {
    if (!this.#skim) return;
    this.#lookAhead(this.#skim);
    const screen = this.#awake();
    const cut = this.#skim.cut(SCROLLBACK_LINES + 2 * screen.size.rows);
    if (!cut || cut.position <= this.#drawn || !screen.scrollsPlainly) return;
    screen.leaveOut(cut);
    this.#skim.forget(cut);
    this.#drawn = cut.position;
  }

  /** Feeds the screen, with each change of size at its position. */
  #drawTo(until: number): void {
    for (;;) {
      const mark = this.#nextMark();
      if (mark && mark.position <= this.#drawn) {
        this.#awake().resize(mark);
        this.#appliedMark = mark.seq;
        this.#skim = null;
        continue;
      }
      const end = Math.min(until, mark?.position ?? until);
      if (end > this.#drawn) {
        const screen = this.#awake();
        for (const slice of this.#ring.slices(this.#drawn, end)) screen.write(slice);
        this.#drawn = end;
        continue;
      }
      if (this.#skim && (this.#drawn > this.#skim.position || this.waiting === 0)) this.#skim = null;
      return;
    }
  }

  #nextMark() {
    return this.#marks.after(this.#appliedMark);
  }
}
