/** Sidecars of a test file that uses vitest: each ends with the test that started it, also when that fails. */
import { afterEach } from 'vitest';
import { type Sidecar, type SidecarOptions, startSidecar } from './sidecar';

/** What starts a sidecar for the test that runs. To be called once, at the top of a test file. */
export function sidecarPerTest(): (options?: SidecarOptions) => Promise<Sidecar> {
  const running: Sidecar[] = [];
  afterEach(async () => {
    for (const sidecar of running.splice(0)) await sidecar.stop();
  });
  return async (options) => {
    const sidecar = await startSidecar(options);
    running.push(sidecar);
    return sidecar;
  };
}
