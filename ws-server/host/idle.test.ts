import { expect, it } from 'vitest';
import { type Belonging, type Census, markOf, membersOf, type Process } from './census';
import { type EndFacts, mayEnd } from './idle';

const IDLE_MS = 1_800_000;
const HOST = { pid: 50, startTime: '5' };
const MARK = markOf('testhost', HOST);
const ID = 'session_1700000000000_abcdefgh';
const SHELL: Process = {
  pid: 100,
  startTime: '1000',
  command: 'bash',
  isZombie: false,
  parent: HOST.pid,
  group: 100,
  session: 100,
  foregroundGroup: 100,
  cpuTicks: 7,
  carries: { session: ID, host: MARK },
  hostMark: null,
};
const ARGV = ['/bin/bash', '-l'];
const belonging: Belonging = { id: ID, mark: MARK, leader: { pid: 100, startTime: '1000' }, known: [], grouped: [] };

function censusOf(processes: Process[]): Census {
  return new Map(processes.map((each) => [each.pid, each]));
}

function facts(processes: Process[], changes: Partial<EndFacts> = {}): EndFacts {
  const base = { isOpen: true, isPinned: false, isAgent: false, viewers: 0, unusedMs: IDLE_MS, cpuTicksBefore: 7 };
  return { ...base, census: censusOf(processes), belonging, launched: ARGV, runsNow: ARGV, ...changes };
}

/** mulberry32 */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Strangers: a system of processes that has nothing to do with the session, some with look-alike environments. */
function strangers(random: (below: number) => number): Process[] {
  const lookAlikes: Process['carries'][] = [
    null,
    { session: ID, host: markOf('testhost', { ...HOST, startTime: '6' }) },
    { session: ID, host: markOf('otherone', HOST) },
    { session: 'session_1700000000000_zzzzzzzz', host: MARK },
  ];
  const all: Process[] = [
    { ...SHELL, pid: 1, parent: 0, group: 1, session: 1, carries: null },
    {
      ...SHELL,
      pid: HOST.pid,
      startTime: HOST.startTime,
      parent: 1,
      group: 50,
      session: 50,
      carries: null,
      hostMark: MARK,
    },
  ];
  for (let n = random(12); n > 0; n--) {
    const pid = 1_000 + all.length;
    const parent = all[random(all.length)]?.pid ?? 1;
    const carries = lookAlikes[random(lookAlikes.length)] ?? null;
    all.push({ ...SHELL, pid, parent, group: pid, session: pid, startTime: `${pid}`, carries });
  }
  return all;
}

/** Something that the shell started: a job, a daemon that left the terminal, one whose parent is gone, with or without its environment. */
function descendants(random: (below: number) => number, count: number): { processes: Process[]; grouped: number[] } {
  const processes: Process[] = [];
  const grouped: number[] = [];
  for (let n = 0; n < count; n++) {
    const pid = 200 + n;
    const parent = n === 0 ? SHELL : (processes[random(processes.length)] ?? SHELL);
    const process: Process = {
      ...SHELL,
      pid,
      startTime: `${2_000 + n}`,
      parent: parent.pid,
      group: pid,
      command: 'sleep',
    };
    const kind = random(5);
    if (kind === 1) process.session = pid; // setsid
    if (kind === 2) Object.assign(process, { session: pid, parent: 1 }); // double fork
    if (kind === 3) process.carries = null; // env -i, still in the terminal
    if (kind === 4) {
      Object.assign(process, { session: pid, parent: 1, carries: null }); // a daemon without environment, in the cgroup
      grouped.push(pid);
    }
    processes.push(process);
  }
  return { processes, grouped };
}

/** A host of another Holdfast that something of the session has started, and what runs in it; all may be in the session's cgroup. */
function innerHost(
  random: (below: number) => number,
  starters: Process[],
): { processes: Process[]; grouped: number[] } {
  const hostMark = markOf('innerone', { pid: 300, startTime: '3000' });
  const parent = random(2) === 0 ? 1 : (starters[random(starters.length)]?.pid ?? 1);
  const host: Process = {
    ...SHELL,
    pid: 300,
    startTime: '3000',
    parent,
    group: 300,
    session: 300,
    carries: null,
    hostMark,
  };
  const shell = {
    ...host,
    pid: 301,
    parent: 300,
    session: 301,
    carries: { session: ID, host: hostMark },
    hostMark: null,
  };
  const daemon = { ...shell, pid: 302, parent: 1, session: 302 };
  const bare = { ...shell, pid: 303, parent: 301, carries: null };
  const processes = [host, shell, daemon, bare];
  return { processes, grouped: random(2) === 0 ? [] : processes.map(({ pid }) => pid) };
}

it('T11 over generated process trees, a session with anything running in it never may end, and a bare one may', () => {
  for (let seed = 1; seed <= 3_000; seed++) {
    const random = randomFrom(seed);
    const others = strangers(random);
    const { processes, grouped } = descendants(random, random(6));
    const inner = innerHost(random, [SHELL, ...processes]);
    const tree = { ...belonging, grouped: [SHELL.pid, ...grouped, ...inner.grouped] };
    const all = [...others, SHELL, ...processes, ...inner.processes].sort(() => random(3) - 1);
    const own = membersOf(censusOf(all), tree).map(({ pid }) => pid);
    expect(own.sort(), `seed ${seed}`).toEqual([SHELL, ...processes].map(({ pid }) => pid).sort());
    expect(mayEnd(facts(all, { belonging: tree }), IDLE_MS), `seed ${seed}`).toBe(processes.length === 0);
  }
});

it.each<[string, Partial<EndFacts>]>([
  ['a viewer', { viewers: 1 }],
  ['a pin', { isPinned: true }],
  ['an agent', { isAgent: true }],
  ['use a moment ago', { unusedMs: IDLE_MS - 1 }],
  ['another program in the shell’s process', { runsNow: ['vim'] }],
  ['a script in the shell’s process', { runsNow: [...ARGV, 'script'] }],
  ['arguments that cannot be read', { runsNow: null }],
  ['work of the shell itself', { cpuTicksBefore: 6 }],
  ['no earlier look', { cpuTicksBefore: null }],
  ['an end that has begun', { isOpen: false }],
  ['a shell that cannot be seen', { census: new Map() }],
  ['another process with the shell’s pid', { census: censusOf([{ ...SHELL, startTime: '1001' }]) }],
  ['a job in the foreground', { census: censusOf([{ ...SHELL, foregroundGroup: 222 }]) }],
])('T11 %s keeps a session', (_, changes) => {
  expect(mayEnd(facts([SHELL]), IDLE_MS)).toBe(true);
  expect(mayEnd(facts([SHELL], changes), IDLE_MS)).toBe(false);
});

it('T6 the kernel’s session of a terminal counts only while one of ours is in it', () => {
  const job: Process = { ...SHELL, pid: 200, startTime: '2000', parent: 1, carries: null };
  const known = [{ pid: 200, startTime: '2000' }];
  const other: Process = { ...job, pid: 201, startTime: '2001' };
  // The shell is gone: its number may be another session's by now, unless one that is known is still in it.
  expect(membersOf(censusOf([job, other]), belonging)).toEqual([]);
  expect(membersOf(censusOf([job, other]), { ...belonging, known })).toEqual([job, other]);
});
