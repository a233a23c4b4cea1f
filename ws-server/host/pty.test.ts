import { createHash, randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Launch } from '../link';
import { Pty, type PtyEvents } from './pty';

const env = { PATH: '/usr/local/bin:/usr/bin:/bin', TERM: 'xterm-256color' };
const started = new Set<number>();

function start(script: string, events: PtyEvents, size = { cols: 80, rows: 24 }): Pty {
  const launch: Launch = { file: '/bin/sh', args: ['-c', script], env };
  const pty = new Pty(
    { ...launch, ...size, cwd: '/' },
    {
      data: events.data,
      exit: (code, signal) => {
        started.delete(pty.pid);
        events.exit(code, signal);
      },
    },
  );
  started.add(pty.pid);
  return pty;
}

/** Runs a script to its end and gives all of its output. */
function run(script: string, onStart: (pty: Pty) => void = () => undefined): Promise<{ output: Buffer; code: number }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const pty = start(script, {
      data: (chunk) => chunks.push(Buffer.from(chunk)),
      exit: (code) => resolve({ output: Buffer.concat(chunks), code }),
    });
    onStart(pty);
  });
}

afterEach(() => {
  for (const pid of started) process.kill(pid, 'SIGKILL');
  started.clear();
});

const numbers = Array.from({ length: 20_000 }, (_, n) => `${n + 1}\r\n`).join('');

describe('Pty', () => {
  it('H1 loses nothing of 100 programs that end at once', async () => {
    const lengths: number[] = [];
    for (let n = 0; n < 100; n++) lengths.push((await run('seq 1 20000')).output.length);
    expect(lengths.filter((length) => length !== numbers.length)).toEqual([]);
  }, 60_000);

  it('H1 loses nothing of 100 programs that end while the pty is paused', async () => {
    const wrong: number[] = [];
    for (let n = 0; n < 100; n++) {
      // 4,000 bytes fit the kernel's buffer, so that the program can end unread.
      const { output } = await run(`seq 1 ${700 + n}`, (pty) => {
        pty.pause();
        void vi
          .waitFor(() => expect(isZombieOrGone(pty.pid)).toBe(true), { timeout: 5000, interval: 1 })
          .then(() => pty.resume());
      });
      const expected = Array.from({ length: 700 + n }, (_, line) => `${line + 1}\r\n`).join('');
      if (output.toString() !== expected) wrong.push(n);
    }
    expect(wrong).toEqual([]);
  }, 60_000);

  it('H1 loses nothing when it is paused and resumed while 2 MB pass', async () => {
    const { output } = await run('seq 1 20000; seq 1 20000; seq 1 20000; exit 3', (pty) => {
      const timer = setInterval(() => {
        pty.pause();
        setImmediate(() => pty.resume());
      }, 1);
      timer.unref();
    });
    expect(output.toString()).toBe(numbers.repeat(3));
  });

  it('reports exit code and signal', async () => {
    expect((await run('exit 7')).code).toBe(7);
    const signal = await new Promise((resolve) => {
      start('kill -9 $$', { data: () => undefined, exit: (_code, number) => resolve(number) });
    });
    expect(signal).toBe(9);
  });

  it('I5 passes all 256 byte values and 1 MB of input to a program that reads late', async () => {
    const input = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, n) => n)), randomBytes(1_000_000)]);
    const hash = createHash('sha256').update(input).digest('hex');
    const { output } = await run(
      `stty raw -echo; printf ready; sleep 0.3; head -c ${input.length} | sha256sum`,
      (pty) => {
        let isSent = false;
        const send = () => {
          if (isSent) return;
          isSent = true;
          pty.write(input, () => undefined);
        };
        setTimeout(send, 150);
      },
    );
    expect(output.toString()).toContain(hash);
  });

  it('calls done in order, and only when the kernel has taken the input', async () => {
    const done: number[] = [];
    const pty = start('stty raw -echo; printf ready; sleep 30', { data: () => undefined, exit: () => undefined });
    pty.write(Buffer.from('a'), () => done.push(1));
    pty.write(Buffer.alloc(200_000, 'b'), () => done.push(2));
    pty.write(Buffer.from('c'), () => done.push(3));
    expect(done).toEqual([1]);
    expect(pty.queuedBytes).toBeGreaterThan(100_000);
  });

  it('H3 gives a program no handle but its terminal, also beside other sessions', async () => {
    const others = Array.from({ length: 5 }, () => start('sleep 30', { data: () => undefined, exit: () => undefined }));
    const { output } = await run('ls -l /proc/$$/fd');
    const handles = output
      .toString()
      .split('\r\n')
      .filter((line) => line.includes('->'));
    expect(handles, output.toString()).toHaveLength(3);
    expect(handles.every((line) => line.includes('/dev/pts/'))).toBe(true);
    expect(others).toHaveLength(5);
  });

  it('starts in the size that was asked for, and resizes', async () => {
    const chunks: Buffer[] = [];
    const pty = start(
      'stty size; read x; stty size; sleep 30',
      { data: (chunk) => chunks.push(Buffer.from(chunk)), exit: () => undefined },
      { cols: 132, rows: 43 },
    );
    await vi.waitFor(() => expect(Buffer.concat(chunks).toString()).toContain('43 132'), 5000);
    pty.resize({ cols: 100, rows: 30 });
    pty.write(Buffer.from('\n'), () => undefined);
    await vi.waitFor(() => expect(Buffer.concat(chunks).toString()).toContain('30 100'), 5000);
  });
});

function isZombieOrGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
