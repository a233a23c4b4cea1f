/** Two browser windows on one session: both see everything, one sets the size. */
import { type BrowserContext, expect, type Page, test } from '@playwright/test';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import { App } from '@/tests/harness/app';
import {
  bufferText,
  dump,
  facts,
  openWorkspace,
  terminalOf,
  typeInto,
  waitForText,
} from '@/tests/harness/workspace-page';

const START_DEADLINE_MS = 300_000;
const LARGE = { width: 1280, height: 800 };
const SMALL = { width: 760, height: 520 };
const NOTICE = 'Sized by another window';

let app: App;
let project: Project;
/** Two browsers. */
let ofLarge: BrowserContext;
let ofSmall: BrowserContext;

test.beforeAll(async ({ browser }) => {
  test.setTimeout(START_DEADLINE_MS);
  app = await App.start();
  project = await app.createProject('shared');
  ofLarge = await browser.newContext({ viewport: LARGE });
  ofSmall = await browser.newContext({ viewport: SMALL });
});

test.afterAll(async () => {
  await ofLarge?.close();
  await ofSmall?.close();
  await app?.stop();
});

/** Opens a session in a large window, and then in a small one of another browser; both are closed after the test. */
const windows = test.extend<{ session: TerminalSession; large: Page; small: Page }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of fixtures from the pattern.
  session: async ({}, use, { testId }) => {
    const session = await app.createTerminal(project, testId);
    await use(session);
    await app.api('DELETE', `/api/terminal/${session.id}`);
  },
  large: async ({ session }, use) => {
    const page = await ofLarge.newPage();
    await openWorkspace(app, page, project, session.id);
    // Its own size is in force before anybody joins.
    await expect.poll(() => size(page, session)).not.toBe('24 80');
    await use(page);
    await page.close();
  },
  small: async ({ session, large: _first }, use) => {
    const page = await ofSmall.newPage();
    await openWorkspace(app, page, project, session.id);
    await use(page);
    await page.close();
  },
});

/** The size of the page's terminal as `stty size` writes it. */
async function size(page: Page, { id }: TerminalSession): Promise<string> {
  const { cols, rows } = (await facts(page, id)).size;
  return `${rows} ${cols}`;
}

/** What the program in the terminal believes its size to be. */
async function sizeOfProgram(page: Page, { id }: TerminalSession): Promise<string> {
  const marker = `size-${Math.random().toString(36).slice(2)}`;
  await typeInto(page, id, `echo ${marker}=$(stty size)\n`);
  const line = new RegExp(`^${marker}=(\\d+ \\d+)$`, 'm');
  await waitForText(page, id, line);
  return line.exec(await bufferText(page, id))?.[1] ?? '';
}

/** The drawn grid fills at least half of the panel's width, and nothing of it is outside. */
async function expectWholeGrid(page: Page, { id }: TerminalSession): Promise<void> {
  const terminal = terminalOf(page, id);
  await expect(async () => {
    const panel = await terminal.boundingBox();
    const grid = await terminal.locator('.xterm-screen').boundingBox();
    if (!panel || !grid) throw new Error('the terminal is not shown');
    expect(grid.width).toBeGreaterThan(panel.width / 2);
    expect(grid.x).toBeGreaterThanOrEqual(panel.x);
    expect(grid.y).toBeGreaterThanOrEqual(panel.y);
    expect(grid.x + grid.width).toBeLessThanOrEqual(panel.x + panel.width);
    expect(grid.y + grid.height).toBeLessThanOrEqual(panel.y + panel.height);
  }).toPass({ timeout: 10_000, intervals: [50] });
}

windows(
  'Z2 joining resizes nothing, and the smaller window shows the whole grid, scaled',
  async ({ session, large, small }) => {
    const sizeOfLarge = await size(large, session);
    await expect(small.getByText(NOTICE)).toBeVisible();
    await expect(large.getByText(NOTICE)).toBeHidden();
    expect(await size(small, session)).toBe(sizeOfLarge);
    expect(await size(large, session)).toBe(sizeOfLarge);
    expect(await sizeOfProgram(large, session)).toBe(sizeOfLarge);

    await expectWholeGrid(small, session);
    await expect(small.getByText('2 windows')).toBeVisible();
  },
);

windows('V7 both windows show everything that either types, cell by cell', async ({ session, large, small }) => {
  await typeInto(large, session.id, 'echo "from the large $((1000 + 1))"\n');
  await waitForText(small, session.id, 'from the large 1001');
  await typeInto(small, session.id, 'printf "\\e[31mfrom the small \\e[48;2;1;2;3m%s\\e[m 漢字\\n" $((1000 + 2))\n');
  await waitForText(large, session.id, 'from the small 1002 漢字');
  await waitForText(small, session.id, 'from the small 1002 漢字');
  await expect
    .poll(async () => {
      const [one, other] = await Promise.all([dump(large, session.id), dump(small, session.id)]);
      if (one.position !== other.position) return 'at different positions';
      expect(other.dump).toEqual(one.dump);
      return 'the same';
    })
    .toBe('the same');
});

windows(
  'Z1 typing in the other window takes the size over, and the button takes it back',
  async ({ session, large, small }) => {
    const sizeOfLarge = await size(large, session);
    await expect(small.getByText(NOTICE)).toBeVisible();

    const sizeOfSmall = await sizeOfProgram(small, session);
    expect(sizeOfSmall).not.toBe(sizeOfLarge);
    for (const page of [large, small]) await expect.poll(() => size(page, session)).toBe(sizeOfSmall);
    await expect(small.getByText(NOTICE)).toBeHidden();
    await expect(large.getByText(NOTICE)).toBeVisible();

    await large.getByRole('button', { name: 'Take over' }).click();
    for (const page of [large, small]) await expect.poll(() => size(page, session)).toBe(sizeOfLarge);
    await expect(large.getByText(NOTICE)).toBeHidden();
    await expect(small.getByText(NOTICE)).toBeVisible();
    // The button gives the keyboard back to the terminal.
    await large.keyboard.type('echo "size is $(stty size)"\n');
    await waitForText(large, session.id, `size is ${sizeOfLarge}`);
  },
);

windows(
  'Z1 when the window that sets the size is closed, the last one that typed sets it',
  async ({ session, large, small }) => {
    const sizeOfLarge = await size(large, session);
    await sizeOfProgram(large, session);
    const sizeOfSmall = await sizeOfProgram(small, session);
    await expect.poll(() => size(large, session)).toBe(sizeOfSmall);
    await small.close();
    await expect.poll(() => size(large, session)).toBe(sizeOfLarge);
    await expect(large.getByText(NOTICE)).toBeHidden();
    expect(await sizeOfProgram(large, session)).toBe(sizeOfLarge);
  },
);

windows(
  'Z2 the window that sets the size is resized, the other follows; a resized guest changes nothing',
  async ({ session, large, small }) => {
    const sizeOfLarge = await size(large, session);
    await large.setViewportSize({ width: LARGE.width - 200, height: LARGE.height - 200 });
    await expect.poll(() => size(large, session)).not.toBe(sizeOfLarge);
    const resized = await size(large, session);
    await expect.poll(() => size(small, session)).toBe(resized);

    await small.setViewportSize({ width: SMALL.width - 100, height: SMALL.height - 100 });
    await expectWholeGrid(small, session);
    await expect(small.getByText(NOTICE)).toBeVisible();
    expect(await sizeOfProgram(large, session)).toBe(resized);
    expect(await size(small, session)).toBe(resized);
  },
);
