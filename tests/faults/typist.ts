/** Types lines with ids into a canary (`cat >> canary.log`) and keeps what became of each. */
import { existsSync, readFileSync } from 'node:fs';
import type { Chance } from './case';
import type { ClientListener } from './client';

/** Between two lines (ms). */
const PACE_MS = 150;
/** What was shown as unsent is decided on after this time (ms), as a user does. */
const DECISION_MS = 300;

/**
 * What became of a line. `typed`: on its way. `receipted`: the host has written it to the pty. `unsent`: shown to the user, who
 * decides. `discarded`: the user did not want it any more. `refused`: the connection did not take it.
 */
type Fate = 'typed' | 'receipted' | 'unsent' | 'discarded' | 'refused';

/** What a typist needs of its client. */
type Keyboard = {
  connection: { getSnapshot(): { unsent: unknown }; sendUnsent(): void; discardUnsent(): void };
  type(text: string): boolean;
};

const LINE_ID = /[a-z]+\d+-\d{6}-[0-9a-f]{8}/g;
const decoder = new TextDecoder();

/** One typist. Its lines name it, so that a foreign byte in a canary is seen. */
export class Typist {
  readonly listener: ClientListener;
  readonly #name: string;
  readonly #file: string;
  readonly #chance: Chance;
  readonly #fates = new Map<string, Fate>();
  /** Lines in INPUT frames that are not receipted yet. */
  readonly #frames = new Map<number, string[]>();
  #client: Keyboard | null = null;
  #timer: NodeJS.Timeout | undefined;
  #decision: NodeJS.Timeout | undefined;
  #count = 0;
  #questions = 0;

  constructor(name: string, file: string, chance: Chance) {
    this.#name = name;
    this.#file = file;
    this.#chance = chance;
    this.listener = {
      onSent: (inputSeq, data) => this.#frames.set(inputSeq, decoder.decode(data).match(LINE_ID) ?? []),
      onReceipt: (inputSeq) => this.#receipt(inputSeq),
      onFacts: ({ unsent }) => unsent && this.#unsent(unsent.text, unsent.bytes),
    };
  }

  get hasCanary(): boolean {
    return existsSync(this.#file);
  }

  /** Lines typed so far. */
  get typed(): number {
    return this.#fates.size;
  }

  /** How often something was shown as unsent. */
  get questions(): number {
    return this.#questions;
  }

  /** Takes a place at a client; `resume` begins. */
  connect(client: Keyboard): void {
    this.#client = client;
  }

  resume(): void {
    this.#timer ??= setInterval(() => this.line(), PACE_MS * this.#chance.between(0.8, 1.2));
  }

  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  stop(): void {
    this.pause();
    clearTimeout(this.#decision);
  }

  /** Types one line now, unless a decision on unsent ones is to be taken first. */
  line(): void {
    if (this.#decision !== undefined) return;
    this.#count += 1;
    const check = this.#chance
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
    const id = `${this.#name}-${String(this.#count).padStart(6, '0')}-${check}`;
    this.#fates.set(id, 'typed');
    if (!this.#client?.type(`${id}\r`)) this.#fates.set(id, 'refused');
  }

  /**
   * What is not as it must be: every receipted line once, no line twice, no dropped line, no foreign byte; and, once everything
   * had the time to arrive, no line that vanished without a word.
   * @param isLost the session died: what was receipted last may have died with it
   */
  faults({ isLost }: { isLost: boolean }): string[] {
    const canary = readFileSync(this.#file, 'utf8');
    const lines = canary.split('\n').slice(0, -1);
    const counts = new Map<string, number>();
    for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
    const faults: string[] = [];
    for (const [line, count] of counts) {
      if (!this.#fates.has(line)) faults.push(`L7 ${this.#name}: foreign bytes in the canary: ${JSON.stringify(line)}`);
      if (count > 1) faults.push(`L4 ${this.#name}: ${line} was delivered ${count} times`);
    }
    if (!canary.endsWith('\n') && canary !== '' && !isLost)
      faults.push(`L7 ${this.#name}: the canary ends inside a line`);
    for (const [id, fate] of this.#fates) {
      const isThere = counts.has(id);
      if (isThere && fate === 'discarded')
        faults.push(`L4 ${this.#name}: ${id} was shown as unsent, dropped, and delivered`);
      if (isThere && fate === 'refused') faults.push(`L4 ${this.#name}: ${id} was refused and delivered`);
      if (isLost || isThere) continue;
      if (fate === 'receipted') faults.push(`L4 ${this.#name}: ${id} was receipted and is not in the canary`);
      if (fate === 'typed') faults.push(`L4 ${this.#name}: ${id} is neither delivered nor shown as unsent`);
      if (fate === 'unsent') faults.push(`L4 ${this.#name}: ${id} waits for a decision`);
    }
    const order = lines.map((line) => Number(/-(\d{6})-/.exec(line)?.[1]));
    if (order.some((number, index) => index > 0 && number <= (order[index - 1] ?? 0))) {
      faults.push(`L4 ${this.#name}: lines arrived out of order`);
    }
    return faults;
  }

  #receipt(inputSeq: number): void {
    for (const [sent, ids] of this.#frames) {
      if (sent > inputSeq) continue;
      for (const id of ids) this.#fates.set(id, 'receipted');
      this.#frames.delete(sent);
    }
  }

  #unsent(text: string, bytes: number): void {
    const shown = text.match(LINE_ID) ?? [];
    const first = shown[0];
    if (first === undefined) return;
    const ids = [...this.#fates.keys()];
    // The text is cut; what is kept back is always the end of what was typed.
    const isWhole = Buffer.byteLength(text) >= bytes;
    const kept = isWhole ? shown : ids.slice(ids.indexOf(first)).filter((id) => this.#fates.get(id) !== 'refused');
    for (const id of kept) this.#fates.set(id, 'unsent');
    for (const [sent, frame] of this.#frames) if (frame.some((id) => kept.includes(id))) this.#frames.delete(sent);
    if (this.#decision === undefined) this.#questions += 1;
    clearTimeout(this.#decision);
    this.#decision = setTimeout(() => this.#decide(), DECISION_MS);
  }

  #decide(): void {
    this.#decision = undefined;
    const connection = this.#client?.connection;
    if (!connection?.getSnapshot().unsent) return;
    const isWanted = this.#chance.happens(0.5);
    for (const [id, fate] of this.#fates) if (fate === 'unsent') this.#fates.set(id, isWanted ? 'typed' : 'discarded');
    if (isWanted) connection.sendUnsent();
    else connection.discardUnsent();
  }
}
