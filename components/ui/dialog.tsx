'use client';
/** Dialogs: one that holds a form, and one that asks before something is done. */
import * as Alert from '@radix-ui/react-alert-dialog';
import * as Radix from '@radix-ui/react-dialog';
import { X } from 'lucide-react';
import { type ReactNode, useRef } from 'react';
import { Button, IconButton } from './button';

const OVERLAY = 'fixed inset-0 z-40 animate-fade bg-overlay';
const PANEL =
  'fixed top-[18vh] left-1/2 z-50 w-[min(28rem,calc(100vw-24px))] max-h-[76vh] overflow-y-auto -translate-x-1/2 animate-fade rounded-xl border border-line bg-raised text-text shadow-pop outline-none';

/** What had the focus before; for an entry of a menu, which is gone by then, the button of that menu. */
function focusedBefore(): HTMLElement | null {
  const focused = document.activeElement;
  const menu = focused?.closest('[role="menu"]');
  const element = menu ? document.getElementById(menu.getAttribute('aria-labelledby') ?? '') : focused;
  return element instanceof HTMLElement ? element : null;
}

/** These dialogs have no trigger of their own, so they give the focus back themselves. */
function useFocusReturn() {
  const before = useRef<HTMLElement | null>(null);
  return {
    onOpenAutoFocus: () => {
      before.current = focusedBefore();
    },
    onCloseAutoFocus: () => {
      // What the answer brought to the front may have taken the focus already.
      if (document.activeElement === document.body) before.current?.focus();
    },
  };
}

type DialogProps = {
  title: string;
  description?: ReactNode;
  onClose: () => void;
  children: ReactNode;
};

/** An open dialog; who shows it stops showing it when `onClose` is called. */
export function Dialog({ title, description, onClose, children }: DialogProps) {
  const focusReturn = useFocusReturn();
  return (
    <Radix.Root open onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className={OVERLAY} />
        <Radix.Content className={PANEL} {...focusReturn} {...(!description && { 'aria-describedby': undefined })}>
          <div className="pr-12 pl-5 pt-4">
            <Radix.Title className="font-semibold text-lg tracking-[-0.01em]">{title}</Radix.Title>
            {description && <Radix.Description className="mt-1 text-muted">{description}</Radix.Description>}
          </div>
          {children}
          {/* Last, so that the first field of the form gets the focus. */}
          <Radix.Close asChild>
            <IconButton label="Close" size="sm" className="absolute top-4 right-4">
              <X size={16} aria-hidden="true" />
            </IconButton>
          </Radix.Close>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

type ConfirmProps = {
  title: string;
  children: ReactNode;
  action: string;
  /** Whether the action loses something; one that does not is no red button. */
  isHarmless?: boolean;
  isBusy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
};

/** Asks before something is done; the safe answer has the focus. */
export function Confirm({
  title,
  children,
  action,
  isHarmless = false,
  isBusy = false,
  onConfirm,
  onClose,
}: ConfirmProps) {
  const focusReturn = useFocusReturn();
  return (
    <Alert.Root open onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Alert.Portal>
        <Alert.Overlay className={OVERLAY} />
        <Alert.Content className={PANEL} {...focusReturn}>
          <div className="px-5 pt-4 pb-5">
            <Alert.Title className="font-semibold text-lg tracking-[-0.01em]">{title}</Alert.Title>
            <Alert.Description asChild>
              <div className="mt-1.5 space-y-2 text-muted">{children}</div>
            </Alert.Description>
          </div>
          <DialogFooter>
            <Alert.Cancel asChild>
              <Button>Cancel</Button>
            </Alert.Cancel>
            <Button variant={isHarmless ? 'primary' : 'danger'} isBusy={isBusy} onClick={onConfirm}>
              {action}
            </Button>
          </DialogFooter>
        </Alert.Content>
      </Alert.Portal>
    </Alert.Root>
  );
}

/** The row of answers at the bottom of a dialog. */
export function DialogFooter({ children }: { children: ReactNode }) {
  return (
    <div className="flex flex-wrap justify-end gap-2 rounded-b-xl border-line border-t bg-panel px-5 py-3">
      {children}
    </div>
  );
}
