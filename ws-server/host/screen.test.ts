import { describe, expect, it } from 'vitest';
import { dumpTerminal } from '@/tests/harness/dump';
import { cleanTitle, Screen } from './screen';

const fault = (error: unknown) => {
  throw error;
};

function screenWith(size = { cols: 20, rows: 5 }) {
  const replies: string[] = [];
  const titles: string[] = [];
  const screen = new Screen(size, { reply: (text) => replies.push(text), title: (text) => titles.push(text), fault });
  const write = (text: string) => screen.write(Buffer.from(text, 'utf8'));
  return { screen, replies, titles, write };
}

describe('Screen', () => {
  it('S2 characters split at any byte are drawn whole', () => {
    const text = '\u2014\u0400漢👍🏽e\u0301\u3000';
    const whole = screenWith();
    whole.write(text);
    const split = screenWith();
    for (const byte of Buffer.from(text)) split.screen.write(Buffer.from([byte]));
    expect(dumpTerminal(split.screen.terminal)).toEqual(dumpTerminal(whole.screen.terminal));
    expect(split.screen.position).toBe(whole.screen.position);
  });

  it('S3 a snapshot position never lies behind the parsed position, and in front of an unfinished sequence', () => {
    const { screen, write } = screenWith();
    write('abc\x1b[3');
    expect(screen.snapshot(0)).toMatchObject({ position: 3, parsed: 6 });
    write('1m\u2014');
    expect(screen.snapshot(0)).toMatchObject({ position: 11, parsed: 11 });
    screen.write(Buffer.from([0xe2, 0x80]));
    expect(screen.snapshot(0)).toMatchObject({ position: 11, parsed: 11 });
    write(`\x1b]2;${'x'.repeat(100)}`);
    expect(screen.snapshot(100)).toMatchObject({ position: screen.position });
  });

  it('S7 titles lose control characters and are cut at 256', () => {
    expect(cleanTitle('a\x07b\x1b[31m\u202ec\u0085d')).toBe('ab[31mcd');
    const { titles, write, screen } = screenWith();
    write(`\x1b]2;${'t'.repeat(5000)}\x07`);
    expect(titles.at(-1)).toHaveLength(256);
    expect(screen.title).toHaveLength(256);
  });

  it('S6 colour queries are answered with the colours of the driver and with what programs set', () => {
    const { screen, replies, write } = screenWith();
    screen.describe({
      colours: { foreground: '#010203', background: '#fefefe', cursor: '#00ff00' },
      cell: { width: 9, height: 18 },
    });
    write('\x1b]10;?\x07\x1b]11;?\x1b\\\x1b]12;?\x07\x1b]4;16;?;231;?\x07\x1b[14t\x1b[16t\x1b[18t');
    expect(replies).toEqual([
      '\x1b]10;rgb:0101/0202/0303\x1b\\',
      '\x1b]11;rgb:fefe/fefe/fefe\x1b\\',
      '\x1b]12;rgb:0000/ffff/0000\x1b\\',
      '\x1b]4;16;rgb:0000/0000/0000\x1b\\',
      '\x1b]4;231;rgb:ffff/ffff/ffff\x1b\\',
      '\x1b[4;90;180t',
      '\x1b[6;18;9t',
      '\x1b[8;5;20t',
    ]);
    replies.length = 0;
    write('\x1b]10;#f00\x07\x1b]10;?\x07\x1b]110\x07\x1b]10;?\x07\x1b]4;300;?\x07\x1b]4;x;?\x07\x1b]10;evil;?\x07');
    expect(replies).toEqual([
      '\x1b]10;rgb:f0f0/0000/0000\x1b\\',
      '\x1b]10;rgb:0101/0202/0303\x1b\\',
      '\x1b]11;rgb:fefe/fefe/fefe\x1b\\',
    ]);
  });

  it('S6 titles, clipboards and unknown questions are never answered', () => {
    const { replies, write } = screenWith();
    write('\x1b]2;evil\x07\x1b[21t\x1b[20t\x1b]52;c;?\x07\x1bP+q544e\x1b\\\x05\x1b[5i\x1b]7;?\x07\x1b]1337;?\x07');
    expect(replies).toEqual([]);
  });

  it('erasing above the last cell of a full screen does not stop the parser', () => {
    const { screen, write } = screenWith();
    write('\x1b[5;20Hx\x1b[1J\x1b[?1J\x1b[Hstill here');
    expect(screen.lines(5)[0]).toBe('still here');
  });

  it('gives its last lines as plain text', () => {
    const { screen, write } = screenWith();
    write(Array.from({ length: 30 }, (_, n) => `line ${n}`).join('\r\n'));
    expect(screen.lines(3)).toEqual(['line 27', 'line 28', 'line 29']);
  });
});

it('a throw inside the emulator is told, and the screen goes on', () => {
  const faults: unknown[] = [];
  const screen = new Screen(
    { cols: 20, rows: 5 },
    { reply: () => undefined, title: () => undefined, fault: (error) => faults.push(error) },
  );
  screen.terminal.parser.registerCsiHandler({ final: 'z' }, () => {
    throw new Error('a bug of the emulator');
  });
  screen.write(Buffer.from('before\x1b[z'));
  screen.write(Buffer.from(' after'));
  expect(faults).toHaveLength(1);
  expect(screen.lines(5)).toEqual(['before after']);
});
