'use client';
/** What has to be said about a connection, above the terminal: away, failed, unsent input. */
import { Clock, Hourglass, LoaderCircle, Send, TriangleAlert, WifiOff, X } from 'lucide-react';
import { type ReactNode, useEffect, useEffectEvent } from 'react';
import { amount } from '@/components/ui/amount';
import { Button, IconButton } from '@/components/ui/button';
import { useMinutesUntil, useSecondsUntil } from '@/components/ui/clock';
import type { TerminalConnection } from '@/lib/client/connection';
import type { ConnectionFacts, ConnectionState } from '@/lib/client/facts';
import type { ErrorCode } from '@/lib/protocol/errors';

const PASSING_MS = 8_000;
const ICON = { size: 15, 'aria-hidden': true } as const;

const FAILURES: Partial<Record<ErrorCode, string>> = {
  unauthorized: 'You are signed out. Sign in again: run npm run open.',
  forbidden: 'You may not open this terminal.',
  not_found: 'This terminal is gone.',
  conflict: 'Another connection took the place of this one.',
  payload_too_large: 'More was typed than the program could take.',
  upgrade_required: 'Holdfast is a newer version now. Reload the page.',
};

/** Typed text as people can read it: control characters as ⏎, ⎋ or ^C. */
function readable(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => {
    if (char === '\r' || char === '\n') return '⏎';
    if (char === '\u001b') return '⎋';
    return `^${String.fromCharCode(char.charCodeAt(0) ^ 64)}`;
  });
}

type RowProps = {
  icon: ReactNode;
  tone?: 'plain' | 'danger';
  isLate?: boolean;
  children: ReactNode;
  actions?: ReactNode;
};

function Row({ icon, tone = 'plain', isLate = false, children, actions }: RowProps) {
  return (
    <div
      role="status"
      className={`pointer-events-auto flex min-h-10 max-w-full items-center gap-2.5 rounded-lg border border-line bg-raised/95 py-1 pr-1.5 pl-3 text-sm shadow-pop ${isLate ? 'animate-late' : 'animate-fade'}`}
    >
      <span className={`shrink-0 ${tone === 'danger' ? 'text-danger' : 'text-warn'}`}>{icon}</span>
      <div className="min-w-0 flex-1">{children}</div>
      <div className="flex shrink-0 items-center gap-1">{actions}</div>
    </div>
  );
}

/** Something that has been said when it has been read: it goes by itself after a while. */
function PassingRow({ children, onDismiss }: { children: ReactNode; onDismiss: () => void }) {
  const dismiss = useEffectEvent(onDismiss);
  useEffect(() => {
    const timer = setTimeout(() => dismiss(), PASSING_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <Row
      icon={<TriangleAlert {...ICON} />}
      actions={
        <IconButton label="Dismiss" size="sm" onClick={onDismiss}>
          <X {...ICON} />
        </IconButton>
      }
    >
      {children}
    </Row>
  );
}

function WaitingText({ state }: { state: Extract<ConnectionState, { kind: 'waiting' }> }) {
  const seconds = useSecondsUntil(state.retryAt);
  return (
    <>
      <span title={state.reason}>Connection lost.</span>{' '}
      <span className="text-muted tabular-nums">
        Your program keeps running. {seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again.'}
      </span>
    </>
  );
}

/** Short breaks are not worth a word: the row shows itself only when this state lasts. */
function AwayRow({ state, connection }: { state: ConnectionState; connection: TerminalConnection }) {
  const isWaiting = state.kind === 'waiting';
  return (
    <Row
      isLate
      icon={isWaiting ? <WifiOff {...ICON} /> : <LoaderCircle {...ICON} className="animate-spin" />}
      actions={
        <Button className="h-7" disabled={!isWaiting} onClick={() => connection.reconnectNow()}>
          Reconnect now
        </Button>
      }
    >
      {isWaiting ? <WaitingText state={state} /> : 'Connecting'}
    </Row>
  );
}

function FailedRow({
  state,
  connection,
}: {
  state: Extract<ConnectionState, { kind: 'failed' }>;
  connection: TerminalConnection;
}) {
  const action =
    state.action === 'upgrade' ? (
      <Button className="h-7" onClick={() => window.location.reload()}>
        Reload
      </Button>
    ) : (
      <Button className="h-7" onClick={() => connection.reconnectNow()}>
        Try again
      </Button>
    );
  return (
    <Row tone="danger" icon={<TriangleAlert {...ICON} />} actions={action}>
      {FAILURES[state.code] ?? state.message}
    </Row>
  );
}

function UnsentRow({
  unsent,
  connection,
}: {
  unsent: NonNullable<ConnectionFacts['unsent']>;
  connection: TerminalConnection;
}) {
  return (
    <Row
      icon={<Send {...ICON} />}
      actions={
        <>
          <Button className="h-7" onClick={() => connection.sendUnsent()}>
            Send
          </Button>
          <Button className="h-7" variant="quiet" onClick={() => connection.discardUnsent()}>
            Discard
          </Button>
        </>
      }
    >
      <span className="flex min-w-0 items-baseline gap-2">
        <span className="shrink-0">
          Not sent while you were away <span className="text-muted">({amount(unsent.bytes)})</span>
        </span>
        <code className="min-w-0 truncate rounded bg-hover px-1.5 font-mono text-xs">{readable(unsent.text)}</code>
      </span>
    </Row>
  );
}

function IdleRow({ endsAt, connection }: { endsAt: number; connection: TerminalConnection }) {
  const minutes = useMinutesUntil(endsAt);
  return (
    <Row
      icon={<Clock {...ICON} />}
      actions={
        <Button className="h-7" onClick={() => connection.keep()}>
          Keep it
        </Button>
      }
    >
      Nothing happens here: this terminal ends in {minutes} min.
    </Row>
  );
}

type BannerProps = { facts: ConnectionFacts; connection: TerminalConnection };

/** All that is to be said now, floating over the top of the terminal. */
export function ConnectionBanner({ facts, connection }: BannerProps) {
  const { state, unsent, notice, idleEndsAt, host } = facts;
  const isLive = state.kind === 'live';
  return (
    <div
      className="pointer-events-none absolute inset-x-4 top-2 z-10 flex flex-col items-center gap-2"
      data-testid="connection-banner"
    >
      {(state.kind === 'waiting' || state.kind === 'connecting') && <AwayRow state={state} connection={connection} />}
      {state.kind === 'failed' && <FailedRow state={state} connection={connection} />}
      {isLive && host === 'unresponsive' && (
        <Row icon={<Hourglass {...ICON} />}>
          The terminal’s host has not answered for some seconds.{' '}
          <span className="text-muted">Nothing is lost; what you type waits.</span>
        </Row>
      )}
      {isLive && unsent && <UnsentRow unsent={unsent} connection={connection} />}
      {isLive && idleEndsAt !== null && <IdleRow endsAt={idleEndsAt} connection={connection} />}
      {notice && (
        <PassingRow key={notice.message} onDismiss={() => connection.dismissNotice()}>
          {notice.message}
        </PassingRow>
      )}
    </div>
  );
}
