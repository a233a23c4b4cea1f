/** A session of which only the journal is left, as viewers see it: its last screen, how it ended, and nothing to type into. */
import type { ArchivedSession } from '@/lib/protocol/control';
import { AppError } from '@/lib/protocol/errors';
import { WINDOW_BYTES } from '@/lib/protocol/limits';
import { type Attach, type Control, type Mode, WIRE_REVISION } from '@/lib/protocol/wire';
import { dismiss } from './dismiss';
import { Ring } from './ring';
import { SizeMarks } from './size-marks';
import type { Rebuilt } from './tape';
import { Viewer, type ViewerSink } from './viewer';

/** Serves viewers as an ended session of a host does. */
export class ArchivedView {
  readonly #facts: ArchivedSession;
  readonly #rebuilt: Rebuilt;
  readonly #viewers = new Set<Viewer>();

  constructor(facts: ArchivedSession, rebuilt: Rebuilt) {
    this.#facts = facts;
    this.#rebuilt = rebuilt;
  }

  /** Attaches a viewer: SNAPSHOT, `exit`, close. @throws AppError `upgrade_required` for a client older than any revision */
  attach(attach: Attach, _mode: Mode, sink: ViewerSink): Viewer {
    if (attach.revision < 1) throw new AppError('upgrade_required', 'This page is too old: load it again.');
    const { snapshot } = this.#rebuilt;
    const { position, cols, rows } = snapshot;
    const stream = {
      ring: new Ring(WINDOW_BYTES, position),
      marks: new SizeMarks(),
      due: position,
      snapshot: () => ({ snapshot, markSeq: 0 }),
    };
    const viewer = new Viewer({ name: 'v1', mode: 'read', attach }, sink, stream);
    this.#viewers.add(viewer);
    viewer.send({
      event: 'attached',
      revision: Math.min(attach.revision, WIRE_REVISION),
      epoch: this.#facts.epoch,
      position,
      inputSeq: 0,
      status: 'ended',
      mode: 'read',
      window: WINDOW_BYTES,
      viewer: viewer.name,
      driver: null,
      cols,
      rows,
    });
    viewer.send({ event: 'title', text: this.#facts.title });
    viewer.send({ event: 'cwd', path: this.#facts.cwd });
    const from = attach.cursor?.position;
    if (from !== undefined) viewer.send({ event: 'gap', from, to: Math.max(from, position) });
    viewer.startWith(stream.snapshot());
    dismiss(viewer, this.#facts.exit, () => this.#viewers.has(viewer));
    return viewer;
  }

  detach(viewer: Viewer): void {
    this.#viewers.delete(viewer);
  }

  ack(viewer: Viewer, position: number): void {
    viewer.ack(position);
  }

  /** Nothing takes input any more. */
  type(viewer: Viewer): void {
    viewer.send({ event: 'error', code: 'forbidden', message: 'This terminal has ended.' });
  }

  control(viewer: Viewer, message: Control): void {
    if (message.op === 'ping') viewer.send({ event: 'pong', t: message.t, gateway: 0, host: 0 });
  }
}
