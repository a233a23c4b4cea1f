/** What must hold after every fault: the entries L1 to L9. Each entry gives the lines of what does not hold. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTimeOf } from '@/lib/processes';
import type { TerminalSession } from '@/lib/protocol/rest';
import { dumpTerminal } from '@/tests/harness/dump';
import { isRunning, residentBytes, until } from '@/tests/harness/processes';
import { quantile } from './case';
import { FaultClient } from './client';
import { countOf, type Load, type Member } from './load';
import { type RestCall, RestProbe } from './probe';
import { handlesOf, type Stack } from './stack';

/** After a fault has ended everything is in order within this time (ms). */
const HEAL_MS = 15_000;
const CHECK_PAUSE_MS = 250;
/** L6: the slowest call in a hundred, and the slowest of all (ms). */
const REST_P99_MS = 1_000;
const REST_MAX_MS = 5_000;
/**
 * L9: a tenth over the baseline is allowed, and beside it what does not grow from case to case: some handles, and in each process
 * the memory that its heap once needed and keeps (bytes).
 */
const GROWTH = 1.1;
const SPARE_HANDLES = 8;
const SPARE_BYTES = 64 * 1024 * 1024;

/** What of a stack is measured against its baseline. */
type Resources = { processes: number; handles: number; bytes: number; what: string };

/** The books of one stack. `close` ends its probe of the REST API. */
export class Ledger {
  readonly #stack: Stack;
  readonly #load: Load;
  readonly #offsets = new Map<string, number>();
  readonly #probe: RestProbe;
  #calls: RestCall[] = [];
  #baseline: Resources | null = null;

  constructor(stack: Stack, load: Load) {
    this.#stack = stack;
    this.#load = load;
    this.#probe = new RestProbe(stack);
  }

  close(): void {
    this.#probe.stop();
  }

  /** Begins a case: figures of an earlier one do not count. */
  async begin(): Promise<void> {
    const some = this.#load.members.slice(0, 5).map(({ id }) => `/api/terminal/${id}`);
    this.#probe.ask(['/api/terminal/list', '/api/ready', ...some]);
    await this.#probe.take();
    this.#calls = [];
    this.#baseline ??= this.#resources();
  }

  /** The fault takes web away: until `webIsBack` calls may find nobody. */
  webGoes(): void {
    this.#probe.pause();
  }

  webIsBack(): void {
    this.#probe.resume();
  }

  /** What the REST API has answered since the case began. */
  async answers(): Promise<readonly RestCall[]> {
    this.#calls.push(...(await this.#probe.take()));
    return this.#calls;
  }

  /** The memory and handles of now are what later ones are compared with. */
  rebase(): void {
    this.#baseline = this.#resources();
  }

  /** Waits until every entry holds. @throws with every line that still does not hold after the deadline */
  async settle(slack: number): Promise<void> {
    this.#load.quiet();
    const end = performance.now() + HEAL_MS * slack;
    for (;;) {
      const broken = this.#output();
      if (broken.length > 0) throw new Error(broken.join('\n  ')); // no time heals that
      const open = await this.#open(slack).catch((error: Error) => [`the ledger cannot be read: ${error.message}`]);
      if (open.length === 0) break;
      if (performance.now() > end) throw new Error(open.join('\n  '));
      await sleep(CHECK_PAUSE_MS);
    }
    this.#load.resume();
  }

  async #open(slack: number): Promise<string[]> {
    const listed = new Map((await this.#stack.terminals()).map((session) => [session.id, session]));
    const fast = [
      ...this.#acknowledged(listed),
      ...this.#records(listed),
      ...this.#input(),
      ...this.#shells(),
      ...(await this.#answers(slack)),
      ...this.#secrets(),
      ...this.#growth(),
    ];
    // Drawing screens anew is work: only when all else is in order.
    return fast.length > 0 ? fast : [...(await this.#screens()), ...(await this.#builds())];
  }

  /** L1 */
  #acknowledged(listed: Map<string, TerminalSession>): string[] {
    return this.#load.members.flatMap(({ id, name }) => {
      const session = listed.get(id);
      if (!session) return [`L1 ${name} (${id}) is not listed`];
      const isOver = ['ended', 'lost'].includes(session.status);
      if (!this.#load.lost.has(id)) return isOver ? [`L1 ${name} is ${session.status}`] : [];
      if (!isOver) return [`L1 ${name} is ${session.status} though it was ended`];
      return session.exit?.reason ? [] : [`L1 ${name} is ${session.status} without a reason`];
    });
  }

  /** L2 */
  #records(listed: Map<string, TerminalSession>): string[] {
    const processes = this.#stack.sessionProcesses();
    const isLive = ({ status }: TerminalSession) => status === 'active' || status === 'inactive';
    const orphans = processes.filter(({ session }) => {
      const record = listed.get(session);
      return !record || !isLive(record);
    });
    const empty = [...listed.values()].filter((record) => isLive(record) && !isRunning(record.pid ?? 0));
    return [
      ...orphans.map(({ pid, session }) => `L2 process ${pid} of ${session} has no live record`),
      ...empty.map(({ id, pid }) => `L2 ${id} is active and its process ${pid} is gone`),
    ];
  }

  /** L3, for writers */
  #output(): string[] {
    return this.#load.members.flatMap(({ writer }) => writer?.faults.map((line) => `L3 ${line}`) ?? []);
  }

  /** L4 and L7 */
  #input(): string[] {
    return this.#load.members.flatMap(({ id, typist }) => typist?.faults({ isLost: this.#load.lost.has(id) }) ?? []);
  }

  /** L5 */
  #shells(): string[] {
    return this.#load.living.flatMap(({ name, shell }) => {
      return startTimeOf(shell.pid) === shell.startTime ? [] : [`L5 the shell of ${name} (${shell.pid}) has ended`];
    });
  }

  /** L6 */
  async #answers(slack: number): Promise<string[]> {
    const calls = await this.answers();
    const p99 = quantile(
      calls.map(({ ms }) => ms),
      0.99,
    );
    const slowest = calls
      .toSorted((a, b) => b.ms - a.ms)
      .slice(0, 3)
      .map(({ path, ms }) => `${path} ${Math.round(ms)} ms`)
      .join(', ');
    return [
      ...(p99 > REST_P99_MS * slack
        ? [`L6 REST p99 is ${Math.round(p99)} ms over ${calls.length} calls: ${slowest}`]
        : []),
      ...calls.flatMap(({ path, status, ms }) => {
        if (ms > REST_MAX_MS * slack) return [`L6 ${path} took ${Math.round(ms)} ms`];
        if (status === null) return [`L6 nobody answered ${path}`];
        return status === 500 ? [`L6 ${path} answered 500`] : [];
      }),
    ];
  }

  /** L8: what was written to the logs since the last look. */
  #secrets(): string[] {
    const { app, tickets, logsDir } = this.#stack;
    const keys = ['token', 'ticket.key', 'nextauth.secret', 'database.password'].flatMap((name) => {
      try {
        return [{ name, value: readFileSync(join(app.dataDir, name), 'utf8').trim() }];
      } catch {
        return []; // not made yet
      }
    });
    const found: string[] = [];
    for (const name of readdirSync(logsDir)) {
      const file = join(logsDir, name);
      const offset = Math.min(this.#offsets.get(file) ?? 0, statSync(file).size);
      const text = readFileSync(file).subarray(offset).toString('utf8');
      const tokens = text.match(/[\w-]{16,}\.[\w-]{16,}/g) ?? [];
      for (const key of keys) if (text.includes(key.value)) found.push(`L8 ${name} holds ${key.name}`);
      if (tokens.some((token) => tickets.has(token))) found.push(`L8 ${name} holds a ticket`);
      if (/typist\d+-\d{6}-[0-9a-f]{8}/.test(text)) found.push(`L8 ${name} holds what was typed`);
      if (found.length === 0) this.#offsets.set(file, offset + Buffer.byteLength(text));
    }
    return found;
  }

  /** L9 */
  #growth(): string[] {
    const now = this.#resources();
    const { handles, bytes } = this.#baseline ?? now;
    const grown: string[] = [];
    const { what } = this.#baseline ?? now;
    if (now.handles > handles * GROWTH + SPARE_HANDLES || now.bytes > bytes * GROWTH + now.processes * SPARE_BYTES) {
      grown.push(`L9 now ${now.what}; before ${what}`);
    }
    const ptys = [...this.#stack.hosts().values()].reduce((sum, pid) => sum + handlesOf(pid).ptys, 0);
    const living = this.#load.living.length;
    if (ptys !== living) grown.push(`L9 hosts hold ${ptys} ptys for ${living} sessions`);
    return grown;
  }

  /** L3, for full-screen programs: what the viewer shows is what a fresh one shows. */
  async #screens(): Promise<string[]> {
    const still = this.#load.of('screen').filter(({ client }) => !isMoving(client));
    const checked = await Promise.all(still.map((member) => this.#compare(member)));
    return checked.flat();
  }

  async #compare({ id, name, client }: Member): Promise<string[]> {
    const fresh = await FaultClient.open(this.#stack, id, { mode: 'read', hasTerminal: true });
    try {
      const { terminal } = fresh;
      await until('it is drawn', () => (fresh.connection.parsedPosition ?? 0) > 0, 5_000);
      const isEqual = () => JSON.stringify(dumpTerminal(terminal)) === JSON.stringify(dumpTerminal(client.terminal));
      return await until('the screens are equal', isEqual, 2_000).then(
        () => [],
        () => [`L3 ${name} shows another screen than a fresh viewer`],
      );
    } finally {
      fresh.close();
      this.#stack.clients.delete(fresh);
    }
  }

  /** L5, for what works in the background. */
  async #builds(): Promise<string[]> {
    const builds = this.#load.of('build');
    const before = builds.map(countOf);
    await sleep(400);
    return builds.flatMap((member, index) => {
      return countOf(member) === before[index] ? [`L5 the build of ${member.name} stands still`] : [];
    });
  }

  #resources(): Resources {
    const { gatewayPid, webPid } = this.#stack;
    // Hosts without a session come and go: spares, and such as end themselves in a minute.
    const hosts = [...this.#stack.hosts()].filter(([, pid]) => handlesOf(pid).ptys > 0);
    const pids = new Map(hosts.map(([hostId, pid]) => [`host ${hostId}`, pid]));
    const all = [...pids.set('gateway', gatewayPid).set('web', webPid)].map(([name, pid]) => {
      return { name, handles: handlesOf(pid).all, bytes: residentBytes(pid) };
    });
    return {
      processes: all.length,
      handles: all.reduce((sum, each) => sum + each.handles, 0),
      bytes: all.reduce((sum, each) => sum + each.bytes, 0),
      what: all.map((each) => `${each.name} ${each.handles} handles ${Math.round(each.bytes / 1e6)} MB`).join(', '),
    };
  }
}

/** A clock or a list of processes never stands still, so that two viewers show different moments. */
function isMoving({ terminal }: FaultClient): boolean {
  const lines = Array.from({ length: 5 }, (_, y) => terminal?.buffer.active.getLine(y)?.translateToString(true) ?? '');
  return lines.some((line) => line.startsWith('Tasks:'));
}
