/** The examples of docs/api.md, run by a shell against the product as a user starts it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from '@playwright/test';
import { App } from '@/tests/harness/app';

const START_DEADLINE_MS = 300_000;
const RUN_DEADLINE_MS = 60_000;
const MARK = '---- end of example ----';

type Example = { script: string; expected: { language: string; text: string } | null };

/** The `sh` blocks of the page, each with the block of expected output right behind it. */
function examples(): Example[] {
  const page = readFileSync(join(resolve(import.meta.dirname, '../..'), 'docs', 'api.md'), 'utf8');
  const blocks = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    language,
    text,
  }));
  return blocks.flatMap((block, i) => {
    if (block.language !== 'sh') return [];
    const next = blocks[i + 1];
    return [{ script: block.text, expected: next && next.language !== 'sh' ? next : null }];
  });
}

/** Every key of the example is in the answer, with a value of the same type; of a list, its first row. */
function expectShape(real: unknown, example: unknown, where: string): void {
  if (Array.isArray(example)) {
    expect(Array.isArray(real), where).toBe(true);
    if (example.length > 0 && Array.isArray(real)) expectShape(real[0], example[0], `${where}[0]`);
    return;
  }
  expect(typeof real, where).toBe(typeof example);
  if (typeof example !== 'object' || example === null) return;
  expect(real, where).not.toBeNull();
  for (const [key, value] of Object.entries(example)) {
    expectShape(Object.getOwnPropertyDescriptor(real, key)?.value, value, `${where}.${key}`);
  }
}

test('R22 the examples of docs/api.md run as they stand', async () => {
  test.setTimeout(START_DEADLINE_MS);
  const app = await App.start();
  try {
    const all = examples();
    expect(all.length).toBeGreaterThan(8);
    const script = ['set -euo pipefail', `cd "$HOME"`, ...all.map((each) => `${each.script}echo; echo '${MARK}'`)].join(
      '\n',
    );
    const { stdout, stderr, status } = spawnSync('bash', ['-c', script], {
      env: app.env,
      encoding: 'utf8',
      timeout: RUN_DEADLINE_MS,
    });
    expect(status, `${stdout}\n${stderr}`).toBe(0);
    const outputs = stdout.split(MARK).map((text) => text.trim());
    for (const [i, { expected, script: source }] of all.entries()) {
      const output = outputs[i] ?? '';
      if (expected?.language === 'text') expect(output, source).toContain(expected.text.trim());
      if (expected?.language === 'json') expectShape(JSON.parse(output), JSON.parse(expected.text), source);
    }
  } finally {
    await app.stop();
  }
});
