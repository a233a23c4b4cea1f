/** The workspace as a user handles it in the browser, and what its terminals hold. */
import { expect, type Locator, type Page } from '@playwright/test';
import type { ConnectionFacts } from '@/lib/client/facts';
import type { Project } from '@/lib/protocol/rest';
import type { App } from './app';
import { dumpTerminal } from './dump';

/** Cookies of the browsers that have signed in to an app: one link serves all pages of a test file. */
const cookies = new WeakMap<App, Awaited<ReturnType<ReturnType<Page['context']>['cookies']>>>();
const DEADLINE_MS = 15_000;
const POLL_MS = [30];

/** What a terminal of the page shows, taken between two chunks of output. */
export type PageScreen = {
  /** The stream position that is parsed; null while there is nothing to show. */
  position: number | null;
  /** The title that the terminal has parsed, and the one that the workspace shows. */
  title: string;
  shownTitle: string;
  dump: ReturnType<typeof dumpTerminal>;
};

/** Opens a project's workspace, signed in, with the tab of a session in front if one is named. */
export async function openWorkspace(app: App, page: Page, project: Project, sessionId?: string): Promise<void> {
  const context = page.context();
  const known = cookies.get(app);
  if (known) await context.addCookies(known);
  else await app.signIn(page);
  cookies.set(app, await context.cookies(app.origin));
  await page.goto(`${app.origin}/projects/${project.id}${sessionId ? `?tab=${sessionId}` : ''}`);
  if (sessionId) await waitForTerminal(page, sessionId);
}

/** Creates a shell with the button of the tab strip, and gives its session id. */
export async function newShell(page: Page): Promise<string> {
  const tabs = page.getByRole('tab');
  const before = await tabs.evaluateAll((all) => all.map(({ id }) => id));
  await page.getByRole('button', { name: 'New shell' }).first().click();
  let added: string | undefined;
  await expect
    .poll(async () => {
      const now = await tabs.evaluateAll((all) => all.map(({ id }) => id));
      added = now.find((id) => !before.includes(id));
      return added;
    })
    .toBeDefined();
  const sessionId = added?.replace(/^tab-/, '') ?? '';
  await waitForTerminal(page, sessionId);
  return sessionId;
}

/** Brings a tab to the front by its name. */
export async function selectTab(page: Page, tabName: string): Promise<void> {
  await page.getByRole('tab', { name: tabName }).click();
}

/** The element of a session's terminal. */
export function terminalOf(page: Page, sessionId: string): Locator {
  return page.locator(`[data-testid="terminal"][data-session-id="${sessionId}"]`);
}

/** Waits until a terminal is connected and shows its screen. */
export async function waitForTerminal(page: Page, sessionId: string): Promise<void> {
  await expect(terminalOf(page, sessionId)).toHaveAttribute('data-state', 'live', { timeout: DEADLINE_MS });
  await expect
    .poll(
      async () => (await read<number | null>(page, sessionId, '({connection}) => connection.parsedPosition')) !== null,
    )
    .toBe(true);
}

/** Runs a function's source with the `{terminal, connection}` of a session, in one turn of the page. */
function read<T>(page: Page, sessionId: string, source: string): Promise<T> {
  return readAt(page, `[data-testid="terminal"][data-session-id="${sessionId}"]`, source);
}

/** Runs a function's source with what an element of the page holds for tests, in one turn of the page. */
export function readAt<T>(page: Page, selector: string, source: string): Promise<T> {
  // As text: functions of compiled test files may name helpers that the page does not have.
  return page.evaluate<T>(`(() => {
    const __name = (value) => value;
    return (${source})(document.querySelector(${JSON.stringify(selector)}).holdfast);
  })()`);
}

/** Everything that a terminal holds, and the stream position that it belongs to. */
export function dump(page: Page, sessionId: string): Promise<PageScreen> {
  return read(
    page,
    sessionId,
    `({ terminal, connection }) => ({
      position: connection.parsedPosition,
      title: terminal._core._inputHandler._windowTitle,
      shownTitle: connection.getSnapshot().title,
      dump: (${dumpTerminal.toString()})(terminal),
    })`,
  );
}

/** What a terminal's connection knows now. */
export function facts(page: Page, sessionId: string): Promise<ConnectionFacts> {
  return read(page, sessionId, '({ connection }) => connection.getSnapshot()');
}

/** Scrollback and screen of the active buffer as text; a wrapped line is one line. */
export function bufferText(page: Page, sessionId: string): Promise<string> {
  return read(page, sessionId, textSource('0'));
}

/** The rows of the screen as text; a wrapped line is one line. */
export function screenText(page: Page, sessionId: string): Promise<string> {
  return read(page, sessionId, textSource('buffer.baseY'));
}

function textSource(start: string): string {
  return `({ terminal }) => {
    const buffer = terminal.buffer.active;
    const lines = [];
    for (let y = ${start}; y < buffer.length; y++) {
      const line = buffer.getLine(y);
      const text = line.translateToString(buffer.getLine(y + 1)?.isWrapped !== true);
      if (line.isWrapped && lines.length > 0) lines[lines.length - 1] += text;
      else lines.push(text);
    }
    return lines.join('\\n');
  }`;
}

/** Waits until scrollback and screen of a terminal hold a text. */
export async function waitForText(
  page: Page,
  sessionId: string,
  text: string | RegExp,
  timeout = DEADLINE_MS,
): Promise<void> {
  const poll = expect.poll(() => bufferText(page, sessionId), { timeout, intervals: POLL_MS });
  if (typeof text === 'string') await poll.toContain(text);
  else await poll.toMatch(text);
}

/** Types into a terminal, as with a keyboard; `\n` is Enter. */
export async function typeInto(page: Page, sessionId: string, text: string): Promise<void> {
  await focusTerminal(page, sessionId);
  await page.keyboard.type(text);
}

/** Presses keys in a terminal, each by its name as Playwright knows it, for example `Control+c`. */
export async function pressIn(page: Page, sessionId: string, ...keys: string[]): Promise<void> {
  await focusTerminal(page, sessionId);
  for (const key of keys) await page.keyboard.press(key);
}

/** Moves the mouse to the middle of a cell, counted from 0. */
export async function pointAtCell(page: Page, sessionId: string, cell: { col: number; row: number }): Promise<void> {
  const { cols, rows } = await read<{ cols: number; rows: number }>(
    page,
    sessionId,
    '({ terminal }) => ({ cols: terminal.cols, rows: terminal.rows })',
  );
  const box = await terminalOf(page, sessionId).locator('.xterm-screen').boundingBox();
  if (!box) throw new Error(`the terminal of ${sessionId} is not shown`);
  await page.mouse.move(box.x + ((cell.col + 0.5) * box.width) / cols, box.y + ((cell.row + 0.5) * box.height) / rows);
}

async function focusTerminal(page: Page, sessionId: string): Promise<void> {
  await terminalOf(page, sessionId).locator('.xterm-helper-textarea').focus();
}
