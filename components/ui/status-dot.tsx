/** The status of a session as a small shape: shape and colour both differ, for those who see no colours. */
import type { SessionStatus } from '@/lib/protocol/rest';

const LABELS: Record<SessionStatus, string> = {
  creating: 'Starting',
  active: 'Running',
  inactive: 'Idle',
  terminating: 'Ending',
  ended: 'Ended',
  error: 'Failed',
  lost: 'Lost',
  unreachable: 'Out of reach',
};

/** What a status is called. */
export function statusLabel(status: SessionStatus): string {
  return LABELS[status];
}

function shape(status: SessionStatus) {
  switch (status) {
    case 'active':
      return <circle cx="4" cy="4" r="3.500" className="fill-ok" />;
    case 'inactive':
      return <circle cx="4" cy="4" r="2.900" className="fill-none stroke-muted" strokeWidth="1.250" />;
    case 'creating':
    case 'terminating':
      return <circle cx="4" cy="4" r="3.500" className="animate-pulse fill-accent" />;
    case 'ended':
      return <rect x="1" y="1" width="6" height="6" rx="1" className="fill-muted" />;
    case 'error':
      return <rect x="1" y="1" width="6" height="6" rx="1" className="fill-danger" />;
    case 'lost':
      return <path d="M4 .6 7.700 7.200H.3Z" className="fill-warn" />;
    case 'unreachable':
      return <path d="M4 1.200 7 6.600H1Z" className="fill-none stroke-warn" strokeWidth="1.250" />;
  }
}

/** The shape of a status, named for screen readers. */
export function StatusDot({ status, isFailed = false }: { status: SessionStatus; isFailed?: boolean }) {
  return (
    <svg width="8" height="8" viewBox="0 0 8 8" role="img" aria-label={statusLabel(status)} className="shrink-0">
      {shape(isFailed && status === 'ended' ? 'error' : status)}
    </svg>
  );
}
