/** A keyboard shortcut as people read it. */

/** `Ctrl+Alt+T` as three small keys. */
export function Keys({ keys }: { keys: string }) {
  return (
    <span className="inline-flex gap-0.5 whitespace-nowrap">
      {keys.split('+').map((key) => (
        <kbd
          key={key}
          className="inline-flex h-[18px] min-w-[18px] items-center justify-center rounded border border-line bg-panel px-1 font-sans text-2xs text-muted"
        >
          {key}
        </kbd>
      ))}
    </span>
  );
}
