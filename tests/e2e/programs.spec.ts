/** Programs that people use: the page is reloaded in the middle of each, and typing goes on. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@playwright/test';
import { test } from '@/tests/harness/e2e';
import type { WatchedTab } from '@/tests/harness/screen-oracle';

const SOURCE = `/* What holds, holds fast. */
#include <stdio.h>

int main(int argc, char **argv)
{
\tfor (int n = 0; n < 10; n++)
\t\tprintf("%d: \\"%s\\" \\u2713 漢字\\n", n, argv[0]);
\treturn 0; // the end
}
`;

/** Clicks where a text stands on the screen. */
async function clickText(tab: WatchedTab, text: string): Promise<void> {
  const rows = (await tab.screenText()).split('\n');
  const row = rows.findLastIndex((each) => each.includes(text));
  expect(row, `${text} is on the screen`).toBeGreaterThanOrEqual(0);
  await tab.clickAt({ col: (rows[row] ?? '').indexOf(text) + 1, row });
}

test('S1 vim: a split with syntax colours, in the middle of an insertion', async ({ tab }) => {
  const file = join(tab.project.path, 'main.c');
  writeFileSync(file, SOURCE);
  await tab.type('vim main.c\n');
  await tab.waitForText('"main.c" 9L');
  await tab.type(':set number\n:split\n:5\nOint held;');
  await tab.waitForText('-- INSERT --');
  await tab.waitForText(/5\s+int held;/);
  const { dump } = await tab.expectSameOverReload();
  expect(dump.isAlt).toBe(true);

  await tab.type(' /* typed later */');
  await tab.waitForText('int held; /* typed later */');
  await tab.expectSame();
  await tab.resizeWindow(1000, 600);
  await tab.expectSameOverReload();

  await tab.press('Escape');
  await tab.type(':wqa\n');
  await tab.expectShell();
  expect(readFileSync(file, 'utf8')).toContain('int held; /* typed later */\n{\n');
});

test('S1 less: in the middle of a long file, with a search', async ({ tab }) => {
  const lines = Array.from({ length: 5000 }, (_, n) => `line ${n + 1}${n % 7 === 0 ? ` ${'long '.repeat(40)}` : ''}`);
  writeFileSync(join(tab.project.path, 'long.txt'), lines.join('\n'));
  await tab.resizeWindow(1100, 600);
  await tab.type('less -N long.txt\n');
  await tab.waitForText(/^ +1 line 1 /m);
  await tab.type('2500g/line 31[0-9]5\n');
  await tab.waitForText('3105 line 3105');
  await tab.expectSameOverReload();

  await tab.type('n');
  await tab.waitForText(/^ +3115 line 3115/m);
  await tab.type('G');
  await tab.waitForText('(END)');
  await tab.expectSame();
  await tab.resizeWindow(1280, 800);
  await tab.expectSameOverReload();
  await tab.type('q');
  await tab.expectShell();
});

test('S1 top: while it draws', async ({ tab }) => {
  await tab.type('top -d 0.2\n');
  await tab.waitForText(/PID USER/);
  await tab.waitForMore();
  await tab.expectSameOverReload();
  await tab.waitForMore();
  await tab.expectSame();

  await tab.type('h');
  await tab.waitForText('Help for Interactive Commands');
  await tab.expectSame();
  await tab.type('q');
  await tab.waitForText(/PID USER/);
  await tab.type('q');
  await tab.expectShell();
});

test('S1 htop: the mouse works after a reload', async ({ tab }) => {
  await tab.type('htop -d 3\n');
  await tab.waitForText('F10Quit');
  await tab.waitForMore();
  const { dump } = await tab.expectSameOverReload();
  expect(dump.mouse).toEqual(['VT200', 'SGR']);
  await tab.waitForMore();
  await tab.expectSame();

  await clickText(tab, 'MEM%');
  await tab.waitForText('MEM%▽');
  await tab.expectSame();
  await clickText(tab, 'F1Help');
  await tab.waitForText('Press any key to return');
  await tab.expectSame();
  await tab.type(' ');
  await tab.waitForText('F10Quit');
  await tab.press('F10');
  await tab.expectShell();
});

test('S1 git log: coloured, in a pager', async ({ tab }) => {
  const commit = (n: number) => `commit refs/heads/main
committer Ada <ada@example.org> ${1_700_000_000 + n * 60} +0000
data <<END
Change ${n}: 漢字 and what holds
END
M 100644 inline file-${n % 10}
data <<END
${n}
END
`;
  const input = Array.from({ length: 120 }, (_, n) => commit(n + 1)).join('');
  execFileSync('git', ['init', '-q', '-b', 'main'], { cwd: tab.project.path });
  execFileSync('git', ['fast-import', '--quiet'], { cwd: tab.project.path, input });
  await tab.type('git log --color --stat\n');
  await tab.waitForText('Change 120:');
  await tab.type('  ');
  await tab.waitForText('Change 110:');
  await tab.expectSameOverReload();

  await tab.type('/Change 42:\n');
  await tab.waitForText('Change 42:');
  await tab.expectSame();
  await tab.type('q');
  await tab.expectShell();
});

test('S1 python3: in the middle of a line of the REPL', async ({ tab }) => {
  await tab.type('python3\n');
  await tab.waitForText('>>> ');
  await tab.type('held = [n * n for n in range(5)]\nprint("squares", ');
  await tab.waitForText('print("squares", ');
  await tab.expectSameOverReload();

  await tab.type('held)\n');
  await tab.waitForText('squares [0, 1, 4, 9, 16]');
  await tab.expectSame();
  await tab.press('Control+d');
  await tab.expectShell();
});
