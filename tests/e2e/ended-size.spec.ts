/** The last screen of an ended session on a page that is smaller than it. */
import { expect, test } from '@playwright/test';
import { App } from '@/tests/harness/app';
import { openWorkspace, terminalOf, typeInto, waitForText } from '@/tests/harness/workspace-page';

let app: App;
test.beforeAll(async () => {
  test.setTimeout(300_000);
  app = await App.start();
});
test.afterAll(() => app?.stop());

test('C9 the last screen of an ended session is drawn in the largest font that fits', async ({ browser }) => {
  const project = await app.createProject('ended');
  const session = await app.createTerminal(project, 'wide');
  const large = await browser.newPage({ viewport: { width: 1500, height: 800 } });
  await openWorkspace(app, large, project, session.id);
  await typeInto(large, session.id, 'stty size; echo last-words; exit\n');
  await expect(terminalOf(large, session.id).getByRole('status')).toContainText('Exited');
  await large.context().close();

  const small = await browser.newPage({ viewport: { width: 420, height: 800 } });
  await openWorkspace(app, small, project);
  const terminal = terminalOf(small, session.id);
  await expect(terminal.getByRole('status')).toContainText('Exited');
  await waitForText(small, session.id, 'last-words');
  await expect
    .poll(async () => {
      const grid = await terminal.locator('.xterm-screen').boundingBox();
      const box = await terminal.boundingBox();
      return grid !== null && box !== null && grid.x >= box.x && grid.x + grid.width <= box.x + box.width;
    })
    .toBe(true);
  await expect(terminal.getByText('Sized by another window')).toHaveCount(0);
  await small.context().close();
});
