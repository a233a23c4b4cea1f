/** The Unicode width and grapheme tables, the same that viewers load. */
import { createRequire } from 'node:module';

const { poolSize } = Buffer;
// The add-on (0.4.0) reads its table from offset 0 of the array buffer, also when Node has put it into a shared pool.
// Hence no pool while it loads, and `require`, because an import would run before this line.
Buffer.poolSize = 0;
// `require` has no types of its own.
const addon = createRequire(import.meta.url)(
  '@xterm/addon-unicode-graphemes',
) as typeof import('@xterm/addon-unicode-graphemes');
Buffer.poolSize = poolSize;

/** Teaches a terminal grapheme clusters and the widths of Unicode 15. */
export const { UnicodeGraphemesAddon } = addon;
