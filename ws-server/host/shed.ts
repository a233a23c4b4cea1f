/** Giving memory back when the node is short of it: the stages of a host, see `ws-server/memory-watch.ts` for their order. */
import type { CallArgs, CallResult } from '@/ws-server/link';
import type { IdleRule } from './idle';
import type { Session } from './session';
import { turn } from './turns';

/** An open session that was unused for so long (ms) is not expected back at once. */
const QUIET_MS = 60_000;

type Shedding = CallArgs<'shed'> & { sessions: ReadonlyMap<string, Session>; idleRule: IdleRule };

/** Carries out one stage over all sessions, `end` over the given ones. */
export async function shed({ stage, ids, sessions, idleRule }: Shedding): Promise<CallResult<'shed'>> {
  const all = [...sessions.values()];
  switch (stage) {
    case 'caches':
      return freed(all.filter(({ isEnded }) => isEnded));
    case 'scrollback':
      return freed(await putAway(all.filter(isQuiet)));
    case 'viewers':
      // A viewer whose cursor falls off the ring gets a gap mark and a snapshot: later, when it reads again.
      return freed(all);
    case 'look':
      return { freedBytes: 0, bare: await idleRule.findUnused(all.map(({ idleness }) => idleness)), ended: [] };
    case 'end': {
      const named = ids.flatMap((id) => sessions.get(id)?.idleness ?? []);
      return { freedBytes: 0, bare: [], ended: await idleRule.endUnused(named) };
    }
  }
}

function isQuiet({ idleness }: Session): boolean {
  return idleness.unusedMs >= QUIET_MS;
}

/** Their screens become text until something happens, one in a turn of the loop; what would not come back exactly stays. */
async function putAway(sessions: readonly Session[]): Promise<readonly Session[]> {
  for (const session of sessions) {
    await turn();
    if (isQuiet(session)) session.output.hibernate();
  }
  return sessions;
}

function freed(sessions: readonly Session[]): CallResult<'shed'> {
  return { freedBytes: sessions.reduce((bytes, session) => bytes + session.trim(), 0), bare: [], ended: [] };
}
