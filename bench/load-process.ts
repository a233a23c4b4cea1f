/** The program of the load process; see `load.ts`. */
import { z } from 'zod';
import { holdfastAdapter } from './peers/holdfast-terminal';
import { naiveAdapter } from './peers/naive-terminal';
import type { Terminal } from './peers/terminal';
import { readFast } from './reader';
import { Finder, ready } from './wait';

const AT_ONCE = 8;
const DEADLINE_MS = 180_000;

const orderSchema = z.object({
  address: z.object({
    name: z.enum(['naive', 'holdfast']),
    url: z.string(),
    options: z.record(z.string(), z.unknown()),
  }),
  sessions: z.number(),
  command: z.string(),
  end: z.string().nullable(),
});

const ADAPTERS = { naive: naiveAdapter, holdfast: holdfastAdapter };
const terminals: Terminal[] = [];
let bytes: number[] = [];
let floodedAt = 0;

function tell(message: unknown): void {
  process.send?.(message);
}

async function open(order: z.infer<typeof orderSchema>): Promise<void> {
  const adapter = ADAPTERS[order.address.name];
  let left = order.sessions;
  const work = async () => {
    while (left-- > 0) terminals.push(await ready(adapter.open(order.address)));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function flood({ command, end }: z.infer<typeof orderSchema>): Promise<void> {
  floodedAt = performance.now();
  bytes = terminals.map(() => 0);
  let unfinished = terminals.length;
  const allDone = new Promise<void>((resolve) => {
    setTimeout(resolve, DEADLINE_MS).unref();
    for (const [n, terminal] of terminals.entries()) {
      const finder = new Finder(end ?? '\0');
      readFast(terminal, (chunk) => {
        bytes[n] = (bytes[n] ?? 0) + chunk.length;
        if (!finder.push(chunk)) return;
        unfinished -= 1;
        if (unfinished === 0) resolve();
      });
      terminal.write(`${command}\r`);
    }
  });
  await allDone;
  report(unfinished);
}

function report(unfinished: number): void {
  const skipped = terminals.map(({ skippedBytes }) => skippedBytes);
  tell({ kind: 'done', bytes, skipped, unfinished, seconds: (performance.now() - floodedAt) / 1000 });
}

async function stop(): Promise<void> {
  report(0);
  const closing = terminals.map((terminal) => (terminal.closed ? undefined : terminal.close()));
  await Promise.race([Promise.allSettled(closing), new Promise((done) => setTimeout(done, 10_000))]);
  process.exit(0);
}

function failed(error: unknown): void {
  tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
}

let order: z.infer<typeof orderSchema> | null = null;
process.on('message', (message) => {
  if (message === 'go') {
    if (order) flood(order).catch(failed);
  } else if (message === 'stop') {
    stop().catch(failed);
  } else {
    order = orderSchema.parse(message);
    open(order).then(() => tell({ kind: 'open' }), failed);
  }
});
process.on('disconnect', () => process.exit(1));
// Ctrl-C is the runner's to handle: it stops this process.
process.on('SIGINT', () => undefined);
