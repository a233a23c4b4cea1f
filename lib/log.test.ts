import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { patientSink } from './log';
import { isClean } from './protocol/clean-text';

const LINE = `${'x'.repeat(1023)}\n`;

it('T23 a log that nobody reads takes 1 MiB, drops and counts the rest, and goes on when it is read', async () => {
  const stream = new PassThrough({ highWaterMark: 1024 });
  const sink = patientSink(stream);
  for (let n = 0; n < 3_000; n++) sink.write(LINE);
  expect(stream.writableLength).toBeLessThan(1024 * 1024 + 4096);
  let read = '';
  stream.on('data', (chunk) => {
    read += chunk;
  });
  await expect.poll(() => stream.writableLength).toBe(0);
  const kept = read.length / LINE.length;
  sink.write('after\n');
  await expect.poll(() => read.endsWith('after\n')).toBe(true);
  expect(JSON.parse(read.trimEnd().split('\n').at(-2) ?? '')).toMatchObject({ dropped: 3_000 - kept });
});

it('T23 a process whose standard output is full and not read goes on', async () => {
  // The product's log, in a process of its own whose pipe is never read.
  const script = `
    import { createLog } from '${new URL('./log.ts', import.meta.url)}';
    const log = createLog('gateway', 'info');
    for (let n = 0; n < 5000; n++) log.info({ n, text: 'x'.repeat(500) }, 'line');
    setTimeout(() => { console.error('alive'); process.exit(0); }, 10);`;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  const [code] = await once(child, 'exit');
  clearTimeout(timer);
  child.stdout.destroy();
  expect(said).toContain('alive');
  expect(code).toBe(0);
});

it('H15 a log line is one line of JSON that steers no terminal, whatever it tells of', () => {
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
