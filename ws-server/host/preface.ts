/** What a session that was started again shows above its first output: the end of the older output, and a line that says so. */
import type { Size } from '@/lib/protocol/wire';
import type { KeyFrame } from './journal-format';
import { serializeLines } from './snapshot';
import { screenOf } from './tape';

/** Older lines with their attributes take at most this (bytes of UTF-8). */
const PREFACE_BYTES_MAX = 1024 * 1024;

/** The text of a preface. Its lines are those of the older normal screen and its scrollback, wrapped for the new size. */
export function prefaceOf(older: KeyFrame, size: Size, now: Date = new Date()): string {
  const screen = screenOf(older);
  try {
    screen.resize(size);
    const lines = serializeLines(screen.terminal, PREFACE_BYTES_MAX);
    const two = (value: number) => String(value).padStart(2, '0');
    const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
    const marker = `── restarted ${day} ${two(now.getHours())}:${two(now.getMinutes())} ──`.slice(0, size.cols);
    return `${lines}${lines && '\r\n'}\x1b[2m${marker}\x1b[0m\r\n`;
  } finally {
    screen.dispose();
  }
}
