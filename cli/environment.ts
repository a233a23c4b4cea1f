/** What the processes that the commands start find in their environment. */
import { type Config, type Environment, ownEnvironment, settingsEnvironment } from '@/lib/config';

/** This process's environment with every setting spelled out, for processes that may run in another directory. */
export function childEnvironment(config: Config, own: Environment = ownEnvironment()): Environment {
  return { ...own, ...settingsEnvironment(config), NEXT_TELEMETRY_DISABLED: '1' };
}

/** The environment of the sidecar: the key of the login cookie is none of its business. */
export function sidecarEnvironment(config: Config, own?: Environment): Environment {
  const { NEXTAUTH_SECRET: _, ...rest } = childEnvironment(config, own);
  return rest;
}
