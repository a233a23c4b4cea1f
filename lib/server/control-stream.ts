/** The stream of control events from the gateway, joined again whenever it breaks. */
import { type ClientRequest, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ControlEvent, controlEventSchema } from '@/lib/protocol/control';

/** Pages reconnect when this stream stands again, so it must not come late; a try costs next to nothing. */
const RETRY_MS = { min: 100, max: 500 } as const;
/** The gateway sends an empty line every 10 s. */
const SILENCE_MAX_MS = 25_000;
const LINE_CHARACTERS_MAX = 32 * 1024 * 1024;

/** What a reader of the stream is told, in order. */
export type ControlListener = {
  /** The first event after a (new) connection is `sessions`. */
  onEvent: (event: ControlEvent) => void;
  /** The stream broke. Called once for each break. */
  onBreak: (cause: unknown) => void;
  /** A line that is no event of this revision. */
  onUnknown: (line: string) => void;
};

/** Reads events until `stop` aborts; joins again after 0.1 s, doubling to 0.5 s, with jitter. */
export async function followControl(socketPath: string, listener: ControlListener, stop: AbortSignal): Promise<void> {
  let attempt = 0;
  while (!stop.aborted) {
    try {
      await readEvents(socketPath, stop, (line) => {
        attempt = 0;
        const event = parseEvent(line);
        if (event) listener.onEvent(event);
        else listener.onUnknown(line);
      });
    } catch (cause) {
      if (!stop.aborted) listener.onBreak(cause);
    }
    const wait = Math.min(RETRY_MS.max, RETRY_MS.min * 2 ** attempt) * (0.5 + Math.random() / 2);
    attempt = Math.min(attempt + 1, 10);
    await sleep(wait, undefined, { signal: stop, ref: false }).catch(() => 'stopped');
  }
}

function parseEvent(line: string): ControlEvent | null {
  try {
    return controlEventSchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/** One connection, to its end. @throws always: when the stream breaks, falls silent, or is stopped */
function readEvents(socketPath: string, stop: AbortSignal, onLine: (line: string) => void): Promise<never> {
  return new Promise((_, reject) => {
    const outgoing: ClientRequest = request({ socketPath, path: '/v1/events', agent: false, signal: stop });
    outgoing.setTimeout(SILENCE_MAX_MS, () => outgoing.destroy(new Error('the control stream fell silent')));
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      let rest = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > LINE_CHARACTERS_MAX) outgoing.destroy(new Error('a control event is too long'));
        for (const line of lines) if (line !== '') onLine(line);
      });
      incoming.on('error', reject);
      incoming.on('close', () => reject(new Error('the control stream ended')));
      if (incoming.statusCode !== 200)
        outgoing.destroy(new Error(`the control stream answered ${incoming.statusCode}`));
    });
    outgoing.end();
  });
}
