/** Prints a picture, goes on drawing until a key is pressed, and says which. */
const ESC = '\x1b';
const CSI = `${ESC}[`;
const link = (address, text, params = '') => `${ESC}]8;${params};${address}${ESC}\\${text}${ESC}]8;;${ESC}\\`;
const columns = process.stdout.columns;

function wide() {
  return [
    '漢字かな交じり文 한국어 ｱｲｳ Ｗｉｄｅ',
    'e\u0301 a\u0308\u0323 o\u0302\u0301 n\u0303 Z\u0351\u0343\u0324 \u0e01\u0e33 \u0928\u093f \u1112\u1161\u11ab',
    'مرحبا שלום Ελληνικά Привет',
    '👩‍👩‍👧‍👦 🇫🇷🇩🇪 👍🏽 ❤️ ☎️ 1️⃣ 🏳️‍🌈 🧑🏿‍🚀 😀😀',
    `a\u200db c\u00add e\ufeff f${'\u0301'.repeat(8)}`,
    `${'x'.repeat(columns - 1)}漢wraps`,
    '界'.repeat(columns),
    `half: 漢字漢字${CSI}7G.${CSI}10G.`,
    `insert: 漢字${CSI}9G${CSI}2@${CSI}4mab${CSI}m delete: 漢字漢字${CSI}4D${CSI}P`,
    `${CSI}7m全角${CSI}27m${CSI}31m赤${CSI}m👍${CSI}44m👍${CSI}K${CSI}m`,
  ];
}

function colours() {
  const steps = Array.from({ length: 64 }, (_, n) => n * 4);
  const styles = [1, 2, 3, 4, 5, 7, 8, 9, 21, 53, '4:3', '4:4', '4:5'];
  return [
    `${ESC}]4;1;rgb:ff/80/00${ESC}\\${ESC}]11;rgb:10/20/30${ESC}\\${CSI}31morange${CSI}m`,
    `${steps.map((n) => `${CSI}38;2;${n};${255 - n};128m#`).join('')}${CSI}m`,
    `${steps.map((n) => `${CSI}48:2::${n}:64:${255 - n}m `).join('')}${CSI}m`,
    `${steps.map((n) => `${CSI}38;5;${n};48;5;${255 - n}m=`).join('')}${CSI}m`,
    `${styles.map((style) => `${CSI}${style}mstyle${CSI}m `).join('')}`,
    `${CSI}4:3;58;2;255;0;255mcurly${CSI}4:5;58;5;46mdashed${CSI}59mplain${CSI}m`,
    `${CSI}48;2;40;0;80merased to the end${CSI}K${CSI}m`,
    ...Array.from({ length: 16 }, (_, n) => `${CSI}${n < 8 ? 30 + n : 82 + n}mcolour ${n}${CSI}m`),
  ];
}

function marks() {
  return [
    link('https://example.org/held', 'a link'),
    link('https://example.org/parts', `${CSI}1mone`, 'id=7') +
      ' and ' +
      link('https://example.org/parts', 'two', 'id=7'),
    link(`https://example.org/${'long/'.repeat(40)}`, 'a link over the edge '.repeat(8)),
    `${CSI}5 q${CSI}?25l${ESC}]2;held: 漢字 \u2713${ESC}\\a bar that is hidden`,
  ];
}

function modes() {
  return [
    `${ESC}(0lqqqwqqqk${ESC}(B ${ESC})0\x0emqqqvqqqj\x0f`,
    `${CSI}3g${CSI}5G${ESC}H${CSI}13G${ESC}H${CSI}40G${ESC}H\r\ta\tb\tc`,
    `${CSI}?1h${ESC}=${CSI}?2004h${CSI}?1002h${CSI}?1006h${CSI}?1004h${CSI}1"qkept${CSI}0"q`,
    `${CSI}32;4m${ESC}7${CSI}m${CSI}6;20r${CSI}?6h${CSI}3;3Hin the region${CSI}15;1H\n\nscrolled${CSI}33m`,
  ];
}

function rows() {
  return Array.from({ length: 1500 }, (_, n) => {
    const room = ' '.repeat(n % 9 ? 6 : 200);
    return `row ${n} ${CSI}3${n % 8}mcolour${CSI}m${room}漢字|`;
  });
}

function bar(count) {
  return `\r${CSI}32m${'#'.repeat(count % 40).padEnd(40)}${CSI}m ${String(count % 101).padStart(3)}%${CSI}K`;
}

// Everything back: pen, cursor, modes, region, tab stops, colours.
const RESET = `${ESC}c${CSI}?25h${ESC}]104${ESC}\\${ESC}]111${ESC}\\`;
const counter = (count) => `\rcount ${count} `;
const PICTURES = {
  wide: { lines: wide, step: counter, end: RESET },
  colours: { lines: colours, step: counter, end: RESET },
  marks: { lines: marks, step: counter, end: RESET },
  modes: { lines: modes, step: counter, end: RESET },
  rows: { lines: rows, step: (count) => `more ${count}\r\n`, end: '' },
  bar: { lines: () => ['fetched one', 'fetched two'], step: bar, end: '\r\n' },
};

const { lines, step, end } = PICTURES[process.argv[2]];
process.stdin.setRawMode(true);
process.stdout.write(`${CSI}H${CSI}2J${lines().join('\r\n')}\r\n`);
let count = 0;
const drawing = setInterval(() => process.stdout.write(step(++count)), 40);
process.stdin.once('data', (key) => {
  clearInterval(drawing);
  process.stdout.write(`${end}the key was ${key}\r\n`, () => process.exit());
});
