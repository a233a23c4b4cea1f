/** The sidecar's production bundle, built once for each state of the sources. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Inside the project, so that the bundle finds its packages. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'holdfast-sidecar');
const KEPT_MS = 24 * 3_600_000;

/** The path of a `gateway.js` with its `host.js` beside it. */
export async function bundleSidecar(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: { gateway: join(ROOT, 'ws-server/main.ts'), host: join(ROOT, 'ws-server/host/main.ts') },
    outdir: CACHE,
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  });
  const hash = createHash('sha256');
  for (const { contents } of outputFiles) hash.update(contents);
  const directory = join(CACHE, hash.digest('hex').slice(0, 16));
  if (!existsSync(directory)) {
    mkdirSync(CACHE, { recursive: true });
    removeOld();
    const draft = mkdtempSync(join(CACHE, 'draft-'));
    for (const { path, contents } of outputFiles) writeFileSync(join(draft, basename(path)), contents);
    try {
      renameSync(draft, directory);
    } catch (error) {
      rmSync(draft, { recursive: true });
      if (!existsSync(directory)) throw error; // else another test process was faster
    }
  }
  return join(directory, 'gateway.js');
}

function removeOld(): void {
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age > KEPT_MS) rmSync(path, { recursive: true, force: true });
  }
}
