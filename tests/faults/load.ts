/** The sessions that a fault meets: writers, typists, idle shells, full-screen programs and background builds. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { startTimeOf } from '@/lib/processes';
import type { Project } from '@/lib/protocol/rest';
import { until } from '@/tests/harness/processes';
import type { Chance } from './case';
import { FaultClient } from './client';
import type { Stack } from './stack';
import { Typist } from './typist';
import { WrittenLines } from './written';

const PROGRAMS = resolve(import.meta.dirname, 'programs');
const PROMPT = 'hf% ';
/** Sessions that are opened at the same time. */
const OPENING_MAX = 5;
const START_DEADLINE_MS = 30_000;
/** A project takes so many sessions. */
const PROJECT_SESSIONS_MAX = 10;

/** How many sessions of each kind. */
export type LoadPlan = { writers?: number; typists?: number; idle?: number; screens?: number; builds?: number };

type Kind = 'writer' | 'typist' | 'idle' | 'screen' | 'build';

/** One session of the load and its first viewer. */
export type Member = {
  readonly kind: Kind;
  readonly name: string;
  readonly id: string;
  readonly hostId: string;
  /** The shell as it was started: the same pid with the same start time is the same process. */
  readonly shell: { pid: number; startTime: string };
  readonly client: FaultClient;
  readonly directory: string;
  readonly writer: WrittenLines | null;
  readonly typist: Typist | null;
};

/** All sessions of a stack that the ledger answers for. */
export class Load {
  readonly members: Member[] = [];
  /** Sessions that a fault was meant to end, and those that are ended on purpose. */
  readonly lost = new Set<string>();
  readonly #stack: Stack;
  readonly #chance: Chance;
  readonly #projects: Project[] = [];
  #spare: Project | null = null;
  #count = 0;

  private constructor(stack: Stack, chance: Chance) {
    this.#stack = stack;
    this.#chance = chance;
  }

  /** Opens the sessions and waits until every program runs. */
  static async start(stack: Stack, plan: LoadPlan, chance: Chance): Promise<Load> {
    const load = new Load(stack, chance);
    const { writers = 0, typists = 0, idle = 0, screens = 0, builds = 0 } = plan;
    const kinds: Kind[] = [
      ...Array<Kind>(writers).fill('writer'),
      ...Array<Kind>(typists).fill('typist'),
      ...Array<Kind>(idle).fill('idle'),
      ...Array<Kind>(screens).fill('screen'),
      ...Array<Kind>(builds).fill('build'),
    ];
    await load.add(...kinds);
    return load;
  }

  /** The sessions that no fault was meant to end. */
  get living(): Member[] {
    return this.members.filter(({ id }) => !this.lost.has(id));
  }

  of(kind: Kind): Member[] {
    return this.living.filter((member) => member.kind === kind);
  }

  /** Sessions of one host. */
  on(hostId: string): Member[] {
    return this.living.filter((member) => member.hostId === hostId);
  }

  /** Opens more sessions. The kinds are mixed over the hosts. */
  async add(...kinds: Kind[]): Promise<Member[]> {
    const order = kinds.map((kind) => ({ kind, at: this.#chance.between(0, 1) })).toSorted((a, b) => a.at - b.at);
    const added: Member[] = [];
    const queue = order.map(({ kind }) => ({ kind, index: this.#count++ }));
    for (const { index } of queue) await this.#projectOf(index);
    const work = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) added.push(await this.#open(next.kind, next.index));
    };
    await Promise.all(Array.from({ length: OPENING_MAX }, work));
    this.members.push(...added);
    return added;
  }

  /** Takes sessions that were lost out of the books, and opens such ones anew. */
  async renew(): Promise<void> {
    const gone = this.members.filter(({ id }) => this.lost.has(id));
    for (const member of gone) {
      this.members.splice(this.members.indexOf(member), 1);
      await this.#close(member);
    }
    await this.add(...gone.map(({ kind }) => kind));
  }

  /** A project with room for sessions that a case opens and ends itself. */
  async spareProject(): Promise<Project> {
    this.#spare ??= await this.#stack.createProject('spare');
    return this.#spare;
  }

  /** Typists stop. */
  quiet(): void {
    for (const { typist } of this.members) typist?.pause();
  }

  resume(): void {
    for (const { typist } of this.living) typist?.resume();
  }

  /** Lets a writer print so many lines at once, of 48 bytes each. */
  burst(member: Member, lines: number): void {
    writeFileSync(join(member.directory, `${member.name}.burst`), `${lines}\n`);
  }

  stop(): void {
    for (const { typist } of this.members) typist?.stop();
  }

  async #close({ id, client, typist }: Member): Promise<void> {
    typist?.stop();
    client.close();
    this.#stack.clients.delete(client);
    this.lost.delete(id);
    await this.#stack.deleteTerminal(id);
  }

  async #projectOf(index: number): Promise<Project> {
    const place = Math.floor(index / PROJECT_SESSIONS_MAX);
    this.#projects[place] ??= await this.#stack.createProject(`work-${place}`);
    return this.#projects[place];
  }

  async #open(kind: Kind, index: number): Promise<Member> {
    const project = await this.#projectOf(index);
    const name = `${kind}${index}`;
    const session = await this.#stack.createTerminal(project, name);
    const { id, pid, backendId } = session;
    if (pid === null || backendId === null) throw new Error(`${id} was opened without a process`);
    const writer = kind === 'writer' ? new WrittenLines(name) : null;
    const typist = kind === 'typist' ? new Typist(name, join(project.path, `${name}.log`), this.#chance) : null;
    let seen = '';
    const client = await FaultClient.open(this.#stack, id, {
      hasTerminal: kind === 'screen',
      onOutput: (data) => {
        writer?.push(data);
        seen = (seen + Buffer.from(data).toString('latin1')).slice(-4096);
      },
      onSnapshot: (isAnnounced) => writer?.snapshot(isAnnounced),
      ...typist?.listener,
    });
    const shell = { pid, startTime: startTimeOf(pid) ?? '' };
    const member = { kind, name, id, hostId: backendId, shell, client, directory: project.path, writer, typist };
    const shows = (what: string, condition: () => boolean) =>
      until(`${name} shows ${what}`, condition, START_DEADLINE_MS).catch((error: Error) => {
        throw new Error(`${error.message}; it ends with ${JSON.stringify(seen.slice(-300))}`);
      });
    // The prompt may be in the snapshot: a line of our own is surely output.
    client.type('\r');
    await shows('a prompt', () => seen.includes(PROMPT));
    const command = this.#command(member);
    if (command) client.type(`${command}\r`);
    if (writer) await shows('a line', () => writer.last > 0);
    if (typist) {
      await until(`${name} has its canary`, () => typist.hasCanary, START_DEADLINE_MS);
      typist.connect(client);
      typist.resume();
    }
    if (kind === 'build') await until(`${name} counts`, () => countOf(member) > 0, START_DEADLINE_MS);
    if (kind === 'screen') await until(`${name} is full`, () => isFullScreen(client), START_DEADLINE_MS);
    return member;
  }

  #command({ kind, name, directory }: Member): string | null {
    switch (kind) {
      case 'writer':
        return `bash ${PROGRAMS}/writer.sh ${name} ${name}.burst`;
      case 'typist':
        return `cat >> ${name}.log`;
      case 'build':
        return `bash ${PROGRAMS}/build.sh ${join(directory, `${name}.count`)} &`;
      case 'screen':
        writeFileSync(
          join(directory, `${name}.txt`),
          `${Array.from({ length: 500 }, (_, n) => `line ${n}`).join('\n')}\n`,
        );
        return `${['vim -Nu NONE -n', 'less', 'top -d 1 #'][Number(/\d+$/.exec(name)) % 3]} ${name}.txt`;
      case 'idle':
        return null;
    }
  }
}

function isFullScreen({ terminal }: FaultClient): boolean {
  if (!terminal) return false;
  const lines = Array.from({ length: 5 }, (_, y) => terminal.buffer.active.getLine(y)?.translateToString(true) ?? '');
  return lines.join('\n').includes('line 3') || lines.some((line) => line.startsWith('Tasks:'));
}

/** How far a background build has come. */
export function countOf({ directory, name }: Pick<Member, 'directory' | 'name'>): number {
  try {
    return Number(readFileSync(join(directory, `${name}.count`), 'utf8'));
  } catch {
    return 0; // it has not begun, or writes at this moment
  }
}
