'use client';
/** The round trip of the terminal in front, and where it is spent. */
import { PopoverButton } from '@/components/ui/popover-button';
import type { Latency } from '@/lib/client/facts';

type Share = { key: keyof Latency; label: string; what: string; colour: string };

const SHARES: readonly Share[] = [
  { key: 'browserMs', label: 'Browser', what: 'draws what arrives', colour: 'bg-accent' },
  { key: 'networkMs', label: 'Network', what: 'there and back', colour: 'bg-accent/65' },
  { key: 'gatewayMs', label: 'Gateway', what: 'passes messages on', colour: 'bg-accent/40' },
  { key: 'hostMs', label: 'Host', what: 'holds the shell', colour: 'bg-accent/20' },
];

function whole(ms: number): string {
  return ms < 1 ? '<1 ms' : `${Math.round(ms)} ms`;
}

function exact(ms: number): string {
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

type FigureProps = {
  latency: Latency;
  /** The shares are closed, and nothing else has taken the keyboard. */
  onClose: () => void;
};

/** The figure in the status bar; it opens the shares above itself. */
export function LatencyFigure({ latency, onClose }: FigureProps) {
  return (
    <PopoverButton
      face={whole(latency.totalMs)}
      label={`Round trip ${whole(latency.totalMs)}: show its parts`}
      hint="Round trip to the shell’s host"
      className="whitespace-nowrap tabular-nums hover:text-text"
      title="Round trip"
      onClose={onClose}
    >
      <p className="flex items-baseline justify-between">
        <span className="font-medium">Round trip</span>
        <span className="tabular-nums">{exact(latency.totalMs)}</span>
      </p>
      <div className="mt-2 flex h-2 gap-px overflow-hidden rounded-full bg-hover" aria-hidden="true">
        {SHARES.map(({ key, colour }) => (
          <span key={key} className={colour} style={{ flexGrow: latency[key], minWidth: latency[key] > 0 ? 2 : 0 }} />
        ))}
      </div>
      <dl className="mt-2.5 space-y-1">
        {SHARES.map(({ key, label, what, colour }) => (
          <div key={key} className="flex items-center gap-2">
            <span className={`size-2.5 shrink-0 rounded-xs border border-accent ${colour}`} aria-hidden="true" />
            <dt>
              {label} <span className="text-muted text-xs">{what}</span>
            </dt>
            <dd className="flex-1 text-right tabular-nums">{exact(latency[key])}</dd>
          </div>
        ))}
      </dl>
    </PopoverButton>
  );
}
