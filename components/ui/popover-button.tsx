'use client';
/** A button in a bar at the bottom of the page, with a panel above it. */
import { type ReactNode, useId, useRef } from 'react';

type PopoverButtonProps = {
  /** What the button shows, how it is called, and what a pointer that rests on it is told. */
  face: ReactNode;
  label: string;
  hint: string;
  className?: string;
  /** The name of the panel, and what is in it. */
  title: string;
  children: ReactNode;
  /** The panel is closed, and nothing else has taken the keyboard. */
  onClose: () => void;
};

export function PopoverButton(props: PopoverButtonProps) {
  const { face, label, hint, className = '', title, children, onClose } = props;
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  return (
    <>
      <button
        ref={button}
        type="button"
        popoverTarget={id}
        aria-label={label}
        title={hint}
        className={`-mx-1.5 rounded px-1.5 hover:bg-hover ${className}`}
      >
        {face}
      </button>
      <div
        id={id}
        popover="auto"
        role="dialog"
        aria-label={title}
        onToggle={({ newState }) => {
          const { activeElement, body } = document;
          const isFree = activeElement === body || activeElement === button.current;
          if (newState === 'closed' && isFree) onClose();
        }}
        className="fixed inset-auto right-3 bottom-9 m-0 w-72 max-w-[calc(100vw-24px)] rounded-lg border border-line bg-raised p-3 text-sm text-text shadow-pop [&:popover-open]:animate-pop"
      >
        {children}
      </div>
    </>
  );
}
