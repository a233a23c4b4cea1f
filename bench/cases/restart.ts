/** `kill -9` of the gateway: when does a viewer have the screen back, and is it the same shell? */
import { setTimeout as sleep } from 'node:timers/promises';
import { Screen } from '../screen';
import { ready, waitForQuiet, waitForText } from '../wait';
import { type Case, OURS } from './case';

const DEADLINE_MS = 30_000;
const RETRY_MS = 20;

export const restart: Case = {
  name: 'restart',
  layout: 'usual',
  peers: OURS,
  needsFresh: false,
  async measure(peer) {
    const opened = await peer.open();
    const { id } = opened;
    if (id === null) throw new Error('the session ends with its connection');
    const chunks: Buffer[] = [];
    opened.onData = (chunk) => chunks.push(chunk);
    const first = await ready(Promise.resolve(opened));
    const printed = waitForText(first, 'line 200\r\n');
    first.write('KEPT=yes; for i in $(seq 200); do echo "line $i"; done\r');
    await printed;
    await waitForQuiet(first, 300);

    await peer.killServer();
    const startedAt = performance.now();
    for (;;) {
      const back = await peer.attach(id);
      const screen = new Screen();
      const attempt: Buffer[] = [];
      back.onData = (chunk) => attempt.push(chunk);
      while (attempt.length === 0 && !back.closed && performance.now() - startedAt < DEADLINE_MS) await sleep(RETRY_MS);
      for (const chunk of attempt) await screen.write(chunk);
      const time = performance.now() - startedAt;
      if (attempt.length === 0 && time < DEADLINE_MS) continue;
      const wanted = new Screen();
      for (const chunk of chunks) await wanted.write(chunk);
      const isEqual = screen.dump() === wanted.dump();
      const answered = waitForText(back, 'kept=yes=', 5_000).then(
        () => true,
        () => false,
      );
      back.write('echo kept=$KEPT=\r');
      const isSame = await answered;
      await back.close();
      return { time: time / 1000, same: isEqual && isSame ? 1 : 0 };
    }
  },
  rows: () => [
    {
      label: 'gateway killed: screen back',
      unit: 's',
      value: 'time',
      beside: 'nothing',
      target: { text: '≤ 3', isReached: ({ holdfast }) => holdfast <= 3 },
    },
    {
      label: 'gateway killed: same shell, same screen',
      unit: '1 = yes',
      value: 'same',
      beside: 'nothing',
      target: { text: '1', isReached: ({ holdfast }) => holdfast === 1 },
    },
  ],
};
