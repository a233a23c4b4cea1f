/** What programs draw and how they leave the terminal, over a reload of the page. */
import { expect } from '@playwright/test';
import { SCROLLBACK_LINES } from '@/lib/protocol/limits';
import { install, test } from '@/tests/harness/e2e';
import type { WatchedTab } from '@/tests/harness/screen-oracle';
import { type PageScreen, terminalOf } from '@/tests/harness/workspace-page';

/** Draws a picture that its program goes on with, and reloads. Gives what the page shows then. */
async function expectPicture(
  tab: WatchedTab,
  name: string,
  progress: string | RegExp = /count \d/,
): Promise<PageScreen> {
  install(tab, 'picture');
  await tab.type(`./picture ${name}\n`);
  await tab.waitForText(progress);
  const shown = await tab.expectSameOverReload();
  await tab.waitForMore();
  await tab.expectSame();
  return shown;
}

/** Ends the picture by a key. */
async function expectPictureEnds(tab: WatchedTab): Promise<void> {
  await tab.type('k');
  await tab.waitForText('the key was k');
  await tab.expectSame();
  await tab.expectShell();
}

test('S1 a progress bar, with a carriage return for each step', async ({ tab }) => {
  await expectPicture(tab, 'bar', /#+ +\d+%/);
  await expectPictureEnds(tab);
});

test('S1 wide, combining and joined characters, also half of one', async ({ tab }) => {
  await expectPicture(tab, 'wide');
  await expectPictureEnds(tab);
  await tab.type('echo 漢字');
  await tab.waitForText('hf% echo 漢字');
  await tab.expectSameOverReload();
  await tab.type('é👍🏽');
  await tab.press('ArrowLeft', 'ArrowLeft', 'ArrowLeft', 'Backspace');
  await tab.type('\n');
  await tab.waitForText(/^漢é👍🏽$/mu);
  await tab.expectSame();
});

test('S1 24-bit and palette colours, attributes, and colours that a program has changed', async ({ tab }) => {
  const colours = `({ terminal }) => {
    const { ansi, background } = terminal._core._themeService.colors;
    return [ansi[1].css, background.css];
  }`;
  const read = () =>
    tab.page.evaluate<string[]>(`(${colours})(document.querySelector('[data-testid=terminal]').holdfast)`);
  const before = await read();
  await expectPicture(tab, 'colours');
  expect(await read()).toEqual(['#ff8000', '#102030']);
  await expectPictureEnds(tab);
  expect(await read()).toEqual(before);
});

test('S1 links, cursor style, hidden cursor and title', async ({ tab }) => {
  const { dump } = await expectPicture(tab, 'marks');
  expect(dump.isCursorHidden).toBe(true);
  expect(dump.modes).toMatchObject({ cursorStyle: 'bar', cursorBlink: true });
  expect(dump.normal.filter((row) => row.includes('https://example.org/held'))).toHaveLength(1);
  await expect.poll(async () => (await tab.expectSame()).shownTitle).toBe('held: 漢字 \u2713');

  const rows = (await tab.screenText()).split('\n');
  await tab.pointAt({ col: 2, row: rows.findIndex((row) => row.startsWith('a link')) });
  await expect(terminalOf(tab.page, tab.session.id).getByText('https://example.org/held')).toBeVisible();
  await expectPictureEnds(tab);
  expect((await tab.expectSame()).dump.isCursorHidden).toBe(false);
});

test('S1 scroll region, origin mode, tab stops, line drawing, saved cursor and input modes', async ({ tab }) => {
  const { dump } = await expectPicture(tab, 'modes');
  expect(dump.mouse).toEqual(['DRAG', 'SGR']);
  expect(dump.normalState).toMatchObject({ region: [5, 19], tabs: [4, 12, 39] });
  expect(dump.modes).toMatchObject({ origin: true, bracketedPasteMode: true, applicationCursorKeys: true });
  await expectPictureEnds(tab);
});

test('S1 a user interface that draws itself again and again, on both screens', async ({ tab }) => {
  install(tab, 'redraw-loop');
  await tab.type('./redraw-loop\n');
  await tab.waitForText('finished 10');
  await tab.expectSameOverReload();
  await tab.type('held 漢字 ');
  await tab.waitForText('❯ held 漢字');
  await tab.expectSame();

  await tab.press('Tab');
  await tab.waitForText('row 3');
  expect((await tab.expectSameOverReload()).dump.isAlt).toBe(true);
  await tab.type('fast');
  await tab.waitForText('❯ held 漢字 fast');
  await tab.resizeWindow(900, 640);
  await tab.expectSame();
  await tab.press('Tab');
  await tab.waitForText(/finished \d/);
  expect((await tab.expectSameOverReload()).dump.isAlt).toBe(false);
  await tab.press('Control+c');
  await tab.waitForText('ended after: held 漢字 fast');
  await tab.expectShell();
});

test('S1 a full scrollback, while it scrolls on and is resized', async ({ tab }) => {
  const { dump } = await expectPicture(tab, 'rows', 'more 3');
  expect(dump.normal).toHaveLength(SCROLLBACK_LINES + dump.rows);

  await tab.resizeWindow(800, 500);
  await tab.waitForMore();
  await tab.expectSameOverReload();
  await tab.resizeWindow(1400, 900);
  await tab.expectSameOverReload();
  await expectPictureEnds(tab);
});
