/** `holdfast open`: a fresh login link for the Holdfast that runs. */
import type { Config } from '@/lib/config';
import { createLoginToken } from '@/lib/secrets';
import { CommandError } from './command-error';
import { askLauncher } from './launcher-lock';

/** Prints a login link. It starts no browser: the token in a command line is there for every user of the machine to read. */
export async function open(config: Config, say: (line: string) => void): Promise<number> {
  const launcher = await askLauncher(config.dataDir);
  if (!launcher) throw new CommandError('Holdfast does not run on this data directory: start it with `npm start`.');
  if (!launcher.isReady) throw new CommandError('Holdfast is still starting: try again in a moment.');
  say(`${launcher.publicUrl}/#t=${createLoginToken(config.dataDir)}`);
  return 0;
}
