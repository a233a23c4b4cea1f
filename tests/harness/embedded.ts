/** What the embedded database of a data directory leaves outside of it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { embeddedPlace } from '@/cli/embedded-place';

/** Removes it. Nothing may run on it any more. */
export function removeEmbedded(dataDir: string, runDir = join(dataDir, 'run')): void {
  rmSync(embeddedPlace({ dataDir, runDir }).base, { recursive: true, force: true });
}
