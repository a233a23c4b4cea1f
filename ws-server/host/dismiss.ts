/** How a viewer of an ended session is let go. */
import type { ExitFacts } from '@/lib/protocol/control';
import type { Viewer } from './viewer';

const DRAIN_POLL_MS = 25;
/** A viewer that does not ACK the rest of an ended session is let go after this (ms). */
const DRAIN_MS = 10_000;

/** Gives a viewer the rest, then `exit`, then the close; unless it is not here any more. */
export function dismiss(viewer: Viewer, { code, signal, reason }: ExitFacts, isHere: () => boolean): void {
  const deadline = Date.now() + DRAIN_MS;
  const finish = () => {
    if (!isHere()) return;
    if (!viewer.isDrained && Date.now() < deadline) {
      setTimeout(finish, DRAIN_POLL_MS);
      return;
    }
    viewer.send({ event: 'exit', code, signal, ...(reason && { reason }) });
    viewer.sink.close('session_ended');
  };
  viewer.pump();
  finish();
}
