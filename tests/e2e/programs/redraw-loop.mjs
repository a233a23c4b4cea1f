/**
 * A user interface that draws itself again and again, as Ink does it: a block of lines that is erased upwards and written
 * anew inside synchronised output, with finished lines above it. Tab takes it to the alternate screen and back.
 */
const CSI = '\x1b[';
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
let frame = 0;
let typed = '';
let drawn = 0;
let isFull = false;

function block() {
  const { columns } = process.stdout;
  const title = ` working ${SPINNER[frame % SPINNER.length]} ${frame} `;
  const done = frame % (columns - 4);
  return [
    `${CSI}36m╭─${title}${'─'.repeat(Math.max(0, columns - title.length - 4))}─╮${CSI}39m`,
    `${CSI}2m│${CSI}22m ${CSI}38;2;${frame % 256};160;90m${'█'.repeat(done)}${CSI}39m${'░'.repeat(columns - 4 - done)} ${CSI}2m│${CSI}22m`,
    `${CSI}36m╰${'─'.repeat(columns - 2)}╯${CSI}39m`,
    `${CSI}1m❯${CSI}22m ${typed}${CSI}7m ${CSI}27m`,
  ];
}

function eraseLines(count) {
  return `${CSI}2K${`${CSI}1A${CSI}2K`.repeat(Math.max(0, count - 1))}${CSI}G`;
}

function draw() {
  frame++;
  const lines = block();
  let text = isFull ? `${CSI}H${CSI}J` : eraseLines(drawn);
  if (!isFull && frame % 5 === 0) text += `finished ${frame}: ${'漢字 '.repeat(frame % 4)}\r\n`;
  if (isFull) text += Array.from({ length: frame % 7 }, (_, n) => `${CSI}4${n}mrow ${n}${CSI}K${CSI}49m\r\n`).join('');
  text += lines.join('\r\n');
  drawn = lines.length;
  process.stdout.write(`${CSI}?2026h${CSI}?25l${text}${CSI}?2026l`);
}

function toggle() {
  process.stdout.write(isFull ? `${CSI}?1049l` : `${CSI}?1049h${CSI}2J`);
  isFull = !isFull;
  draw();
}

function end() {
  process.stdout.write(`${isFull ? `${CSI}?1049l` : ''}\r\n${CSI}?25hended after: ${typed}\r\n`, () => process.exit());
}

process.stdin.setRawMode(true);
process.stdin.setEncoding('utf8').on('data', (keys) => {
  for (const key of keys) {
    if (key === '\x03') end();
    else if (key === '\t') toggle();
    else typed += key;
  }
});
draw();
setInterval(draw, 33);
