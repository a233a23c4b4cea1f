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
    <div role="status" className={`flex shrink-0 ${worst ? 'px-1.5' : ''}`}>
      {worst && (
        <PopoverButton
          face={
            <span className="flex items-center gap-1.5 whitespace-nowrap">
              <DatabaseZap size={13} className="shrink-0" aria-hidden="true" />
              {worst.word}
              <span className="font-normal max-lg:hidden">Everything works</span>
            </span>
          }
          label={`${worst.word}: what that means`}
          hint={worst.text}
          className="bg-warn-tint font-medium text-warn"
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
