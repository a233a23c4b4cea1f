/** What a session is, and how it is: the icon of its kind with its status in the corner. */
import { Asterisk, SquareTerminal } from 'lucide-react';
import { StatusDot } from '@/components/ui/status-dot';
import type { SessionType } from '@/lib/protocol/control';
import type { TerminalSession } from '@/lib/protocol/rest';
import { isFailure } from './tabs';

/** The icon of a kind of session. */
export function SessionIcon({ type, size = 16 }: { type: SessionType; size?: number }) {
  const Icon = type === 'claude' ? Asterisk : SquareTerminal;
  const colour = type === 'claude' ? 'text-accent' : 'text-muted';
  return <Icon size={size} className={`shrink-0 ${colour}`} aria-hidden="true" />;
}

/** Icon and status; the mask leaves room around the dot on any background. */
export function SessionBadge({ session }: { session: Pick<TerminalSession, 'type' | 'status' | 'exit'> }) {
  return (
    <span className="relative flex shrink-0">
      <span className="flex [mask:radial-gradient(circle_at_13.5px_13.5px,transparent_5.5px,#000_6px)]">
        <SessionIcon type={session.type} />
      </span>
      <span className="absolute -right-[1.5px] -bottom-[1.5px] flex">
        <StatusDot status={session.status} isFailed={isFailure(session)} />
      </span>
    </span>
  );
}
