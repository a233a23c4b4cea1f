/** `holdfast stop`: ends web and gateway, and with `--all` every session and its host. */
import type { Config } from '@/lib/config';
import { endRecordedChildren } from './child-record';
import { describeSessions, endSession, listLiveSessions, type SessionFacts } from './control';
import { stopLauncher } from './launcher-lock';
import { endHosts, findHosts } from './processes';

const LAUNCHER_DEADLINE_MS = 10_000;
const LIST_DEADLINE_MS = 2_000;
/** A session that ignores HUP is killed by its host after 2 s. */
const END_DEADLINE_MS = 5_000;
const HOST_DEADLINE_MS = 6_000;
const CHILD_GRACE_MS = 4_000;

type StopOptions = { isAll: boolean; say: (line: string) => void };

/** Stops what runs on this data directory and says what that was. */
export async function stop(config: Config, { isAll, say }: StopOptions): Promise<number> {
  const { runDir } = config;
  const ended = isAll ? await endSessions(runDir) : [];
  const launcher = await stopLauncher(runDir, LAUNCHER_DEADLINE_MS);
  const orphans = launcher ? [] : await endRecordedChildren(runDir, CHILD_GRACE_MS);
  const hosts = isAll ? await endHosts(runDir, HOST_DEADLINE_MS) : 0;

  if (launcher) say(`Stopped web and gateway (launcher ${launcher.pid}).`);
  if (orphans.length > 0) say(`Stopped what a killed launcher left behind: ${orphans.join(', ')}.`);
  if (launcher?.farewell && !isAll) say(launcher.farewell);
  if (ended.length > 0) {
    const { count, names } = describeSessions(ended);
    say(`Ended ${count}: ${names}.`);
  }
  if (hosts > 0) say(`Ended ${hosts === 1 ? '1 host process' : `${hosts} host processes`}.`);
  const left = isAll || launcher?.farewell ? 0 : findHosts(runDir).length;
  if (left > 0) {
    const processes = left === 1 ? '1 host process still runs' : `${left} host processes still run`;
    say(`${processes}. \`npm start\` finds the sessions again, \`npm run stop -- --all\` ends them.`);
  } else if (!launcher && orphans.length + ended.length + hosts === 0) {
    say('Nothing is running.');
  }
  return 0;
}

/** Ends the sessions through the gateway, where one runs; hosts that no gateway serves are ended by signal. */
async function endSessions(runDir: string): Promise<SessionFacts[]> {
  let sessions: SessionFacts[];
  try {
    sessions = (await listLiveSessions(runDir, LIST_DEADLINE_MS)) ?? [];
  } catch {
    return []; // a gateway that does not answer: its hosts are ended by signal
  }
  const results = await Promise.all(
    sessions.map((session) => endSession(runDir, session.id, END_DEADLINE_MS).catch(() => false)),
  );
  return sessions.filter((_, index) => results[index]);
}
