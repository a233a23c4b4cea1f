'use client';
/** Says what the store has to do without, and that everything goes on; it covers nothing. */
import { DatabaseZap } from 'lucide-react';
import { useStoreTroubles } from '@/components/data/live';
import { PopoverButton } from '@/components/ui/popover-button';

/** In the status bar; a click shows the whole of it. */
export function StoreBanner({ onClose }: { onClose: () => void }) {
  const troubles = useStoreTroubles();
  const [worst] = troubles;
  return (
    <div role="status" className="flex min-w-0">
      {worst && (
        <PopoverButton
          face={
            <span className="flex items-center gap-1.5">
              <DatabaseZap size={13} className="shrink-0" aria-hidden="true" />
              <span className="truncate">{worst.word}</span>
              <span className="truncate font-normal max-lg:hidden">Everything works</span>
            </span>
          }
          label={`${worst.word}: what that means`}
          hint={worst.text}
          className="mx-0 min-w-0 bg-warn-tint font-medium text-warn"
          title="Store"
          onClose={onClose}
        >
          {troubles.map(({ word, text }) => (
            <p key={word} className="mt-2 first:mt-0">
              <span className="font-medium">{word}.</span> {text}
            </p>
          ))}
        </PopoverButton>
      )}
    </div>
  );
}
