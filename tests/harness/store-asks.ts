/** What a test asks of a process that owns stores. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { SessionRecord, StoreStatus } from '@/lib/server/store/store';

type Ask =
  | { do: 'create'; record: SessionRecord }
  | { do: 'rename'; id: string; tabName: string }
  | { do: 'delete'; id: string }
  | { do: 'list' }
  | { do: 'status' };
export type StoreAsk = { n: number; ask: Ask };

/** Parent and child are one program: what one sends is what the other expects. */
export const storeAskSchema = z.custom<StoreAsk>();
export const storeAnswerSchema = z.object({ n: z.number(), code: z.string().optional(), value: z.unknown() });

const rowsSchema = z.array(z.custom<SessionRecord>());
const rowSchema = z.custom<SessionRecord>().nullable();

/** The answer to a change: the state that was acknowledged, a code of the error table, or nothing because the process was killed. */
export type Outcome = { state: SessionRecord | null } | { code: string } | 'unknown';

/** A process that owns stores. */
export class StoreProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: z.infer<typeof storeAnswerSchema> | null) => void>();
  #count = 0;

  constructor(dataDir: string, databaseUrl: string) {
    const file = fileURLToPath(new URL('store-process.ts', import.meta.url));
    this.#child = fork(file, [dataDir, databaseUrl], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message) => {
      const answer = storeAnswerSchema.parse(message);
      this.#waiting.get(answer.n)?.(answer);
    });
    this.#child.on('exit', () => {
      for (const end of this.#waiting.values()) end(null);
    });
  }

  /** Asks for a change. */
  async change(ask: Ask): Promise<Outcome> {
    const answer = await this.#ask(ask);
    if (!answer) return 'unknown';
    return answer.code === undefined ? { state: rowSchema.parse(answer.value) } : { code: answer.code };
  }

  async list(): Promise<SessionRecord[]> {
    return rowsSchema.parse((await this.#ask({ do: 'list' }))?.value);
  }

  async status(): Promise<StoreStatus> {
    return z.custom<StoreStatus>().parse((await this.#ask({ do: 'status' }))?.value);
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(ask: Ask): Promise<z.infer<typeof storeAnswerSchema> | null> {
    this.#count += 1;
    const n = this.#count;
    return new Promise((resolve) => {
      this.#waiting.set(n, (answer) => {
        this.#waiting.delete(n);
        resolve(answer);
      });
      if (!this.#child.connected) this.#waiting.get(n)?.(null);
      else this.#child.send({ n, ask }, (error) => error && this.#waiting.get(n)?.(null));
    });
  }
}
