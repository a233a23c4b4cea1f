/** Output older than the scrollback: read from the journal, in the place of the terminal. */
import { expect, type Locator, type Page } from '@playwright/test';
import { THEMES } from '@/components/terminal/themes';
import { test } from '@/tests/harness/e2e';
import { bufferText, readAt, terminalOf, typeInto, waitForText } from '@/tests/harness/workspace-page';

/** Lines begin with their number, so that what is shown says where it is. These are about 3 MB: more than one page. */
const LINES = 40_000;
const REST_OF_LINE = 'and some words that make the line as long as lines of logs are';
const DEADLINE_MS = 30_000;
const HISTORY = '[data-testid="history"]';

type View = { top: string; viewportY: number; baseY: number; length: number; hasFocus: boolean };

/** What the terminal in an element shows. */
function viewOf(page: Page, selector: string): Promise<View> {
  return readAt<View>(
    page,
    selector,
    `({ terminal }) => {
      const { viewportY, baseY, length } = terminal.buffer.active;
      const top = terminal.buffer.active.getLine(viewportY).translateToString(true);
      return { top, viewportY, baseY, length, hasFocus: terminal.textarea === document.activeElement };
    }`,
  );
}

function liveSelector(sessionId: string): string {
  return `[data-testid="terminal"][data-session-id="${sessionId}"]`;
}

/** Turns the wheel over the terminal. */
async function wheel(page: Page, sessionId: string, deltaY: number): Promise<void> {
  const box = await terminalOf(page, sessionId).boundingBox();
  if (!box) throw new Error('the terminal is not shown');
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.wheel(0, deltaY);
}

/** Prints numbers until the scrollback is full, and scrolls to its top; gives the number in the oldest line. */
async function fill(page: Page, sessionId: string, lines: number): Promise<number> {
  // In parts, so that the journal has time for a frame between them.
  const part = lines / 4;
  const numbers = `seq -f '%.0f ${REST_OF_LINE}' $((i * ${part} + 1)) $(((i + 1) * ${part}))`;
  await typeInto(page, sessionId, `for i in 0 1 2 3; do ${numbers}; sleep 0.7; done; echo fill""ed\n`);
  await waitForText(page, sessionId, 'filled', DEADLINE_MS);
  await readAt(page, liveSelector(sessionId), '({ terminal }) => terminal.scrollToTop()');
  await expect(page.getByRole('button', { name: 'Earlier output' })).toBeVisible();
  return Number.parseInt((await viewOf(page, liveSelector(sessionId))).top, 10);
}

async function shownHistory(page: Page): Promise<Locator> {
  const history = page.getByTestId('history');
  await expect(history).toHaveAttribute('data-state', 'shown', { timeout: DEADLINE_MS });
  return history;
}

test('P9 scrolling up beyond the scrollback goes on in the history to the first line, and down leads back', async ({
  page,
  tab,
}) => {
  test.setTimeout(180_000);
  const { id } = tab.session;
  const oldest = await fill(page, id, LINES);
  expect(oldest).toBeGreaterThan(LINES - 1_100);

  await wheel(page, id, -120);
  const history = await shownHistory(page);
  const opened = await viewOf(page, HISTORY);
  expect(Number.parseInt(opened.top, 10), 'the lines above the one that was on top').toBe(oldest - 3);
  expect(opened.hasFocus).toBe(true);
  await expect(history).toContainText(/History · read only · \d.* of \d/);
  await wheel(page, id, -120);
  await expect.poll(async () => Number.parseInt((await viewOf(page, HISTORY)).top, 10)).toBeLessThan(oldest - 3);

  await page.keyboard.press('Home');
  // Each page is put before what is there, and the line that is read stays where it is.
  await expect.poll(async () => (await viewOf(page, HISTORY)).length, { timeout: DEADLINE_MS }).toBeGreaterThan(LINES);
  const grown = await viewOf(page, HISTORY);
  expect(grown.viewportY).toBeGreaterThan(0);
  await expect(history).toContainText('since it was started');
  await page.keyboard.press('Home');
  await expect.poll(async () => (await viewOf(page, HISTORY)).top).toMatch(/^hf% for/);

  await page.keyboard.press('End');
  await expect.poll(async () => (await viewOf(page, HISTORY)).viewportY).toBe((await viewOf(page, HISTORY)).baseY);
  await wheel(page, id, 120);
  await expect(history).toHaveCount(0);
  await expect.poll(async () => (await viewOf(page, liveSelector(id))).hasFocus).toBe(true);
});

test('P10 what is typed or pasted into the history goes to the program, and Escape only leads back', async ({
  page,
  tab,
}) => {
  test.setTimeout(120_000);
  const { id } = tab.session;
  await fill(page, id, 5_000);
  const history = page.getByTestId('history');

  await page.keyboard.press('Shift+PageUp');
  await shownHistory(page);
  await page.keyboard.press('Escape');
  await expect(history).toHaveCount(0);

  await page.keyboard.press('Control+Shift+H');
  await shownHistory(page);
  await page.keyboard.type('echo ty""ped\n');
  await expect(history).toHaveCount(0);
  await waitForText(page, id, 'typed');

  await page.keyboard.press('Control+Shift+H');
  await shownHistory(page);
  await page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', 'echo pas""ted');
    document.activeElement?.dispatchEvent(
      new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }),
    );
  });
  await expect(history).toHaveCount(0);
  await page.keyboard.press('Enter');
  await waitForText(page, id, 'pasted');
  expect(await bufferText(page, id)).not.toContain('\u001b');
});

test('P10 the history answers no query and reports no click, and search finds in it what the scrollback has lost', async ({
  page,
  tab,
}) => {
  test.setTimeout(120_000);
  const { id } = tab.session;
  await typeInto(page, id, `echo nee""dle; printf '\\033[6n'; read -rsd R; echo ask""ed\n`);
  await waitForText(page, id, 'asked');
  await fill(page, id, 5_000);
  await typeInto(page, id, `printf '\\033[?1000h'; echo rea""dy; cat\n`);
  await waitForText(page, id, 'ready');
  const { length } = tab.recorder.output;

  await page.keyboard.press('Control+Shift+H');
  const history = await shownHistory(page);
  await page.keyboard.press('Control+Shift+F');
  await page.getByLabel('Find in terminal').fill('needle');
  await expect(page.locator('search output')).toHaveText('1 of 1');
  await page.keyboard.press('Escape');
  await expect.poll(async () => (await viewOf(page, HISTORY)).hasFocus).toBe(true);
  await history.click();
  await page.keyboard.type('x');
  await expect(history).toHaveCount(0);
  await expect.poll(() => tab.recorder.output.length).toBeGreaterThan(length);
  expect(tab.recorder.output.subarray(length).toString()).toBe('x');
});

/** How many cells of the first `rows` rows in sight have one of the colours of a match, as the screen shows them. */
async function markedCells(page: Page, colour: string): Promise<number> {
  const png = (await page.screenshot()).toString('base64');
  const grid = await page.locator(`${HISTORY} .xterm-screen`).boundingBox();
  if (!grid) throw new Error('the history is not shown');
  const { cols, rows } = await readAt<{ cols: number; rows: number }>(
    page,
    HISTORY,
    '({ terminal }) => ({ cols: terminal.cols, rows: terminal.rows })',
  );
  return page.evaluate(
    async ([data, x, y, width, height, cols, rows, wanted]) => {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
      if (!context) throw new Error('no canvas');
      context.drawImage(image, 0, 0);
      let count = 0;
      for (let row = 0; row < rows; row++) {
        for (let col = 0; col < cols; col++) {
          // The corner of a cell is free of the glyph.
          const [left, top] = [x + ((col + 0.5) * width) / cols, y + ((row + 0.06) * height) / rows];
          const [red = 0, green = 0, blue = 0] = context.getImageData(left, top, 1, 1).data;
          const found = `#${[red, green, blue].map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
          if (found === wanted) count += 1;
        }
      }
      return count;
    },
    [png, grid.x, grid.y, grid.width, grid.height, cols, rows, colour] as const,
  );
}

test('P18 matches in the history are marked, the one in hand distinctly, and stay so when earlier output is put before them', async ({
  page,
  tab,
}) => {
  test.setTimeout(180_000);
  const { id } = tab.session;
  const { match } = THEMES.light;
  await fill(page, id, LINES);
  // The second page is held back until the marks of the first one were seen.
  let isHeld = true;
  let pages = 0;
  await page.route('**/history?*', async (route) => {
    pages += 1;
    if (pages > 1) await expect.poll(() => isHeld, { timeout: DEADLINE_MS }).toBe(false);
    await route.fallback();
  });

  await page.keyboard.press('Control+Shift+H');
  await shownHistory(page);
  const { length } = await viewOf(page, HISTORY);
  await page.keyboard.press('Control+Shift+F');
  const field = page.getByLabel('Find in terminal');
  await field.fill(`${LINES - length + 30} and`);
  await expect(page.locator('search output')).toHaveText('1 of 1');
  // One of ten lines, and more than there are marks in the live terminal.
  await field.fill('5 and some');
  await expect.poll(() => markedCells(page, match.active)).toBe('5 and some'.length);
  expect(await markedCells(page, match.background)).toBeGreaterThanOrEqual(2 * '5 and some'.length);

  isHeld = false;
  await expect.poll(async () => (await viewOf(page, HISTORY)).length, { timeout: DEADLINE_MS }).toBeGreaterThan(LINES);
  await expect.poll(() => markedCells(page, match.active)).toBe('5 and some'.length);
  await expect.poll(() => markedCells(page, match.background)).toBeGreaterThanOrEqual(2 * '5 and some'.length);
  await expect(field).toBeFocused();
});

test('P9 an ended terminal has its history too, and a failed call is told and made again', async ({ page, tab }) => {
  test.setTimeout(120_000);
  const { id } = tab.session;
  await fill(page, id, 5_000);
  await typeInto(page, id, 'exit 4\n');
  await expect(terminalOf(page, id)).toHaveAttribute('data-state', 'ended');

  let isBroken = true;
  await page.route('**/history?*', (route) => (isBroken ? route.abort() : route.fallback()));
  await page.keyboard.press('Control+Shift+H');
  const history = page.getByTestId('history');
  await expect(history).toContainText('The history could not be read. Holdfast cannot be reached.');
  isBroken = false;
  await history.getByRole('button', { name: 'Try again' }).click();
  await shownHistory(page);
  await expect(history).toContainText('since it was started');
  await history.getByRole('button', { name: 'Back to live' }).click();
  await expect(history).toHaveCount(0);
  await expect(terminalOf(page, id).getByTestId('terminal-ended')).toContainText('Exited with code 4');
});
