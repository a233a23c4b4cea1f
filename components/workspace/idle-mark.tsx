'use client';
/** Says that an idle session will be ended, and when. */
import { Clock } from 'lucide-react';
import { useMinutesUntil } from '@/components/ui/clock';
import type { TerminalSession } from '@/lib/protocol/rest';

/** A clock with the minutes that are left; nothing for a session that goes on. */
export function IdleMark({ tab }: { tab: Pick<TerminalSession, 'idleEndsAt'> }) {
  return tab.idleEndsAt ? <Countdown endsAt={Date.parse(tab.idleEndsAt)} /> : null;
}

function Countdown({ endsAt }: { endsAt: number }) {
  const minutes = useMinutesUntil(endsAt);
  const text = minutes > 0 ? `Idle: ends in ${minutes} min` : 'Idle: ends now';
  return (
    <span
      role="img"
      aria-label={text}
      title={text}
      className="flex shrink-0 items-center gap-1 whitespace-nowrap text-2xs text-warn tabular-nums"
    >
      <Clock size={12} aria-hidden="true" />
      {minutes} min
    </span>
  );
}
