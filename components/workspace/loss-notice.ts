'use client';
/** Tells which terminals were lost, once for each loss and all in one notice. */
import { useEffect, useEffectEvent, useRef } from 'react';
import { toast } from 'sonner';
import { causeOfLoss } from '@/lib/client/endings';
import type { TerminalSession } from '@/lib/protocol/rest';
import type { Workspace } from './use-workspace';

const TOLD_KEY = 'hf-told-losses';
/** Losses that the browser remembers to have told. */
const TOLD_MAX = 200;
const SHOWN_MS = 20_000;
const NAMES_MAX = 4;
const NOTICE_ID = 'losses';

type Lost = Pick<TerminalSession, 'id' | 'epoch' | 'tabName' | 'exit'>;

/** A session is lost at most once in each epoch. */
function nameOf({ id, epoch }: Lost): string {
  return `${id} ${epoch}`;
}

/** `otherId` is the first that is not in front. */
type Notice = { title: string; description: string; otherId: string | null; told: string[] };

/** What to say about losses, and which losses to remember as told; null when there is nothing new. */
export function lossNotice(
  lost: readonly Lost[],
  told: readonly string[],
  frontId: string | null = null,
): Notice | null {
  const fresh = lost.filter((session) => !told.includes(nameOf(session)));
  if (fresh.length === 0) return null;
  const namesOfCause = new Map<string, string[]>();
  for (const { exit, tabName } of fresh) {
    const cause = causeOfLoss(exit ?? null);
    namesOfCause.set(cause, [...(namesOfCause.get(cause) ?? []), tabName]);
  }
  return {
    title: fresh.length === 1 ? '1 terminal was lost' : `${fresh.length} terminals were lost`,
    description: [...namesOfCause].map(([cause, names]) => `${listed(names)}: ${cause}.`).join(' '),
    otherId: fresh.find(({ id }) => id !== frontId)?.id ?? null,
    told: [...told, ...fresh.map(nameOf)].slice(-TOLD_MAX),
  };
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  return names.slice(0, NAMES_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function readTold(): string[] {
  try {
    return (localStorage.getItem(TOLD_KEY) ?? '').split('\n').filter(Boolean);
  } catch {
    return []; // storage is blocked: it is told again on the next page
  }
}

function writeTold(told: string[]): void {
  try {
    localStorage.setItem(TOLD_KEY, told.join('\n'));
  } catch {
    // as above
  }
}

/** Shows the notice when terminals of the project are lost, also those that were lost before this page was opened. */
export function useLossNotice({ tabs, active, show }: Pick<Workspace, 'tabs' | 'active' | 'show'>): void {
  const lost = tabs.filter(({ status }) => status === 'lost');
  const names = lost.map(nameOf).join('\n');
  const frontId = active?.id ?? null;
  /** Losses that the notice on the screen names: a later one joins them there. */
  const shown = useRef<string[]>([]);
  const tell = useEffectEvent(() => {
    const told = readTold();
    const notice = lossNotice(
      lost,
      told.filter((name) => !shown.current.includes(name)),
      frontId,
    );
    if (!notice) return;
    const { otherId } = notice;
    writeTold(notice.told);
    shown.current = lost.map(nameOf).filter((name) => !told.includes(name) || shown.current.includes(name));
    const forget = () => {
      shown.current = [];
    };
    const leadTo = (id: string) => {
      forget();
      show(id);
    };
    toast.warning(notice.title, {
      id: NOTICE_ID,
      onDismiss: forget,
      onAutoClose: forget,
      description: notice.description,
      duration: SHOWN_MS,
      closeButton: true,
      // The bar of a lost terminal is at the bottom.
      position: 'top-right',
      action: otherId && { label: 'Show', onClick: () => leadTo(otherId) },
    });
  });

  // What is on the screen names its losses again when another tab comes to the front: that one needs no way to it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above
  useEffect(() => {
    if (names !== '') tell();
  }, [names, frontId]);
}
