/** A labelled text field with its hint, or what is wrong with it. */
import { CircleAlert } from 'lucide-react';
import { type ComponentProps, useId } from 'react';

type FieldProps = ComponentProps<'input'> & {
  label: string;
  hint?: string;
  error?: string | undefined;
  isMono?: boolean;
};

/** The line below the field is always there, so that an error moves nothing. */
export function Field({ label, hint, error, isMono = false, ...rest }: FieldProps) {
  const id = useId();
  return (
    <div>
      <label htmlFor={id} className="mb-1.5 block font-medium text-sm">
        {label}
      </label>
      <input
        autoComplete="off"
        autoCapitalize="off"
        autoCorrect="off"
        spellCheck={false}
        {...rest}
        id={id}
        aria-invalid={error !== undefined}
        aria-describedby={`${id}-note`}
        className={`h-9 w-full rounded-md border bg-bg px-3 text-base text-text outline-none focus:border-accent focus:ring-1 focus:ring-accent aria-invalid:border-danger aria-invalid:ring-danger ${error ? 'border-danger' : 'border-line-field'} ${isMono ? 'font-mono text-sm' : ''}`}
      />
      <p
        id={`${id}-note`}
        role={error ? 'alert' : undefined}
        className={`mt-1.5 flex min-h-5 items-start gap-1.5 text-xs leading-5 ${error ? 'text-danger' : 'text-muted'}`}
      >
        {error && <CircleAlert size={14} className="mt-[3px] shrink-0" aria-hidden="true" />}
        {error ?? hint}
      </p>
    </div>
  );
}
