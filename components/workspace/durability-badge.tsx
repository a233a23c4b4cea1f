/** Points out that a session would survive less than is usual. */
import { HardDriveUpload, MemoryStick } from 'lucide-react';
import type { Survival } from './durability';

/** A small icon; nothing in the normal case. What it means is in the tooltip and in the menu of its tab. */
export function DurabilityBadge({ survival }: { survival: Survival }) {
  if (survival.isNormal) return null;
  const Icon = survival.place === 'outbox' ? HardDriveUpload : MemoryStick;
  return (
    <span role="img" aria-label={survival.word} className="flex shrink-0 text-muted">
      <Icon size={13} aria-hidden="true" />
    </span>
  );
}

/** The word and the sentence. */
export function SurvivalText({ survival }: { survival: Survival }) {
  return (
    <>
      <span className="font-medium">{survival.word}.</span> {survival.text}
    </>
  );
}
