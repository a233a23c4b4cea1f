/** Buttons: one size of text, four weights, and square ones that hold an icon. */
import { LoaderCircle } from 'lucide-react';
import type { ComponentProps } from 'react';

type Variant = 'primary' | 'outline' | 'quiet' | 'danger';

const VARIANTS: Record<Variant, string> = {
  primary: 'bg-accent text-on-accent border-transparent hover:brightness-110 active:brightness-95',
  outline: 'bg-raised text-text border-line-strong hover:bg-hover',
  quiet: 'bg-transparent text-muted border-transparent hover:bg-hover hover:text-text',
  danger: 'bg-danger-fill text-white border-transparent hover:brightness-110 active:brightness-95',
};

type ButtonProps = ComponentProps<'button'> & { variant?: Variant; isBusy?: boolean };

/** A button with text; while busy it spins, keeps its width and takes no click. */
export function Button({ variant = 'outline', isBusy = false, className = '', children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled || isBusy}
      aria-busy={isBusy || undefined}
      className={`relative inline-flex h-8 shrink-0 select-none items-center justify-center gap-1.5 rounded-md border px-3 font-medium text-sm transition-[background-color,color,filter] duration-100 disabled:opacity-60 ${VARIANTS[variant]} ${className}`}
    >
      <span className={`inline-flex items-center gap-1.5 ${isBusy ? 'invisible' : ''}`}>{children}</span>
      {isBusy && <LoaderCircle size={15} className="absolute animate-spin" aria-hidden="true" />}
    </button>
  );
}

type IconButtonProps = ComponentProps<'button'> & { label: string; size?: 'sm' | 'md' };

/** A square button that holds one icon; `label` is what it is called. */
export function IconButton({ label, size = 'md', className = '', ...rest }: IconButtonProps) {
  const box = size === 'sm' ? 'size-6 rounded' : 'size-8 rounded-md';
  return (
    <button
      type="button"
      aria-label={label}
      {...rest}
      className={`inline-flex shrink-0 items-center justify-center text-muted transition-colors duration-100 hover:bg-hover hover:text-text data-[state=open]:bg-hover data-[state=open]:text-text disabled:opacity-50 ${box} ${className}`}
    />
  );
}
