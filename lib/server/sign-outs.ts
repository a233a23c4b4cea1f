/** Logins that were signed out before their cookie expired: a cookie that somebody kept is refused, also after a restart. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How long a login cookie lasts (s); a sign-out is remembered as long. */
export const COOKIE_TTL_S = 30 * 24 * 3600;

function nameOf(sid: string): string {
  return createHash('sha256').update(sid).digest('hex');
}

/** The sign-outs of a data directory: one empty file each, named by the hash of the login's id. */
export class SignOuts {
  readonly #directory: string;
  readonly #names: Set<string>;

  constructor(dataDir: string) {
    this.#directory = join(dataDir, 'signed-out');
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    this.#names = new Set(readdirSync(this.#directory));
  }

  has(sid: string): boolean {
    return this.#names.has(nameOf(sid));
  }

  add(sid: string): void {
    for (const name of this.#names) {
      const file = join(this.#directory, name);
      const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      if (age < COOKIE_TTL_S * 1000) continue;
      rmSync(file, { force: true });
      this.#names.delete(name);
    }
    writeFileSync(join(this.#directory, nameOf(sid)), '', { mode: 0o600 });
    this.#names.add(nameOf(sid));
  }
}
