'use client';
/** At the top of a full scrollback: the way to what came before it. */
import { ArrowUp } from 'lucide-react';

export function EarlierOutput({ onClick }: { onClick: () => void }) {
  return (
    <button
      type="button"
      title="Scroll up, or Ctrl+Shift+H"
      // The terminal keeps the focus, from where the history takes it.
      onMouseDown={(event) => event.preventDefault()}
      onClick={onClick}
      className="pointer-events-auto flex h-7 animate-fade items-center gap-1.5 rounded-full border border-line bg-raised/95 px-3 font-medium text-muted text-xs shadow-pop hover:bg-hover hover:text-text"
    >
      <ArrowUp size={13} aria-hidden="true" />
      Earlier output
    </button>
  );
}
