/** Asks the REST API all the time, as pages and scripts do, in a thread of its own: the clients of a case keep ours busy. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Stack } from './stack';

/** Between two calls, and the time after which one counts as not answered (ms). */
const PACE_MS = 100;
const DEADLINE_MS = 20_000;

const callSchema = z.object({ path: z.string(), status: z.number().nullable(), ms: z.number() });
/** One call; its status is null when nobody answered. */
export type RestCall = z.infer<typeof callSchema>;

const PROGRAM = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { request } = require('node:http');
  const { target, paceMs, deadlineMs } = workerData;
  let paths = [];
  let calls = [];
  let isPaused = false;
  const asked = {
    paths: (given) => { paths = given; },
    pause: () => { isPaused = true; },
    resume: () => { isPaused = false; },
    take: () => { parentPort.postMessage(calls); calls = []; },
    stop: () => process.exit(),
  };
  parentPort.on('message', ({ kind, value }) => asked[kind](value));
  const ask = (path) => new Promise((done) => {
    const startedAt = performance.now();
    const end = (status) => done({ path, status, ms: performance.now() - startedAt });
    const call = request({ ...target, path, agent: false, timeout: deadlineMs }, (response) => {
      response.resume().on('end', () => end(response.statusCode)).on('error', () => end(null));
    });
    call.on('timeout', () => call.destroy(new Error('late'))).on('error', () => end(null)).end();
  });
  (async () => {
    for (let n = 0; ; n++) {
      await new Promise((done) => setTimeout(done, paceMs));
      const path = paths[n % paths.length];
      if (isPaused || !path) continue;
      const call = await ask(path);
      if (!isPaused) calls.push(call);
    }
  })();
`;

/** A running probe; `stop` ends it. */
export class RestProbe {
  readonly #worker: Worker;

  constructor({ app }: Stack) {
    const headers = { authorization: `Bearer ${app.machineToken}` };
    const target = { host: '127.0.0.1', port: app.port, headers };
    this.#worker = new Worker(PROGRAM, {
      eval: true,
      workerData: { target, paceMs: PACE_MS, deadlineMs: DEADLINE_MS },
    });
    this.#worker.unref();
  }

  /** Asks for these in turn from now on. */
  ask(paths: string[]): void {
    this.#worker.postMessage({ kind: 'paths', value: paths });
  }

  /** Calls until `resume` may find nobody. */
  pause(): void {
    this.#worker.postMessage({ kind: 'pause' });
  }

  resume(): void {
    this.#worker.postMessage({ kind: 'resume' });
  }

  /** What has been answered since the last time. */
  async take(): Promise<RestCall[]> {
    const answer = once(this.#worker, 'message');
    this.#worker.postMessage({ kind: 'take' });
    return z.array(callSchema).parse((await answer)[0]);
  }

  stop(): void {
    this.#worker.postMessage({ kind: 'stop' });
  }
}
