/** Tells whether the build in the tree is one of these sources. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** What the build is made of; a test or a document changes nothing in it. */
const SOURCES = [
  'app',
  'components',
  'drizzle',
  'lib',
  'public',
  'ws-server',
  'cli/build.ts',
  'next.config.ts',
  'package-lock.json',
  'package.json',
  'postcss.config.mjs',
  'tsconfig.json',
];
const NOT_BUILT = /\.(test\.tsx?|golden|md)$/;

/** What the build gives: without one of these it is none. */
const RESULTS = ['.next/standalone/server.js', '.next/standalone/.next/static', 'dist/gateway.js', 'dist/host.js'];

const buildSchema = z.object({ stamp: z.string() });

/** The file that names the sources of the build. */
export const BUILD_FILE = join('dist', 'build.json');

/** SHA-256 over names and contents of all sources. */
export function sourceStamp(root: string): string {
  const hash = createHash('sha256');
  for (const name of SOURCES.flatMap((source) => filesOf(root, source))) {
    const content = readFileSync(join(root, name));
    hash.update(`${name}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

function filesOf(root: string, name: string): string[] {
  const path = join(root, name);
  if (NOT_BUILT.test(name) || !existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [name];
  return readdirSync(path)
    .sort()
    .flatMap((entry) => filesOf(root, `${name}/${entry}`));
}

/** Whether there is a whole build with this stamp. */
export function isBuilt(root: string, stamp: string): boolean {
  if (![BUILD_FILE, ...RESULTS].every((name) => existsSync(join(root, name)))) return false;
  try {
    return buildSchema.parse(JSON.parse(readFileSync(join(root, BUILD_FILE), 'utf8'))).stamp === stamp;
  } catch {
    return false; // cut short or foreign: build again
  }
}
