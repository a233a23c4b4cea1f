import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { isClean } from './protocol/clean-text';

test('H15 a log line is one line of JSON that steers no terminal, whatever it tells of', () => {
  const program = `
    import { createLog } from '@/lib/log';
    const text = 'a\\u009b31m\\x1b[2J\\r\\nb\\u2028\\u202ec';
    createLog('test', 'info').child({ cwd: text }).info({ err: new Error(text), text }, text);
  `;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program];
  const lines = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 15_000 }).split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[1]).toBe('');
  const [line = ''] = lines;
  expect(isClean(line)).toBe(true);
  const text = 'a\u009b31m\x1b[2J\r\nb\u2028\u202ec';
  expect(JSON.parse(line)).toMatchObject({ name: 'test', msg: text, text, cwd: text, err: { message: text } });
});
