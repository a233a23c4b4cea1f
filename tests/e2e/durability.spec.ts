/** What the page says of what is kept: of each terminal, and of a store that has to do without a part. */
import { expect, type Page } from '@playwright/test';
import type { Durability, ServerEvent, TerminalSession } from '@/lib/protocol/rest';
import { test } from '@/tests/harness/e2e';
import { openWorkspace, terminalOf } from '@/tests/harness/workspace-page';

/** Rows say how safe their records are, as the server does when its store is another one; no event says otherwise. */
async function setDurability(page: Page, durabilities: Readonly<Record<string, Durability>>): Promise<void> {
  await page.route('**/api/events', (route) => route.abort());
  await page.route('**/api/workspace/projects/*/terminals', async (route) => {
    const response = await route.fetch();
    const body: { terminals: TerminalSession[] } = await response.json();
    const terminals = body.terminals.map((row) => ({
      ...row,
      durability: durabilities[row.tabName] ?? row.durability,
    }));
    await route.fulfill({ response, json: { ...body, terminals } });
  });
}

test('P19 a tab tells what of its terminal would survive, and marks only what is less than usual', async ({
  app,
  page,
}) => {
  const project = await app.createProject('durability');
  const names = ['stored', 'outbox', 'memory'] as const;
  const { id } = await app.createTerminal(project, 'stored');
  for (const name of names.slice(1)) await app.createTerminal(project, name);
  await setDurability(page, { stored: 'stored', outbox: 'outbox', memory: 'memory' });
  await openWorkspace(app, page, project, id);
  const words = { stored: 'Stored', outbox: 'Written to the outbox', memory: 'Kept in memory' };

  for (const name of names) {
    const tab = page.getByRole('tab', { name });
    const mark = tab.getByRole('img', { name: words[name] });
    await expect(mark).toHaveCount(name === 'stored' ? 0 : 1);
    await tab.click({ button: 'right' });
    await expect(page.getByRole('menu')).toContainText(words[name]);
    await page.keyboard.press('Escape');
    await tab.hover();
    await expect(page.getByRole('tooltip')).toContainText(words[name]);
    await page.mouse.move(640, 500, { steps: 5 });
    await expect(page.getByRole('tooltip')).toHaveCount(0);
  }
  // The keyboard reaches it too.
  await page.getByRole('tab', { name: 'stored' }).focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('tooltip', { name: 'Reaches the database when it is back' })).toBeVisible();
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await app.api('DELETE', `/api/workspace/projects/${project.id}?end=true`);
});

test('P20 a store that has to do without its database is told in the status bar until it is back', async ({
  app,
  page,
}) => {
  // The stream stays open; events are put in beside those of the server.
  await page.addInitScript(() => {
    const Real = window.EventSource;
    window.EventSource = class extends Real {
      constructor(url: string | URL) {
        super(url);
        Object.assign(window, { holdfastEvents: this });
      }
    };
  });
  const tell = (event: ServerEvent) =>
    page.evaluate(
      `holdfastEvents.onmessage(new MessageEvent('message', { data: ${JSON.stringify(JSON.stringify(event))} }))`,
    );
  const project = await app.createProject('degraded');
  const { id } = await app.createTerminal(project, 'degraded');
  await openWorkspace(app, page, project, id);
  const footer = page.locator('footer');
  const banner = footer.getByRole('button', { name: /^Database away/ });
  await expect(footer).toContainText('Running');
  await expect(banner).toHaveCount(0);
  await expect.poll(() => page.evaluate('holdfastEvents.readyState')).toBe(1);

  await tell({ type: 'store', degraded: ['redis', 'db'] });
  await expect(banner).toBeVisible();
  await expect(footer).toContainText('Running');
  await banner.click();
  const panel = page.getByRole('dialog', { name: 'Store' });
  await expect(panel).toContainText('changes wait on this machine');
  await expect(panel).toContainText('Redis away');
  await page.keyboard.press('Escape');
  await expect(terminalOf(page, id).locator('textarea')).toBeFocused();

  await tell({ type: 'store', degraded: [] });
  await expect(banner).toHaveCount(0);
  await tell({ type: 'hello', sidecar: true, degraded: ['db'] });
  await expect(banner).toBeVisible();
  await app.api('DELETE', `/api/workspace/projects/${project.id}?end=true`);
});
