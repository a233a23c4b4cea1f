/** The output of `programs/writer.sh` as a viewer got it: every line once, in order, or an announced gap. */

/** What was wrong is kept up to this many times. */
const FAULTS_MAX = 20;
const CHECKSUM_FACTOR = 2_654_435_761;

/** Reads a writer's output as it arrives. */
export class WrittenLines {
  readonly faults: string[] = [];
  /** The number of the last line. */
  last = 0;
  /** Times that output was skipped and the viewer was told. */
  gaps = 0;
  readonly #pattern: RegExp;
  readonly #name: string;
  #rest = '';
  /** After a snapshot the numbers may go on anywhere, and what comes first may be the end of a line. */
  #isAdrift = true;
  #mayTear = true;

  constructor(name: string) {
    this.#name = name;
    this.#pattern = new RegExp(`^${name} (\\d{8}) ([0-9a-f]{8}) -+\\r$`);
  }

  push(data: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(data).toString('latin1')).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#take(line);
  }

  snapshot(isAnnounced: boolean): void {
    if (!isAnnounced) this.#fault('the screen was drawn anew without a word about skipped output');
    if (this.last > 0) this.gaps += 1;
    this.#rest = '';
    this.#isAdrift = true;
    this.#mayTear = true;
  }

  #take(line: string): void {
    const [, digits, sum] = this.#pattern.exec(line) ?? [];
    const number = Number(digits);
    const isAdrift = this.#isAdrift;
    if (digits === undefined) {
      if (!this.#mayTear) this.#fault(`a torn line ${JSON.stringify(line)}`);
      // The prompt and the command come before the first line.
      if (this.last > 0) this.#mayTear = false;
      return;
    }
    this.#isAdrift = false;
    this.#mayTear = false;
    if (Number.parseInt(sum ?? '', 16) !== Math.imul(number, CHECKSUM_FACTOR) >>> 0)
      this.#fault(`line ${number} is changed`);
    if (number <= this.last) this.#fault(`line ${number} comes after line ${this.last}`);
    else if (!isAdrift && number !== this.last + 1) this.#fault(`line ${number} comes right after line ${this.last}`);
    else if (this.last === 0 && number !== 1) this.#fault(`it begins with line ${number}`);
    this.last = number;
  }

  #fault(what: string): void {
    if (this.faults.length < FAULTS_MAX) this.faults.push(`${this.#name}: ${what}`);
  }
}
