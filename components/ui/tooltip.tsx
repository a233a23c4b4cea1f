'use client';
/** A short text beside what the pointer or the focus is on. */
import * as Radix from '@radix-ui/react-tooltip';
import type { ReactNode } from 'react';
import { Keys } from './keys';

type TooltipProps = { text: ReactNode; keys?: string; side?: 'top' | 'bottom' | 'left' | 'right'; children: ReactNode };

/** Explains its one child, with the shortcut where there is one. */
export function Tooltip({ text, keys, side = 'bottom', children }: TooltipProps) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{children}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          side={side}
          sideOffset={6}
          collisionPadding={8}
          className="z-50 flex max-w-80 animate-fade items-center gap-2 break-words rounded-md border border-line bg-raised px-2 py-1 text-text text-xs shadow-pop"
        >
          {text}
          {keys && <Keys keys={keys} />}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
