'use client';
/** The round trip of the terminal in front, and where it is spent. */
import { useId, useRef } from 'react';
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
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  return (
    <>
      <button
        ref={button}
        type="button"
        popoverTarget={id}
        aria-label={`Round trip ${whole(latency.totalMs)}: show its parts`}
        title="Round trip to the shell’s host"
        className="-mx-1.5 whitespace-nowrap rounded px-1.5 tabular-nums hover:bg-hover hover:text-text"
      >
        {whole(latency.totalMs)}
      </button>
      <div
        id={id}
        popover="auto"
        role="dialog"
        aria-label="Round trip"
        onToggle={({ newState }) => {
          const { activeElement, body } = document;
          const isFree = activeElement === body || activeElement === button.current;
          if (newState === 'closed' && isFree) onClose();
        }}
        className="fixed inset-auto right-3 bottom-9 m-0 w-72 max-w-[calc(100vw-24px)] rounded-lg border border-line bg-raised p-3 text-sm text-text shadow-pop [&:popover-open]:animate-pop"
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
      </div>
    </>
  );
}
