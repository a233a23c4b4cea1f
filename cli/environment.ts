/** What the processes that the commands start find in their environment. */
import { type Config, type Environment, ownEnvironment, settingsEnvironment } from '@/lib/config';
import { STORE_NAMES } from '@/lib/config-settings';

/** This process's environment with every setting spelled out, for processes that may run in another directory. */
export function childEnvironment(config: Config, own: Environment = ownEnvironment()): Environment {
  const rest = without(own, (name) => STORE_NAMES.includes(name)); // what was decided takes the place of all of them
  return { ...rest, ...settingsEnvironment(config), NEXT_TELEMETRY_DISABLED: '1' };
}

/** The environment of the sidecar: records and the key of the login cookie are none of its business. */
export function sidecarEnvironment(config: Config, own?: Environment): Environment {
  const isOfWeb = (name: string) => [...STORE_NAMES, 'NEXTAUTH_SECRET'].includes(name) || name.startsWith('PG');
  return { ...without(childEnvironment(config, own), isOfWeb), HOLDFAST_STORE: 'memory' };
}

function without(env: Environment, isLeftOut: (name: string) => boolean): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isLeftOut(name)));
}
