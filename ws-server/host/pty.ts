/**
 * A pty whose output is read to the last byte. node-pty's own reader loses the tail when the child ends fast, so this one
 * uses its native fork, holds the slave side open over the child's exit and drains the master before it reports the exit.
 * Both are private to node-pty, whose version is pinned; `pty.test.ts` proves that nothing is lost.
 */
import { closeSync, constants, existsSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import type { ConnectOpts, SocketConstructorOpts } from 'node:net';
import { ReadStream } from 'node:tty';
import * as nodePty from 'node-pty';
import { AppError } from '@/lib/protocol/errors';
import type { Size } from '@/lib/protocol/wire';
import type { Launch } from '@/ws-server/link';

/**
 * More than the kernel hands out of a terminal at once, which is 4 KiB as a rule: a read that filled the buffer would be followed
 * by the next one, up to 32 times, before other sessions get their turn.
 */
const READ_BYTES = 64 * 1024;
/** Every read of every pty goes through it: what it holds is taken at once. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
/** Waiting for a program that does not read its input: from 1 ms doubling to 20 ms. */
const WRITE_RETRY_MAX_MS = 20;

type NativePty = {
  fork(
    file: string,
    args: string[],
    env: string[],
    cwd: string,
    cols: number,
    rows: number,
    uid: number,
    gid: number,
    isUtf8: boolean,
    helperPath: string,
    onExit: (code: number, signal: number) => void,
  ): { fd: number; pid: number; pty: string };
  resize(fd: number, cols: number, rows: number): void;
};

// node-pty exports its native module without a type.
const { native } = nodePty as unknown as { native: NativePty };

/** What a pty tells: output in order, then the exit, exactly once. A chunk is valid during the call only. */
export type PtyEvents = { data: (chunk: Buffer) => void; exit: (code: number, signal: number) => void };

const CLOSING_SHELLS = ['/bin/bash', '/usr/bin/bash', '/bin/zsh', '/usr/bin/zsh', '/usr/local/bin/bash'];
const closingShell = CLOSING_SHELLS.find((file) => existsSync(file));
/** macOS starts children through node-pty's helper, which closes everything. */
const hasClosingHelper = process.platform === 'darwin';
/** O_CLOEXEC as `/proc/<pid>/fdinfo` shows it (octal). */
const CLOSE_ON_EXEC = 0o2000000;

/** Ptys that one process can hold without handing the handles of one to the shell of another. */
export const ptysPerProcessMax = closingShell || hasClosingHelper ? Number.POSITIVE_INFINITY : 1;

/**
 * Handles that a child would inherit: the masters of other sessions, which node-pty opens without close-on-exec, and what
 * this process was itself started with.
 */
function inheritableHandles(): number[] {
  const handles: number[] = [];
  for (const name of readdirSync('/proc/self/fdinfo')) {
    const fd = Number(name);
    if (fd <= 2) continue;
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'latin1'))?.[1] ?? '0';
      if ((Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) handles.push(fd);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // the handle of the listing itself
    }
  }
  return handles;
}

/** The command behind a short script that closes inheritable handles; dash cannot close descriptors above 9. */
function withoutForeignHandles(launch: Launch): { file: string; args: string[] } {
  if (hasClosingHelper || !closingShell) return launch;
  const closing = inheritableHandles().map((fd) => `exec ${fd}>&-`);
  if (closing.length === 0) return launch;
  const script = [...closing, 'exec "$0" "$@"'].join('; ');
  return { file: closingShell, args: ['-c', script, launch.file, ...launch.args] };
}

/** The system has no pty, process or handle left: what is there is given back, and the caller hears which limit it was. */
function orNoPty<T>(take: () => T, giveBack: () => void = () => undefined): T {
  try {
    return take();
  } catch (cause) {
    giveBack();
    throw new AppError('no_capacity', 'The system has no terminal left to give.', {
      details: { reason: 'pty_limit' },
      cause,
    });
  }
}

export class Pty {
  readonly pid: number;
  readonly #fd: number;
  readonly #slave: number;
  readonly #stream: ReadStream;
  readonly #events: PtyEvents;
  #exit: { code: number; signal: number } | null = null;
  #isPaused = false;
  #isClosed = false;
  #queue: { data: Uint8Array; done: () => void }[] = [];
  #queuedBytes = 0;
  #retryMs = 0;
  #retryTimer: NodeJS.Timeout | undefined;

  /**
   * Starts a program in a new pty.
   * @param cwd a directory, or `/proc/self/fd/N` of one that this process holds open
   * @throws AppError `no_capacity` when no pty or process can be had
   */
  constructor(launch: Launch & Size & { cwd: string }, events: PtyEvents) {
    this.#events = events;
    const env = Object.entries(launch.env).map(([name, value]) => `${name}=${value}`);
    const { file, args } = withoutForeignHandles(launch);
    const onExit = (code: number, signal: number) => this.#ended(code, signal);
    const { cwd, cols, rows } = launch;
    const { fd, pid, pty } = orNoPty(() => native.fork(file, args, env, cwd, cols, rows, -1, -1, true, '', onExit));
    this.pid = pid;
    this.#fd = fd;
    // While a slave is open the kernel keeps the output of an ended child readable.
    this.#slave = orNoPty(
      () => openSync(pty, constants.O_RDWR | constants.O_NOCTTY),
      () => {
        process.kill(pid, 'SIGKILL');
        closeSync(fd);
      },
    );
    // `onread` is an option of every socket; the types of terminals leave it out.
    const options: SocketConstructorOpts & ConnectOpts = {
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          events.data(readBuffer.subarray(0, length));
          return true;
        },
      },
    };
    this.#stream = new ReadStream(fd, options);
    this.#stream.on('error', () => this.#stream.pause()); // the exit path reads what is left and reports the end
    this.#stream.resume();
  }

  /** Bytes of input that the program has not taken yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  pause(): void {
    this.#isPaused = true;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#exit) this.#finish();
    else this.#stream.resume();
  }

  /** Writes input in order; `done` is called when the kernel has taken all of it. After the end nothing is written. */
  write(data: Uint8Array, done: () => void): void {
    if (this.#isClosed) return;
    this.#queue.push({ data, done });
    this.#queuedBytes += data.length;
    if (this.#queue.length === 1) this.#flush();
  }

  /** @param size within the limits of the protocol: node-pty cuts larger numbers to 16 bits */
  resize({ cols, rows }: Size): void {
    if (!this.#isClosed) native.resize(this.#fd, cols, rows);
  }

  #flush(): void {
    this.#retryTimer = undefined;
    for (let head = this.#queue[0]; head && !this.#isClosed; head = this.#queue[0]) {
      const written = this.#writeNow(head.data);
      this.#queuedBytes -= written;
      if (written < head.data.length) {
        head.data = head.data.subarray(written);
        this.#retryMs = written > 0 ? 1 : Math.min(Math.max(1, this.#retryMs * 2), WRITE_RETRY_MAX_MS);
        this.#retryTimer = setTimeout(() => this.#flush(), this.#retryMs);
        return;
      }
      this.#queue.shift();
      this.#retryMs = 0;
      head.done();
    }
  }

  #writeNow(data: Uint8Array): number {
    if (data.length === 0) return 0;
    try {
      return writeSync(this.#fd, data);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return 0;
      if (code === 'EIO') return data.length; // nobody reads any more: the program has ended
      throw error;
    }
  }

  #ended(code: number, signal: number): void {
    this.#exit = { code, signal };
    if (!this.#isPaused) this.#finish();
  }

  #finish(): void {
    if (!this.#exit || this.#isClosed) return;
    this.#isClosed = true;
    const { data } = this.#events;
    const stream = this.#stream;
    // It polls no more: the descriptor may be read directly.
    stream.pause();
    this.#drain(data);
    clearTimeout(this.#retryTimer);
    this.#queue = [];
    this.#queuedBytes = 0;
    closeSync(this.#slave);
    stream.destroy();
    this.#events.exit(this.#exit.code, this.#exit.signal);
  }

  #drain(data: (chunk: Buffer) => void): void {
    for (;;) {
      try {
        const length = readSync(this.#fd, readBuffer);
        if (length === 0) return;
        data(readBuffer.subarray(0, length));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN' || code === 'EIO') return;
        throw error;
      }
    }
  }
}
