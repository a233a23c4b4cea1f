/** What the page says of terminals that are lost, idle, or whose host is silent, and how fast they answer. */
import { join } from 'node:path';
import { expect, type Page, type WebSocketRoute } from '@playwright/test';
import type { TerminalSession } from '@/lib/protocol/rest';
import { encodeEvent } from '@/lib/protocol/wire';
import { test } from '@/tests/harness/e2e';
import { findProcesses, signal } from '@/tests/harness/processes';
import {
  openWorkspace,
  readAt,
  selectTab,
  terminalOf,
  typeInto,
  waitForTerminal,
  waitForText,
} from '@/tests/harness/workspace-page';

const DEADLINE_MS = 30_000;

/** Puts a time for the end into the rows of sessions, as the server does for one that is idle; no event says otherwise. */
async function announceEnd(page: Page, endsAt: ReadonlyMap<string, number>): Promise<void> {
  await page.route('**/api/events', (route) => route.abort());
  await page.route('**/api/workspace/projects/*/terminals', async (route) => {
    const response = await route.fetch();
    const body: { terminals: TerminalSession[] } = await response.json();
    const terminals = body.terminals.map((row) => {
      const time = endsAt.get(row.id);
      return time === undefined ? row : { ...row, idleEndsAt: new Date(time).toISOString() };
    });
    await route.fulfill({ response, json: { ...body, terminals } });
  });
}

test('P13 an idle session shows when it ends, and can be kept from the list and from its tab', async ({
  app,
  page,
}) => {
  const project = await app.createProject('idle');
  await app.createTerminal(project, 'busy');
  const idle = await app.createTerminal(project, 'idle');
  const endsAt = new Map([[idle.id, Date.now() + 230_000]]);
  let kept = 0;
  await announceEnd(page, endsAt);
  await page.route(`**/api/terminal/${idle.id}/keep`, async (route) => {
    expect(route.request().method()).toBe('POST');
    kept += 1;
    endsAt.clear();
    await route.fulfill({ json: { success: true } });
  });
  await openWorkspace(app, page, project);

  const tab = page.getByRole('tab').filter({ hasText: /^idle/ });
  await expect(tab.getByRole('img', { name: 'Idle: ends in 4 min' })).toBeVisible();
  await expect(page.getByRole('tab', { name: 'busy' }).getByRole('img', { name: /ends in/ })).toHaveCount(0);
  await page.getByRole('button', { name: 'Keep idle running' }).click();
  await expect(page.getByRole('img', { name: /ends in/ })).toHaveCount(0);
  expect(kept).toBe(1);

  endsAt.set(idle.id, Date.now() + 60_000);
  await page.reload();
  await tab.click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Keep running' }).click();
  await expect(page.getByRole('img', { name: /ends in/ })).toHaveCount(0);
  expect(kept).toBe(2);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await app.api('DELETE', `/api/workspace/projects/${project.id}?end=true`);
});

/** Catches the page's terminal sockets, to send events as the gateway does. */
async function catchSockets(page: Page): Promise<(event: Parameters<typeof encodeEvent>[0]) => void> {
  const sockets: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/v1\/sessions\//, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  return (event) => {
    for (const socket of sockets) socket.send(Buffer.from(encodeEvent(event)));
  };
}

test('P14 a host that is slow shows in the status, one that does not answer in the terminal, until it answers', async ({
  app,
  page,
}) => {
  const tellAll = await catchSockets(page);
  const project = await app.createProject('silent');
  const { id } = await app.createTerminal(project, 'silent');
  await openWorkspace(app, page, project, id);
  const tell = (state: 'ok' | 'slow' | 'unresponsive') => tellAll({ event: 'host', state });
  const footer = page.locator('footer');
  const banner = page.getByText('host has not answered for some seconds');
  await expect(footer).toContainText('Running');
  tell('slow');
  await expect(footer).toContainText('Slow to answer');
  await expect(banner).toHaveCount(0);
  tell('unresponsive');
  await expect(footer).toContainText('Not answering');
  await expect(banner).toContainText('Nothing is lost; what you type waits.');
  tell('ok');
  await expect(banner).toHaveCount(0);
  await expect(footer).toContainText('Running');
  await app.api('DELETE', `/api/workspace/projects/${project.id}?end=true`);
});

test('P15 the status bar shows the round trip, and its parts on a click', async ({ app, page }) => {
  const project = await app.createProject('latency');
  const { id } = await app.createTerminal(project, 'latency');
  await openWorkspace(app, page, project, id);
  const figure = page.getByRole('button', { name: /^Round trip (?:<?\d+) ms/ });
  await figure.click();
  const parts = page.getByRole('dialog', { name: 'Round trip' });
  await expect(parts).toBeVisible();
  await expect(parts.locator('dt')).toHaveText([/^Browser/, /^Network/, /^Gateway/, /^Host/]);
  // In one turn of the page: the figures change with each ping.
  const [total = 0, ...shares] = await parts.evaluate((node) =>
    [...node.querySelectorAll('p span:last-child, dd')].map(({ textContent }) => Number.parseFloat(textContent ?? '')),
  );
  const sum = shares.reduce((all, share) => all + share, 0);
  expect(Math.abs(sum - total), 'the parts make the whole, but for rounding').toBeLessThanOrEqual(1);
  const terminal = terminalOf(page, id);
  await page.keyboard.press('Escape');
  await expect(parts).toBeHidden();
  await expect(terminal.locator('textarea')).toBeFocused();
  for (const place of [page.locator('footer'), terminal, figure]) {
    await figure.click();
    await expect(parts).toBeVisible();
    await place.click();
    await expect(parts).toBeHidden();
    await expect(terminal.locator('textarea')).toBeFocused();
  }
  await app.api('DELETE', `/api/workspace/projects/${project.id}?end=true`);
});

test('P17 the marks of skipped and of earlier output are in the status bar and cover no line', async ({
  app,
  page,
}) => {
  const tellAll = await catchSockets(page);
  const project = await app.createProject('marks');
  const { id } = await app.createTerminal(project, 'marks');
  await openWorkspace(app, page, project, id);
  await typeInto(page, id, 'seq -f "%.0f abc" 1 3000; echo prin""ted\n');
  await waitForText(page, id, 'printed');
  await readAt(page, `[data-session-id="${id}"]`, '({ terminal }) => terminal.scrollToTop()');
  tellAll({ event: 'gap', from: 0, to: 1_200_000 });

  const footer = page.locator('footer');
  const earlier = footer.getByRole('button', { name: 'Earlier output' });
  const skipped = footer.getByRole('button', { name: '1.1 MB of output skipped' });
  await expect(earlier).toBeVisible();
  await expect(skipped).toBeVisible();
  const covered = await terminalOf(page, id)
    .locator('.xterm-screen')
    .evaluate((screen) => {
      const { left, top, width, height } = screen.getBoundingClientRect();
      const steps = Array.from({ length: 40 }, (_, step) => (step + 0.5) / 40);
      return steps
        .flatMap((x) => steps.map((y) => document.elementFromPoint(left + x * width, top + y * height)))
        .filter((element) => !element?.closest('.xterm')).length;
    });
  expect(covered).toBe(0);
  await skipped.click();
  await expect(skipped).toHaveCount(0);
  await earlier.click();
  await expect(page.getByTestId('history')).toHaveAttribute('data-state', 'shown', { timeout: DEADLINE_MS });
  await expect(earlier).toHaveCount(0);
  await app.api('DELETE', `/api/workspace/projects/${project.id}?end=true`);
});

test('P22 the tab in front stays in view in a narrower window, and the menu of a tab gives the keyboard back', async ({
  app,
  page,
}) => {
  const project = await app.createProject('narrow');
  const sessions: TerminalSession[] = [];
  for (const name of ['one', 'two', 'three', 'four']) sessions.push(await app.createTerminal(project, name));
  const [first, , , last] = sessions;
  if (!first || !last) throw new Error('four sessions are open');
  await openWorkspace(app, page, project, last.id);
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(page.getByRole('tab', { name: last.tabName })).toBeInViewport({ ratio: 0.95 });

  await page.setViewportSize({ width: 1280, height: 800 });
  const keyboard = terminalOf(page, last.id).locator('textarea');
  await keyboard.focus();
  await page.getByRole('tab', { name: first.tabName }).click({ button: 'right' });
  await expect(page.getByRole('menu')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('menu')).toHaveCount(0);
  await expect(keyboard).toBeFocused();
  await app.api('DELETE', `/api/workspace/projects/${project.id}?end=true`);
});

test('P16 a finger scrolls the terminal', async ({ page, tab }) => {
  const { id } = tab.session;
  await typeInto(page, id, 'seq 1 500; echo fill""ed\n');
  await waitForText(page, id, 'filled');
  const selector = `[data-testid="terminal"][data-session-id="${id}"]`;
  const viewportY = () => readAt<number>(page, selector, '({ terminal }) => terminal.buffer.active.viewportY');
  const before = await viewportY();
  const box = await terminalOf(page, id).boundingBox();
  if (!box) throw new Error('the terminal is not shown');
  const x = box.x + box.width / 2;
  const y = box.y + box.height / 2;
  const touch = await page.context().newCDPSession(page);
  const send = (type: 'touchStart' | 'touchMove' | 'touchEnd', points: { x: number; y: number }[]) =>
    touch.send('Input.dispatchTouchEvent', { type, touchPoints: points });
  await send('touchStart', [{ x, y }]);
  for (let step = 1; step <= 10; step += 1) await send('touchMove', [{ x, y: y + step * 20 }]);
  await send('touchEnd', []);
  await expect.poll(viewportY).toBeLessThan(before);
  await expect.poll(viewportY).toBeGreaterThan(before - 20);
});

// Last in this file: it ends the hosts that all sessions of this product share.
test('P12 a terminal whose host dies keeps its screen, says that it is lost and why, and restarts', async ({
  app,
  page,
}) => {
  test.setTimeout(120_000);
  const project = await app.createProject('crash');
  const front = await app.createTerminal(project, 'front');
  await app.createTerminal(project, 'back');
  await openWorkspace(app, page, project, front.id);
  await typeInto(page, front.id, 'echo last-""words\n');
  await waitForText(page, front.id, 'last-words');
  for (const pid of findProcesses(join(app.runDir, 'hosts'))) signal(pid, 'SIGKILL');

  const terminal = terminalOf(page, front.id);
  await expect(terminal.getByTestId('terminal-lost')).toContainText('Lost: the terminal host', {
    timeout: DEADLINE_MS,
  });
  await waitForText(page, front.id, 'last-words');
  await expect(page.getByRole('tab', { name: 'front' })).toContainText('lost');
  await expect(page.getByRole('tab', { name: 'back' })).toContainText('lost');
  // P11: one notice for both.
  const notice = page.locator('[data-sonner-toast]');
  await expect(notice).toHaveCount(1);
  await expect(notice).toContainText('2 terminals were lost');
  await expect(notice).toContainText(/front, back|back, front/);
  // It leads to the one that is not in front already.
  await notice.getByRole('button', { name: 'Show' }).click();
  await expect(page.getByRole('tab', { name: 'back' })).toHaveAttribute('aria-selected', 'true');
  await expect(notice).toHaveCount(0);
  await selectTab(page, 'front');

  await page.reload();
  await expect(page.getByRole('tab', { name: 'front' })).toContainText('lost');
  await expect(page.getByText('Lost: the terminal host').first()).toBeVisible();
  await expect(notice).toHaveCount(0);
  await page.getByRole('tabpanel').getByRole('button', { name: 'Restart' }).click();
  await waitForTerminal(page, front.id);
  await typeInto(page, front.id, 'echo again-""here\n');
  await waitForText(page, front.id, 'again-here');
  await app.api('DELETE', `/api/workspace/projects/${project.id}?end=true`);
});
