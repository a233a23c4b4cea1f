/** How many sockets a gateway holds open. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { type Sidecar, startSidecar } from '@/tests/harness/sidecar';

let sidecar: Sidecar | null = null;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await sidecar?.stop();
});

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

it('L38 no more than HOLDFAST_MAX_SOCKETS are open, and one that closes makes room', async () => {
  sidecar = await startSidecar({ env: { HOLDFAST_MAX_SOCKETS: '4' } });
  const { port } = sidecar;
  for (let count = 0; count < 8; count += 1) await open(port);
  const held = () => sockets.filter(({ destroyed }) => !destroyed);
  // The harness may have one open itself.
  await expect.poll(() => held().length).toBeLessThanOrEqual(4);
  expect(held().length).toBeGreaterThanOrEqual(3);
  const refused = await open(port);
  if (!refused.destroyed) await once(refused, 'close');
  for (const socket of held()) socket.destroy();
  const status = () =>
    fetch(`http://127.0.0.1:${port}/health`).then(
      (response) => response.status,
      () => null,
    );
  await expect.poll(status).toBe(200);
});
