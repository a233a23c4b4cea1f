/** Times that count down on the page. */
import { useSyncExternalStore } from 'react';

const TICK_MS = 250;

function subscribe(listener: () => void): () => void {
  const timer = setInterval(listener, TICK_MS);
  return () => clearInterval(timer);
}

/** Whole seconds until a time in milliseconds since 1970, never below 0; 0 while the server renders. */
export function useSecondsUntil(time: number): number {
  return useSyncExternalStore(
    subscribe,
    () => Math.max(0, Math.ceil((time - Date.now()) / 1000)),
    () => 0,
  );
}

/** Whole minutes until a time in milliseconds since 1970, rounded up, never below 0. */
export function useMinutesUntil(time: number): number {
  return useSyncExternalStore(
    subscribe,
    () => Math.max(0, Math.ceil((time - Date.now()) / 60_000)),
    () => 0,
  );
}
