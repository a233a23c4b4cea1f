/** Works on records all the time, as pages and scripts do, and knows what every answer has promised. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listProjectsAnswerSchema, projectAnswerSchema } from '@/lib/protocol/rest';
import { type Chance, quantile } from './case';
import type { RestAnswer, Stack } from './stack';

const WORKERS = 4;
const PAUSE_MS = 25;
/** Refusals that a store which cannot take more may answer with. */
const REFUSALS = [503, 504, 507];
const UNANSWERED = 0;

/** A project of the books. An open question is a call that may or may not have had its effect. */
type Entry = { id: string; name: string; rev: number; isDeleted: boolean; question: 'rename' | 'delete' | null };

/** One call: what it was for, its status (0: nobody answered), when it ended and how long it took (ms). */
type Call = { what: string; status: number; endedAt: number; ms: number };

/** How many of each kind are to be done; without numbers the work goes on until it is stopped. */
export type Amount = { creates: number; renames: number; deletes: number };

/** Of all books: two of one stack name no directory twice. */
let count = 0;

/** The books of one stack: projects, which need no process. */
export class Records {
  readonly calls: Call[] = [];
  readonly #stack: Stack;
  readonly #chance: Chance;
  readonly #entries: Entry[] = [];
  readonly #faults: string[] = [];
  #working: Promise<void>[] = [];
  #isStopped = false;

  constructor(stack: Stack, chance: Chance) {
    this.#stack = stack;
    this.#chance = chance;
  }

  /** Projects that were acknowledged and not deleted. */
  get living(): number {
    return this.#entries.filter(({ isDeleted }) => !isDeleted).length;
  }

  /** Works until `stop`. */
  start(): void {
    this.#isStopped = false;
    this.#working = Array.from({ length: WORKERS }, async () => {
      const own: Entry[] = [];
      while (!this.#isStopped) {
        await this.#one(own);
        await sleep(PAUSE_MS);
      }
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#working);
  }

  /** Does so many of each, all of which must be acknowledged. */
  async perform({ creates, renames, deletes }: Amount): Promise<void> {
    for (let n = 0; n < creates; n++) await this.#create(this.#entries);
    const open = () => this.#entries.filter((entry) => !entry.isDeleted && entry.question === null);
    for (let n = 0; n < renames; n++) await this.#rename(this.#chance.pick(open()));
    for (let n = 0; n < deletes; n++) await this.#delete(this.#chance.pick(open()));
    const failed = this.calls.filter(({ status }) => status >= 300 || status === UNANSWERED);
    if (failed.length > 0)
      this.#faults.push(`${failed.length} of the calls were refused, first ${JSON.stringify(failed[0])}`);
  }

  /** Calls that ended since a time (by `performance.now`): how many took over 300 ms, the slowest, and the p95 of those after the third slow one. */
  speed(since: number): { slow: number; maxMs: number; p95Ms: number; count: number } {
    const calls = this.calls.filter(({ endedAt, status }) => endedAt >= since && status !== UNANSWERED);
    const slow = calls.filter(({ ms }) => ms > 300);
    const settledAt = slow[Math.min(2, slow.length - 1)]?.endedAt ?? since;
    const later = calls.filter(({ endedAt }) => endedAt > settledAt).map(({ ms }) => ms);
    return {
      slow: slow.length,
      maxMs: Math.max(0, ...calls.map(({ ms }) => ms)),
      p95Ms: quantile(later, 0.95),
      count: calls.length,
    };
  }

  /** What the list, and the database where there is one, have otherwise than promised. Settles open questions by what is there. */
  async faults(): Promise<string[]> {
    const answer = await this.#call('list', 'GET', '/api/workspace/projects');
    const listed = new Map(
      listProjectsAnswerSchema.parse(answer.body).projects.map((project) => [project.id, project]),
    );
    const rows = (await this.#stack.services.rows()) ?? null;
    const faults = [...this.#faults];
    for (const entry of this.#entries) {
      const { id, name, question } = entry;
      const seen = listed.get(id);
      if (question === 'delete') entry.isDeleted = !seen;
      if (question === 'rename' && seen) Object.assign(entry, { name: seen.name, rev: seen.rev });
      entry.question = null;
      if (entry.isDeleted !== !seen)
        faults.push(`R ${name} (${id}) is ${seen ? 'listed though it was deleted' : 'lost'}`);
      else if (seen && (seen.name !== entry.name || seen.rev !== entry.rev)) {
        faults.push(`R ${id} is ${seen.name} rev ${seen.rev}, promised was ${entry.name} rev ${entry.rev}`);
      }
      const row = rows?.get(id);
      if (rows === null) continue;
      if (!row) faults.push(`R ${name} (${id}) is not in the database`);
      else if (row.isDeleted !== entry.isDeleted)
        faults.push(`R ${id} is ${row.isDeleted ? '' : 'not '}deleted in the database`);
      else if (!row.isDeleted && (row.name !== entry.name || row.rev !== entry.rev)) {
        faults.push(
          `R ${id} is ${row.name} rev ${row.rev} in the database, promised was ${entry.name} rev ${entry.rev}`,
        );
      }
    }
    return faults;
  }

  /** Deletes what is left, so that the next case does not begin with a long list. */
  async clear(): Promise<void> {
    for (const entry of this.#entries) if (!entry.isDeleted) await this.#delete(entry);
  }

  async #one(own: Entry[]): Promise<void> {
    const open = own.filter((entry) => !entry.isDeleted && entry.question === null);
    if (open.length < 2 || this.#chance.happens(0.5)) await this.#create(own);
    else if (this.#chance.happens(0.6)) await this.#rename(this.#chance.pick(open));
    else await this.#delete(this.#chance.pick(open));
  }

  async #create(own: Entry[]): Promise<void> {
    count += 1;
    const name = `record-${count}`;
    const path = join(this.#stack.app.home, 'records', name);
    mkdirSync(path, { recursive: true });
    const answer = await this.#call('create', 'POST', '/api/workspace/projects', { name, path });
    // One that nobody has acknowledged may be there or not; it has no entry, so nobody asks.
    if (answer.status !== 201) return;
    const { id, rev } = projectAnswerSchema.parse(answer.body).project;
    const entry: Entry = { id, name, rev, isDeleted: false, question: null };
    own.push(entry);
    if (own !== this.#entries) this.#entries.push(entry);
  }

  async #rename(entry: Entry): Promise<void> {
    const name = `${entry.name.split('~')[0]}~${entry.rev}`;
    const path = `/api/workspace/projects/${entry.id}`;
    const answer = await this.#call('rename', 'PATCH', path, { name, rev: entry.rev });
    if (answer.status === 200) {
      const { rev } = projectAnswerSchema.parse(answer.body).project;
      if (rev !== entry.rev + 1) this.#faults.push(`R ${entry.id} went from rev ${entry.rev} to ${rev}`);
      Object.assign(entry, { name, rev });
    } else this.#note(entry, 'rename', answer);
  }

  async #delete(entry: Entry): Promise<void> {
    const answer = await this.#call('delete', 'DELETE', `/api/workspace/projects/${entry.id}`);
    if (answer.status === 200) entry.isDeleted = true;
    else this.#note(entry, 'delete', answer);
  }

  #note(entry: Entry, what: 'rename' | 'delete', { status, body }: RestAnswer): void {
    entry.question = what;
    if (status === UNANSWERED || REFUSALS.includes(status)) return;
    this.#faults.push(`R ${what} of ${entry.id} was answered with ${status}: ${JSON.stringify(body).slice(0, 200)}`);
  }

  async #call(what: string, method: string, path: string, body?: unknown): Promise<RestAnswer> {
    const startedAt = performance.now();
    const answer = await this.#stack.rest(method, path, body).catch((): RestAnswer => {
      return { status: UNANSWERED, body: null, ms: performance.now() - startedAt };
    });
    this.calls.push({ what, status: answer.status, endedAt: performance.now(), ms: answer.ms });
    return answer;
  }
}
