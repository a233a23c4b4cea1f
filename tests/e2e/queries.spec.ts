/** Questions of programs to the terminal: one answer to each, from the host, whatever the pages replay. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Page } from '@playwright/test';
import { FRAME } from '@/lib/protocol/wire';
import { install, test } from '@/tests/harness/e2e';
import { signal, until } from '@/tests/harness/processes';
import type { WatchedTab } from '@/tests/harness/screen-oracle';
import { openWorkspace, typeInto, waitForTerminal, waitForText } from '@/tests/harness/workspace-page';

const COLOUR = 'rgb:[0-9a-f]{4}/[0-9a-f]{4}/[0-9a-f]{4}';

/** What a page sends as INPUT, over all sockets that it opens from now on; each frame is one text. */
function watchInput(page: Page): string[] {
  const frames: string[] = [];
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      if (typeof payload !== 'string' && payload[0] === FRAME.input)
        frames.push(payload.subarray(5).toString('latin1'));
    }),
  );
  return frames;
}

/** What the program has got as input, control characters as `^x`. */
function inputOf(tab: WatchedTab): string {
  const path = join(tab.project.path, 'input');
  if (!existsSync(path)) return '';
  return readFileSync(path, 'latin1').replace(/\p{Cc}/gu, (char) => `^${String.fromCharCode(char.charCodeAt(0) + 64)}`);
}

/** One answer to each question of `question.mjs`, in its order. */
async function answers(tab: WatchedTab): Promise<string> {
  const { dump } = await tab.expectSame();
  return [
    '\\^\\[\\[\\?1;2c',
    '\\^\\[\\[>0;276;0c',
    '\\^\\[\\[0n',
    '\\^\\[\\[3;1R',
    '\\^\\[\\[\\?3;1R',
    '\\^\\[\\[\\?2004;2\\$y',
    '\\^\\[P>\\|xterm\\.js\\(6\\.0\\.0\\)\\^\\[\\\\',
    `\\^\\[\\[8;${dump.rows};${dump.cols}t`,
    `\\^\\[\\]10;${COLOUR}\\^\\[\\\\`,
    `\\^\\[\\]11;${COLOUR}\\^\\[\\\\`,
    `\\^\\[\\]4;1;${COLOUR}\\^\\[\\\\`,
    '\\^\\[P1\\$r0m\\^\\[\\\\',
  ].join('');
}

test('S5 two pages on one session: each question is answered once', async ({ app, tab }) => {
  install(tab, 'question');
  await tab.type('./question\n');
  await tab.waitForText('asking');
  const other = await tab.page.context().newPage();
  await openWorkspace(app, other, tab.project, tab.session.id);
  await waitForText(other, tab.session.id, 'asking');

  writeFileSync(join(tab.project.path, 'ask'), '');
  await tab.waitForText('asked');
  await waitForText(other, tab.session.id, 'asked');
  // An answer of a page would come before the key that is pressed in it.
  await tab.type('a');
  await expect.poll(() => inputOf(tab)).toMatch(/a$/);
  await typeInto(other, tab.session.id, 'b');
  await expect.poll(() => inputOf(tab)).toMatch(/b$/);
  expect(inputOf(tab)).toMatch(new RegExp(`^${await answers(tab)}ab$`));
  await tab.expectSame(other);
  await tab.type('q');
  await tab.expectShell();
});

test('S5 C5 questions that a page replays, and those of a screen that it loads again, type nothing', async ({
  app,
  tab,
}) => {
  install(tab, 'question');
  await tab.type('./question\n');
  await tab.waitForText('asking');
  const answered = new RegExp(`^${await answers(tab)}$`);
  const typed = watchInput(tab.page);

  signal(app.pidOf('sidecar'), 'SIGKILL');
  writeFileSync(join(tab.project.path, 'ask'), '');
  await until('the host has answered without a gateway', () => answered.test(inputOf(tab)));
  await waitForTerminal(tab.page, tab.session.id);
  await tab.waitForText('asked');
  await tab.page.reload();
  await waitForTerminal(tab.page, tab.session.id);
  await tab.waitForText('asked');

  const onlyAnswers = inputOf(tab);
  await tab.type('q');
  await expect.poll(() => inputOf(tab)).toBe(`${onlyAnswers}q`);
  // Frames are told in their order: with this one, all that came before it are known.
  await expect.poll(() => typed.at(-1)).toBe('q');
  expect(typed).toEqual(['q']);
});
