/** What the launcher says when it stops: which sessions keep running. */
import type { Config } from '@/lib/config';
import { describeSessions, listLiveSessions } from './control';
import { findHosts } from './processes';

const ASK_DEADLINE_MS = 1_000;

/** Which sessions go on after web and gateway have ended, in one line. Ask while the gateway still runs. */
export async function sayGoodbye(config: Config): Promise<string> {
  const sessions = await listLiveSessions(config.runDir, ASK_DEADLINE_MS).catch(() => null);
  if (sessions === null) return withoutGateway(config);
  if (sessions.length === 0) return 'Nothing keeps running.';
  const { count, names } = describeSessions(sessions);
  if (config.ephemeral) return `${count} ${sessions.length === 1 ? 'ends' : 'end'} now (HOLDFAST_EPHEMERAL): ${names}.`;
  const verb = sessions.length === 1 ? 'keeps' : 'keep';
  const them = sessions.length === 1 ? 'it' : 'them';
  return `${count} ${verb} running: ${names}. \`npm start\` finds ${them} again, \`npm run stop -- --all\` ends ${them}.`;
}

function withoutGateway({ runDir, ephemeral }: Config): string {
  const hosts = findHosts(runDir).length;
  if (hosts === 0) return 'Nothing keeps running.';
  const what = hosts === 1 ? '1 host process' : `${hosts} host processes`;
  if (ephemeral) return `${what} will end with their sessions (HOLDFAST_EPHEMERAL).`;
  return `The gateway did not say which sessions keep running, but ${what} did not end. \`npm run stop -- --all\` ends all sessions.`;
}
