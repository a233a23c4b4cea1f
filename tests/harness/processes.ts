/** Ports, processes and conditions that tests wait for. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemCode } from '@/lib/system-code';

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address && typeof address === 'object') resolve(address.port);
        else reject(new Error('no port'));
      });
    });
  });
}

/** Waits until a condition holds, and fails after the deadline with what it was. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 10_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await sleep(10);
  }
}

/** Whether a process runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Resident memory of a process (bytes); 0 when it has ended. */
export function residentBytes(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes ?? 0) * 1024;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

/** Sends a signal to a process that may have just ended. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}

/** The TCP addresses that a process listens on, as `127.0.0.1:4001`; those of IPv6 as 32 digits, `0…01:4001`. */
export function listeningAddresses(pid: number): string[] {
  const handles = readdirSync(`/proc/${pid}/fd`).map((name) =>
    orNothing(() => readlinkSync(`/proc/${pid}/fd/${name}`)),
  );
  return ['tcp', 'tcp6'].flatMap((table) =>
    orNothing(() => readFileSync(`/proc/${pid}/net/${table}`, 'utf8'))
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && handles.includes(`socket:[${inode}]`))
      .map(([, local = '']) => addressOf(local)),
  );
}

/** An address of the kernel's tables: words of four bytes, each with its lowest byte first, and the port. */
function addressOf(local: string): string {
  const [words = '', port = ''] = local.split(':');
  const bytes = words.match(/.{8}/g)?.flatMap((word) => word.match(/../g)?.reverse() ?? []) ?? [];
  const address = bytes.length === 4 ? bytes.map((byte) => Number.parseInt(byte, 16)).join('.') : bytes.join('');
  return `${address}:${Number.parseInt(port, 16)}`;
}

function orNothing(read: () => string): string {
  try {
    return read();
  } catch {
    return ''; // a handle or process that has just gone, or no IPv6
  }
}

/**
 * The processes whose command line holds a text, for example a temporary directory's name. A fork that has not become
 * its program yet still shows its parent's command line; it is not counted.
 */
export function findProcesses(text: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    const commandLine = commandLineOf(Number(name));
    if (!commandLine.includes(text) || commandLine === commandLineOf(parentOf(Number(name)))) return [];
    return [Number(name)];
  });
}

function commandLineOf(pid: number): string {
  return orNothing(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(orNothing(() => readFileSync(`/proc/${pid}/status`, 'utf8')))?.[1] ?? 0);
}
