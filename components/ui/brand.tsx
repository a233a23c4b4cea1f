/** The mark of Holdfast: an anchor whose ring is a terminal's block cursor. */

/** The mark alone; it takes the colour of the text, its cursor the accent. */
export function Mark({ size = 20 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" aria-hidden="true" className="shrink-0">
      <path
        d="M12 8.500V20.500M3.800 12.800C4.400 17.200 7.600 20.500 12 20.500S19.600 17.200 20.200 12.800"
        stroke="currentColor"
        strokeWidth="2.250"
        strokeLinecap="round"
      />
      <rect x="9.500" y="2" width="5" height="5.500" rx="1.100" fill="var(--hf-accent)" />
    </svg>
  );
}

/** Mark and name. */
export function Wordmark({ isLarge = false }: { isLarge?: boolean }) {
  const look = isLarge ? 'gap-2.5 text-2xl' : 'gap-2 text-base';
  return (
    <span className={`inline-flex items-center font-semibold text-text tracking-[-0.015em] ${look}`}>
      <Mark size={isLarge ? 32 : 20} />
      Holdfast
    </span>
  );
}
