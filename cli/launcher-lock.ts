/**
 * One launcher for each data directory and each run directory: `launcher.sock` in both is its lock, tells its status, and
 * takes the order to stop.
 */
import { realpathSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { CommandError } from './command-error';
import { parseJson } from './parse-json';
import { connectToLock, type SocketLock, takeSocketLock } from './socket-lock';

const QUESTION_DEADLINE_MS = 5_000;
const TEXT_LENGTH_MAX = 64 * 1024;

const questionSchema = z.object({ op: z.enum(['status', 'stop']) });
const statusSchema = z.object({ pid: z.number().int(), publicUrl: z.string(), isReady: z.boolean() });
const farewellSchema = z.object({ farewell: z.string() });

/** What a launcher says of itself. */
export type LauncherStatus = z.infer<typeof statusSchema>;

/** Releases the lock; whoever asked to stop is told the farewell first. */
export type LauncherLock = { release: (farewell: string) => Promise<void> };

function socketPath(directory: string): string {
  return join(directory, 'launcher.sock');
}

/** Becomes the launcher of all these directories, or gives null when one of them has a launcher already. */
export async function takeLauncherLock(
  directories: string[],
  { status, stop }: { status: () => LauncherStatus; stop: () => void },
): Promise<LauncherLock | null> {
  const open = new Set<Socket>();
  const waiting = new Set<Socket>();

  function answer(socket: Socket, line: string): void {
    const question = questionSchema.safeParse(parseJson(line));
    if (!question.success) return void socket.destroy();
    socket.write(`${JSON.stringify(status())}\n`);
    if (question.data.op === 'status') return void socket.end();
    waiting.add(socket);
    stop();
  }

  function onConnection(socket: Socket): void {
    open.add(socket);
    const deadline = setTimeout(() => socket.destroy(), QUESTION_DEADLINE_MS);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(deadline);
      open.delete(socket);
      waiting.delete(socket);
    });
    onText(socket, (text) => {
      if (!text.includes('\n')) return;
      clearTimeout(deadline);
      socket.removeAllListeners('data');
      answer(socket, text);
    });
  }

  const locks: SocketLock[] = [];
  for (const directory of new Set(directories.map((path) => realpathSync(path)))) {
    const lock = await takeSocketLock(socketPath(directory), onConnection);
    if (!lock) {
      await Promise.all(locks.map((taken) => taken.release()));
      return null;
    }
    locks.push(lock);
  }
  return {
    release: async (farewell) => {
      const released = locks.map((lock) => lock.release()); // no new questions from here on
      for (const socket of open) {
        if (waiting.has(socket)) socket.end(`${JSON.stringify({ farewell })}\n`, () => socket.destroy());
        else socket.destroy();
      }
      await Promise.all(released);
    },
  };
}

/** What the launcher of a data or run directory says of itself; null when none runs. */
export async function askLauncher(directory: string): Promise<LauncherStatus | null> {
  const lines = await ask(directory, 'status', QUESTION_DEADLINE_MS);
  return lines ? statusSchema.parse(parseJson(lines[0] ?? '')) : null;
}

/** Tells the launcher to stop and waits until it is gone; null when none runs. The farewell says what keeps running. */
export async function stopLauncher(
  directory: string,
  deadlineMs: number,
): Promise<{ pid: number; farewell: string } | null> {
  const lines = await ask(directory, 'stop', deadlineMs);
  if (!lines) return null;
  const { pid } = statusSchema.parse(parseJson(lines[0] ?? ''));
  const last = farewellSchema.safeParse(parseJson(lines[1] ?? ''));
  return { pid, farewell: last.success ? last.data.farewell : '' };
}

/** Sends one question and gives all lines until the launcher closes. */
async function ask(directory: string, op: 'status' | 'stop', deadlineMs: number): Promise<string[] | null> {
  const socket = await connectToLock(socketPath(directory));
  if (!socket) return null;
  let answer = '';
  onText(socket, (text) => {
    answer = text;
  });
  const closed = new Promise<true>((resolve) => socket.once('close', () => resolve(true)));
  socket.write(`${JSON.stringify({ op })}\n`);
  const cancel = new AbortController();
  const isClosed = await Promise.race([closed, sleep(deadlineMs, false, { signal: cancel.signal }).catch(() => false)]);
  cancel.abort();
  socket.destroy();
  if (!isClosed) {
    throw new CommandError(`The launcher did not answer within ${deadlineMs / 1000} s. Press Ctrl-C where it runs.`);
  }
  return answer.split('\n');
}

/** Calls with all text so far at each piece; a stranger who sends too much is cut off. */
function onText(socket: Socket, onChange: (text: string) => void): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (piece: string) => {
    text += piece;
    if (text.length > TEXT_LENGTH_MAX) socket.destroy();
    else onChange(text);
  });
}
