import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRunning, signal, until } from '@/tests/harness/processes';
import { markOf } from './census';
import { findGroupDirectory, Group, groupPrefix, removeStaleGroups } from './cgroup';
import { endProcesses } from './ending';
import { startTimeOf } from './processes';

const PATH = '/usr/local/bin:/usr/bin:/bin';
const mark = markOf('testhost', { pid: process.pid, startTime: startTimeOf(process.pid) });
const groupDirectory = findGroupDirectory();
let directory: string;
let id: string;
const children: ChildProcess[] = [];
const pids: number[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-end-'));
  id = `session_${Date.now()}_${Math.random().toString(36).slice(2, 10).padEnd(8, 'x')}`;
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const pid of pids.splice(0)) signal(pid, 'SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a script in a kernel session of its own, as a pty does; each `note NAME` in it writes down the pid of the last job. */
function shell(script: string, changes: Record<string, string> = {}): { pid: number } {
  const env = { PATH, HOLDFAST_SESSION: id, HOLDFAST_HOST: mark, D: directory, ...changes };
  const child = spawn(
    'bash',
    ['-c', `note() { echo \${2:-$!} >"$D/$1"; }; ${script}\nnote ready $$\nwait\nsleep 300`],
    {
      env,
      detached: true,
      stdio: 'ignore',
    },
  );
  children.push(child);
  return { pid: child.pid ?? 0 };
}

async function noted(...names: string[]): Promise<number[]> {
  const read = (name: string) => {
    try {
      return Number(readFileSync(join(directory, name), 'utf8'));
    } catch {
      return 0;
    }
  };
  await until(`notes ${names}`, () => names.every((name) => read(name) > 0));
  const found = names.map(read);
  pids.push(...found);
  return found;
}

const refOf = (pid: number) => ({ pid, startTime: startTimeOf(pid) });

describe('T3 ending a session', () => {
  const SCRIPT = [
    'sleep 301 & note job',
    'nohup sleep 302 >/dev/null 2>&1 & note nohup',
    'setsid sleep 303 & note setsid',
    '(setsid bash -c \'echo $$ >"$D/double"; exec sleep 304\' &)',
    'bash -c \'trap "" HUP; echo $$ >"$D/deaf"; sleep 305; sleep 306\' &',
    "bash -c 'kill -STOP $$; sleep 307' & note stopped",
  ].join('\n');
  const NAMES = ['ready', 'job', 'nohup', 'setsid', 'double', 'deaf', 'stopped'];

  it('T3 ends jobs, nohup, setsid, double forks, stopped jobs and programs that ignore HUP, without a cgroup', async () => {
    const { pid } = shell(SCRIPT);
    const all = await noted(...NAMES);
    expect(all.every(isRunning)).toBe(true);
    expect(await endProcesses({ id, mark, leader: refOf(pid), groups: [] })).toEqual([]);
    expect(all.filter(isRunning)).toEqual([]);
  });

  it('T3 what starts while the others are being ended is ended too', async () => {
    // On HUP it starts a successor that has left the terminal, which does the same once more.
    const { pid } = shell(
      `cat >"$D/hydra" <<'END'
echo $$ >"$D/head$1"
trap 'test $1 -lt 3 && setsid bash "$D/hydra" $(($1 + 1)) & exit' HUP
while :; do sleep 0.05; done
END
setsid bash "$D/hydra" 1 &`,
    );
    await noted('ready', 'head1');
    expect(await endProcesses({ id, mark, leader: refOf(pid), groups: [] })).toEqual([]);
    const heads = await noted('head1', 'head2', 'head3');
    expect(heads.filter(isRunning)).toEqual([]);
  });

  it.runIf(groupDirectory)('T3 with a cgroup also what has left everything and cleared its environment', async () => {
    writeFileSync(join(directory, 'ghost'), `echo $$ >"${directory}/ghostpid"; while :; do sleep 1; done`);
    const { pid } = shell(`until test -e "$D/go"; do sleep 0.02; done
      (setsid env -i "$(command -v bash)" "$D/ghost" &)`);
    const name = `holdfast-test-${process.pid}-${id}`;
    const group = Group.create(groupDirectory ?? '', name, pid);
    await group?.joined;
    await group?.joined;
    writeFileSync(join(directory, 'go'), '');
    const [ghost = 0] = await noted('ghostpid', 'ready');
    await until('it has left', () => !readFileSync(`/proc/${ghost}/status`, 'utf8').includes(`PPid:\t${pid}\n`));
    const leader = refOf(pid);
    expect(await endProcesses({ id, mark, leader, groups: group ? [group] : [] })).toEqual([]);
    expect(isRunning(ghost)).toBe(false);
    expect(Group.find(groupDirectory ?? '', name)).toEqual([]);
  });

  it.runIf(groupDirectory)('T25 a host in the same cgroup lives on, and what runs in it', async () => {
    const record = join(directory, 'innerone.json');
    const facts = JSON.stringify({ hostId: 'innerone', socketPath: join(directory, 'innerone.sock') });
    const script = 'sleep 308 & echo $! >"$D/guest"; echo $$ >"$D/host"; wait';
    const { pid } = shell(`until test -e "$D/go"; do sleep 0.02; done
      (setsid env -i D="$D" "$(command -v bash)" -c '${script}' bash holdfast-host '${facts}' &)
      setsid sleep 309 & note own`);
    const name = `holdfast-test-${process.pid}-${id}`;
    const group = Group.create(groupDirectory ?? '', name, pid);
    await group?.joined;
    writeFileSync(join(directory, 'go'), '');
    const [guest = 0, host = 0, own = 0] = await noted('guest', 'host', 'own', 'ready');
    writeFileSync(record, JSON.stringify(refOf(host)));
    expect(group?.pids()).toEqual(expect.arrayContaining([guest, host, own]));
    expect(await endProcesses({ id, mark, leader: refOf(pid), groups: group ? [group] : [] })).toEqual([]);
    expect([isRunning(own), isRunning(guest), isRunning(host)]).toEqual([false, true, true]);
    for (const left of [guest, host]) signal(left, 'SIGKILL');
    await until('the cgroup is empty', () => group?.pids().length === 0);
    group?.remove();
  });

  it.runIf(groupDirectory)(
    'T7 an empty cgroup of a host that is gone is removed, and that of one that runs is not',
    () => {
      const parent = groupDirectory ?? '';
      const own = `${groupPrefix(refOf(process.pid))}${id}-1`;
      const gone = `${groupPrefix({ pid: process.pid, startTime: '1' })}${id}-1`;
      for (const name of [own, gone]) mkdirSync(join(parent, name));
      removeStaleGroups(parent);
      const left = readdirSync(parent).filter((name) => name.includes(id));
      for (const name of left) rmdirSync(join(parent, name));
      expect(left).toEqual([own]);
    },
  );

  it('T8 leaves alone who carries the same session id with another host, or the same pid with another start time', async () => {
    const other = markOf('testhost', { pid: process.pid, startTime: '1' });
    const { pid: stranger } = shell('true', { HOLDFAST_HOST: other });
    const { pid: bare } = shell('true', { HOLDFAST_HOST: '' });
    const { pid: own } = shell('true');
    await noted('ready');
    const reused = { pid: bare, startTime: '1' };
    expect(await endProcesses({ id, mark, leader: reused, groups: [] })).toEqual([]);
    expect(isRunning(own)).toBe(false);
    expect(isRunning(stranger) && isRunning(bare)).toBe(true);
  });
});
