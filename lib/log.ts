/** Structured logs: one JSON line per fact. Never keystrokes, output, tickets or tokens. */
import { type Logger, pino } from 'pino';
import { escapeSteering } from './protocol/clean-text';

export type { Logger } from 'pino';

/**
 * The log of one process, to standard output.
 * @param name who speaks: `web`, `gateway`, `host`
 */
export function createLog(name: string, level: 'debug' | 'info' | 'warn' | 'error'): Logger {
  return pino({
    name,
    level,
    base: { name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    // A path or a message of another program may hold what steers the terminal that shows this line.
    hooks: { streamWrite: (line) => `${escapeSteering(line.trimEnd())}\n` },
  });
}
