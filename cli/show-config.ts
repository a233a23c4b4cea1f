/** `holdfast config`: every setting in effect, where it comes from, and no secret. */
import { effectiveSettings, loadConfig, ownEnvironment } from '@/lib/config';
import { terminalConfig } from '@/lib/terminal-config';

type ShowOptions = { isJson: boolean; say: (line: string) => void };

/** Prints the settings as `npm start` would use them. Nothing has to run. */
export async function showConfig({ isJson, say }: ShowOptions): Promise<number> {
  const env = { ...ownEnvironment(), NODE_ENV: 'production' };
  const settings = effectiveSettings(env);
  const config = loadConfig(env);
  const store = config.wantsEmbedded ? 'embedded' : config.store;
  const terminal = terminalConfig(config);
  if (isJson) {
    say(JSON.stringify({ settings, store, terminal }, null, 2));
    return 0;
  }
  const nameWidth = Math.max(...settings.map(({ name }) => name.length));
  const originWidth = Math.max(...settings.map(({ origin }) => origin.length));
  for (const { name, value, origin } of settings) {
    say(`${name.padEnd(nameWidth)}  ${origin.padEnd(originWidth)}  ${value}`);
  }
  say('');
  say(`Records are kept in: ${store}`);
  for (const [group, value] of Object.entries(terminal)) say(`${group}: ${JSON.stringify(value)}`);
  return 0;
}
