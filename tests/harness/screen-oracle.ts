/** What a page must show: the recorded stream, replayed into the emulator that the host's screens are made of. */
import { expect, type Page } from '@playwright/test';
import { DEFAULT_SIZE } from '@/lib/protocol/limits';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import type { Size } from '@/lib/protocol/wire';
import { cleanTitle, Screen } from '@/ws-server/host/screen';
import { type App, PROMPT } from './app';
import { dumpTerminal } from './dump';
import type { Viewer } from './viewer';
import {
  dump,
  openWorkspace,
  type PageScreen,
  pointAtCell,
  pressIn,
  screenText,
  typeInto,
  waitForTerminal,
  waitForText,
} from './workspace-page';

const sameSize = (a: Size, b: Size) => a.cols === b.cols && a.rows === b.rows;
const fault = (error: unknown) => {
  throw error;
};

/** The sizes that a stream has at a position: before, and after each change that stands exactly there. */
function sizesAt(recorder: Viewer, position: number): Size[] {
  const sizes: Size[] = [DEFAULT_SIZE];
  for (const event of recorder.events) {
    if (event.event !== 'resized' || event.position > position) continue;
    if (event.position < position) sizes[0] = event;
    else sizes.push(event);
  }
  return sizes;
}

/** Writes the bytes [0, position) with each change of size at its place, and ends with `size`. */
function replay(recorder: Viewer, position: number, size: Size): Screen {
  const screen = new Screen(DEFAULT_SIZE, { reply: () => undefined, title: () => undefined, fault });
  let written = 0;
  const writeTo = (end: number) => {
    screen.write(recorder.output.subarray(written, end));
    written = end;
  };
  for (const event of recorder.events) {
    if (event.event !== 'resized' || event.position >= position) continue;
    writeTo(event.position);
    screen.resize(event);
  }
  writeTo(position);
  for (const each of sizesAt(recorder, position)) {
    screen.resize(each);
    if (sameSize(each, size)) break;
  }
  return screen;
}

/** A session in a page, beside a recorder that has all of its bytes. */
export class WatchedTab {
  readonly page: Page;
  readonly project: Project;
  readonly session: TerminalSession;
  readonly recorder: Viewer;

  private constructor(page: Page, project: Project, session: TerminalSession, recorder: Viewer) {
    this.page = page;
    this.project = project;
    this.session = session;
    this.recorder = recorder;
  }

  /** Starts a shell, records it from its first byte, and opens it in a page. */
  static async open(app: App, page: Page, project: Project): Promise<WatchedTab> {
    const session = await app.createTerminal(project, 'watched');
    const recorder = await app.record(session);
    await openWorkspace(app, page, project, session.id);
    const tab = new WatchedTab(page, project, session, recorder);
    await tab.waitForText(PROMPT);
    return tab;
  }

  /** Compares the page with the replay of exactly the bytes that it has parsed: scrollback, screen, cursor, modes, title. */
  async expectSame(page: Page = this.page): Promise<PageScreen> {
    const { recorder, session } = this;
    const shown = await dump(page, session.id);
    const { position } = shown;
    if (position === null) throw new Error('the page shows nothing');
    await recorder.waitFor(`the bytes up to ${position}`, () => recorder.position >= position);
    await recorder.waitFor(`the size ${shown.dump.cols}x${shown.dump.rows} at ${position}`, () =>
      sizesAt(recorder, position).some((size) => sameSize(size, shown.dump)),
    );
    expect(recorder.snapshots, 'the recorder was not skipped').toEqual([]);
    expect(recorder.holes, 'the recorder has every byte').toEqual([]);
    const screen = replay(recorder, position, shown.dump);
    try {
      expect(shown.dump, `the screen at ${position}`).toEqual(dumpTerminal(screen.terminal));
      expect(cleanTitle(shown.title), `the title at ${position}`).toBe(screen.title);
    } finally {
      screen.dispose();
    }
    return shown;
  }

  /** Reloads the page, and compares before and after. Gives what the page shows then. */
  async expectSameOverReload(): Promise<PageScreen> {
    await this.expectSame();
    await this.page.reload();
    await waitForTerminal(this.page, this.session.id);
    return this.expectSame();
  }

  /** Types as with a keyboard; `\n` is Enter. */
  type(text: string): Promise<void> {
    return typeInto(this.page, this.session.id, text);
  }

  press(...keys: string[]): Promise<void> {
    return pressIn(this.page, this.session.id, ...keys);
  }

  waitForText(text: string | RegExp): Promise<void> {
    return waitForText(this.page, this.session.id, text);
  }

  screenText(): Promise<string> {
    return screenText(this.page, this.session.id);
  }

  /** Proves that the shell has the terminal back and is typed into, and compares once more. */
  async expectShell(): Promise<void> {
    // Programs discard what was typed before they gave the terminal back.
    await this.waitForText(new RegExp(`\\n${PROMPT}\\s*$`));
    await this.type('echo "back $((6 * 7))"\n');
    await this.waitForText(/^back 42$/m);
    await this.expectSame();
  }

  /** Moves the mouse to a cell, counted from 0. */
  pointAt(cell: { col: number; row: number }): Promise<void> {
    return pointAtCell(this.page, this.session.id, cell);
  }

  /** Clicks into a cell, counted from 0. */
  async clickAt(cell: { col: number; row: number }): Promise<void> {
    await this.pointAt(cell);
    await this.page.mouse.down();
    await this.page.mouse.up();
  }

  /** Changes the size of the browser's window, and waits until the terminal has followed. */
  async resizeWindow(width: number, height: number): Promise<void> {
    const before = (await dump(this.page, this.session.id)).dump;
    await this.page.setViewportSize({ width, height });
    await expect.poll(async () => sameSize((await dump(this.page, this.session.id)).dump, before)).toBe(false);
  }

  /** Waits until the program has written more than it has now. */
  async waitForMore(): Promise<void> {
    const from = this.recorder.position;
    await this.recorder.waitFor('more output', () => this.recorder.position > from);
  }
}
