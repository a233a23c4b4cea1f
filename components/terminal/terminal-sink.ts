/** Feeds an xterm.js terminal from a connection. */
import type { Terminal } from '@xterm/xterm';
import type { TerminalSink } from '@/lib/client/feed';
import { WholeCharacters } from '@/lib/protocol/terminal';

// What `reset` leaves as it is: a sequence being parsed, colours, hidden cursor, blinking, line feed mode.
const CLEAN_START = new TextEncoder().encode(
  '\x18\x1b]104\x07\x1b]110\x07\x1b]111\x07\x1b]112\x07\x1b[?25h\x1b[?12l\x1b[20l',
);

/** A sink for a terminal of the browser package, or of the headless one in tests. */
export function terminalSink(terminal: Pick<Terminal, 'reset' | 'resize' | 'write'>): TerminalSink {
  let characters = new WholeCharacters();
  return {
    reset({ cols, rows }) {
      characters = new WholeCharacters();
      terminal.reset();
      terminal.resize(cols, rows);
      terminal.write(CLEAN_START);
    },
    resize: ({ cols, rows }) => terminal.resize(cols, rows),
    write: (data, done) => terminal.write(characters.push(data), done),
  };
}
