import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SETTING_NAMES } from '@/lib/config-settings';

const DOCUMENTS = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'docs/spec.md',
  'docs/metrics.md',
  ...readdirSync('docs/adr').map((name) => join('docs/adr', name)),
];

function read(name: string): string {
  return readFileSync(name, 'utf8');
}

test('L14 .env.example lists every setting, commented out, and no other', () => {
  const listed = [...read('.env.example').matchAll(/^# ([A-Z_]+)=/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual([...SETTING_NAMES].sort());
  expect(read('.env.example')).not.toMatch(/^[^#\n]/m);
});

test('L14 the settings table of the README lists every setting and no other', () => {
  const listed = [...read('README.md').matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual([...SETTING_NAMES].sort());
});

describe.each(DOCUMENTS)('%s', (document) => {
  test('L15 names only files that exist', () => {
    const text = read(document);
    const links = [...text.matchAll(/\]\(([^)#]+)\)/g)].map(([, target = '']) => join(dirname(document), target));
    const folders = '(?:app|bench|components|lib|ws-server|cli|tests|docs|\\.ci)';
    const names = [...text.matchAll(new RegExp(`\`(${folders}/[\\w./[\\]-]+\\.\\w+)\``, 'g'))].map(
      ([, name = '']) => name,
    );
    const missing = [...links.filter((link) => !link.includes('://')), ...names].filter((name) => !existsSync(name));
    expect(missing).toEqual([]);
  });
});

test('L15 every rule of the specification has one number', () => {
  const numbers = [...read('docs/spec.md').matchAll(/^- \*\*([A-Z]\d+)\*\*/gm)].map(([, number]) => number);
  expect(numbers.length).toBeGreaterThan(50);
  expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([]);
});

test('L15 every rule of the specification is proved by a test, and tests name only rules that are there', () => {
  const rules = [...read('docs/spec.md').matchAll(/^- \*\*([A-Z]\d+)\*\*/gm)].map(([, number = '']) => number);
  const tests = ['app', 'bench', 'cli', 'components', 'lib', 'tests', 'ws-server']
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)))
    .filter((name) => /\.(test\.tsx?|spec\.ts)$/.test(name));
  // A title is the first argument of a call and begins with its rules.
  const cited = tests.flatMap((name) =>
    [...read(name).matchAll(/\(\s*['"`]((?:[A-Z]\d{1,2} )+)/g)].flatMap(([, numbers = '']) =>
      numbers.trim().split(' '),
    ),
  );
  expect(rules.filter((number) => !cited.includes(number))).toEqual([]);
  expect(cited.filter((number) => !rules.includes(number))).toEqual([]);
});
