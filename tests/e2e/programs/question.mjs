/**
 * Asks the terminal every kind of question, once for each `-`, and shows what it got as `input: …`, without control bytes.
 * It asks when the file `ask` is there; `q` ends it.
 */
import { existsSync, writeFileSync } from 'node:fs';

const QUESTIONS = [
  '[c',
  '[>c',
  '[5n',
  '[6n',
  '[?6n',
  '[?2004$p',
  '[>q',
  '[18t',
  ']10;?\x1b\\',
  ']11;?\x1b\\',
  ']4;1;?\x1b\\',
  'P$qm\x1b\\',
];
let input = '';
process.stdin.setRawMode(true);
process.stdin.setEncoding('latin1').on('data', (bytes) => {
  input += bytes;
  writeFileSync('input', input);
  if (input.endsWith('q')) process.exit();
});
process.stdout.write('asking\r\n');
const waiting = setInterval(() => {
  if (!existsSync('ask')) return;
  clearInterval(waiting);
  process.stdout.write(`${QUESTIONS.map((question) => `\x1b${question}`).join('')}asked\r\n`);
}, 20);
