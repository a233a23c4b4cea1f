/** Structured logs: one JSON line per fact. Never keystrokes, output, tickets or tokens. */
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { type DestinationStream, type Logger, pino } from 'pino';
import { escapeSteering } from './protocol/clean-text';

export type { Logger } from 'pino';

const STDOUT = 1;
/** What waits for a reader that does not read (bytes); what comes then is dropped and counted. */
const WAITING_BYTES_MAX = 1024 * 1024;

let pipe: DestinationStream | null = null;

/**
 * The log of one process, to standard output.
 * @param name who speaks: `web`, `gateway`, `host`
 */
export function createLog(name: string, level: 'debug' | 'info' | 'warn' | 'error'): Logger {
  const options = {
    name,
    level,
    base: { name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    // A path or a message of another program may hold what steers the terminal that shows this line.
    hooks: { streamWrite: (line: string) => `${escapeSteering(line.trimEnd())}\n` },
  };
  if (!isPipe()) return pino(options);
  pipe ??= patientSink(process.stdout);
  return pino(options, pipe);
}

function isPipe(): boolean {
  try {
    const stat = fstatSync(STDOUT);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false; // standard output is closed
  }
}

/** Lines to a stream whose reader may have stopped: pino's own way to a pipe would stop this process with it. */
export function patientSink(stream: Writable): DestinationStream {
  let dropped = 0;
  // Whoever read has gone; there is nobody to tell.
  stream.on('error', () => undefined);
  return {
    write(line: string): void {
      if (stream.writableLength > WAITING_BYTES_MAX) {
        dropped++;
        return;
      }
      if (dropped > 0) {
        const time = new Date().toISOString();
        stream.write(`${JSON.stringify({ level: 40, time, pid: process.pid, dropped, msg: 'log lines dropped' })}\n`);
        dropped = 0;
      }
      stream.write(line);
    },
  };
}
