'use client';
/** Feeds the query cache from the server's event stream and tells what is out of reach. */
import { useQueryClient } from '@tanstack/react-query';
import { Unplug } from 'lucide-react';
import { createContext, type ReactNode, use, useEffect, useState } from 'react';
import { openEvents } from '@/lib/client/events';
import { type StoreTrouble, storeTroubles } from '@/lib/client/store-trouble';
import { applyEvent } from './cache';

type Reach = { web: boolean; sidecar: boolean; degraded: readonly string[] };

const ALL_WELL: Reach = { web: true, sidecar: true, degraded: [] };
const ReachContext = createContext(ALL_WELL);

/** Keeps the stream open for the pages below it. */
export function Live({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [reach, setReach] = useState(ALL_WELL);

  useEffect(
    () =>
      openEvents({
        onEvent(event) {
          if (event.type === 'hello') setReach({ web: true, sidecar: event.sidecar, degraded: event.degraded });
          if (event.type === 'sidecar') setReach((known) => ({ ...known, web: true, sidecar: event.reachable }));
          if (event.type === 'store') setReach((known) => ({ ...known, web: true, degraded: event.degraded }));
          // What changed while nobody listened is in no event. Without the gateway, web may know less than this page.
          // With the store, what is safe changes.
          const isFresh =
            (event.type === 'hello' && event.sidecar) ||
            (event.type === 'sidecar' && event.reachable) ||
            event.type === 'store';
          if (isFresh) void client.invalidateQueries();
          applyEvent(client, event);
        },
        onReachable(isReachable) {
          if (isReachable) return;
          setReach((known) => ({ ...known, web: false }));
          // The stream cannot tell a missing server from a sign-in that has run out; a call can.
          void client.invalidateQueries();
        },
      }),
    [client],
  );

  return <ReachContext value={reach}>{children}</ReachContext>;
}

/** Whether web and gateway can be reached, as far as the page knows. */
export function useIsReachable(): boolean {
  const { web, sidecar } = use(ReachContext);
  return web && sidecar;
}

/** What the store has to do without, the worst first. */
export function useStoreTroubles(): StoreTrouble[] {
  return storeTroubles(use(ReachContext).degraded);
}

/** What cannot be reached right now, as a sentence, or null. */
export function useAway(): string | null {
  const { web, sidecar } = use(ReachContext);
  if (!web) return 'Web server away. Your shells keep running…';
  if (!sidecar) return 'Gateway away. Your shells keep running…';
  return null;
}

/** Covers the bottom edge of its positioned parent while something is away; a blink of a second stays unseen. */
export function AwayBanner() {
  const away = useAway();
  return (
    <div role="status" className="pointer-events-none absolute inset-x-0 bottom-0 z-20">
      {away && (
        <p className="flex min-h-7 animate-late items-center justify-center gap-2 border-line border-t bg-warn-tint px-3 py-1 text-center font-medium text-warn text-xs">
          <Unplug size={14} className="shrink-0" aria-hidden="true" />
          {away}
        </p>
      )}
    </div>
  );
}
