'use client';
/** Says how a program ended, in the corner of its last screen. */
import { RotateCw } from 'lucide-react';
import { Button } from '@/components/ui/button';
import { type Exit, signalName } from '@/lib/client/facts';

function endText(exit: Exit | null): string {
  if (!exit) return 'This terminal has ended';
  if (exit.signal === 0) return `Exited with code ${exit.code}`;
  return `Ended by ${signalName(exit.signal)}`;
}

export function EndedBar({ exit, onRestart }: { exit: Exit | null; onRestart: () => void }) {
  const isFailure = exit !== null && (exit.code !== 0 || exit.signal !== 0);
  return (
    <div
      role="status"
      data-testid="terminal-ended"
      className="absolute right-4 bottom-3 z-10 flex h-10 max-w-[calc(100%-32px)] animate-fade items-center gap-2.5 rounded-lg border border-line bg-raised/95 pr-1.5 pl-3 text-sm shadow-pop"
    >
      <span
        className={`size-2 shrink-0 rounded-full ${isFailure ? 'bg-danger' : 'bg-line-strong'}`}
        aria-hidden="true"
      />
      <span className="min-w-0 truncate pr-2">{endText(exit)}</span>
      <Button className="h-7" onClick={onRestart}>
        <RotateCw size={13} aria-hidden="true" />
        Restart
      </Button>
    </div>
  );
}
