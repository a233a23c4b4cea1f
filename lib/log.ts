/** Structured logs: one JSON line per fact. Never keystrokes, output, tickets or tokens. */
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/**
 * The log of one process, to standard output.
 * @param name who speaks: `web`, `gateway`, `host`
 */
export function createLog(name: string, level: 'debug' | 'info' | 'warn' | 'error'): Logger {
  return pino({ name, level, base: { name, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime });
}
