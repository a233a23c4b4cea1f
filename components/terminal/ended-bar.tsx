'use client';
/** Says how a session ended, in the corner of its last screen, or in its middle when there is none. */
import { RotateCw, TriangleAlert } from 'lucide-react';
import { Button } from '@/components/ui/button';
import { causeOfLoss, describeEnding, isFailedExit } from '@/lib/client/endings';
import type { Exit } from '@/lib/client/facts';

type EndProps = { exit: Exit | null; onRestart: () => void };

/** For a session that has ended. */
export function EndedBar({ exit, onRestart }: EndProps) {
  const isFailure = exit !== null && isFailedExit(exit);
  return (
    <div
      role="status"
      data-testid="terminal-ended"
      className="absolute right-4 bottom-3 z-10 flex min-h-10 max-w-[calc(100%-32px)] animate-fade items-center gap-2.5 rounded-lg border border-line bg-raised/95 py-1 pr-1.5 pl-3 text-sm shadow-pop"
    >
      <span
        className={`size-2 shrink-0 rounded-full ${isFailure ? 'bg-danger' : 'bg-line-strong'}`}
        aria-hidden="true"
      />
      <span className="min-w-0 pr-2">{describeEnding(exit).sentence}</span>
      <Button className="h-7" onClick={onRestart}>
        <RotateCw size={13} aria-hidden="true" />
        Restart
      </Button>
    </div>
  );
}

/** For a session that was lost, over its last screen. */
export function LostBar({ exit, onRestart }: EndProps) {
  return (
    <div
      role="status"
      data-testid="terminal-lost"
      className="absolute right-4 bottom-3 z-10 flex max-w-[calc(100%-32px)] animate-fade items-center gap-3 rounded-lg border border-line bg-raised/95 py-2 pr-2 pl-3 text-sm shadow-pop"
    >
      <TriangleAlert size={16} className="shrink-0 text-warn" aria-hidden="true" />
      <div className="min-w-0 flex-1">
        <p>Lost: {causeOfLoss(exit)}.</p>
        <p className="text-muted text-xs">Its last screen and the output up to then are here.</p>
      </div>
      <Button className="h-7" variant="primary" onClick={onRestart}>
        <RotateCw size={13} aria-hidden="true" />
        Restart
      </Button>
    </div>
  );
}

type NoScreenProps = { title: string; path: string; onRestart: () => void };

/** For a session that was lost, or never began, and of which no screen can be shown. */
export function NoScreen({ title, path, onRestart }: NoScreenProps) {
  return (
    <div className="absolute inset-0 z-10 flex flex-col items-center justify-center gap-1 bg-bg p-6 text-center">
      <TriangleAlert size={22} className="mb-2 text-warn" aria-hidden="true" />
      <h2 className="font-semibold text-base">{title}</h2>
      <p className="max-w-md text-muted">
        There is no screen to show. Start it again in <span className="break-all font-mono text-xs">{path}</span>.
      </p>
      <Button variant="primary" className="mt-3" onClick={onRestart}>
        <RotateCw size={14} aria-hidden="true" />
        Restart
      </Button>
    </div>
  );
}
