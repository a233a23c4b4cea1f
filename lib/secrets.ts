/** Secrets that Holdfast makes for itself: random files of mode 0600 in the data directory. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { systemCode } from './system-code';

/** A login token opens one browser within this time (ms). */
const LOGIN_TOKEN_TTL_MS = 10 * 60_000;

/** The files: the machine token for scripts, the keys of tickets and of the login cookie, the password of the embedded database. */
export type SecretName = 'token' | 'ticket.key' | 'nextauth.secret' | 'database.password';

/** Where a secret lies. */
export function secretFile(dataDir: string, name: SecretName): string {
  return join(dataDir, name);
}

/**
 * Reads a secret, or makes it: 256 random bits as 43 characters of base64url.
 * Two processes that make it at once agree on one: the file appears whole, by a link that only one of them wins.
 */
export function loadSecret(dataDir: string, name: SecretName): string {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = secretFile(dataDir, name);
  if (!existsSync(file)) {
    const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeFileSync(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx', flush: true });
    try {
      linkSync(draft, file);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    } finally {
      unlinkSync(draft);
    }
  }
  return readFileSync(file, 'utf8').trim();
}

/** Whether a given secret is the expected one, in a time that tells nothing about either. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function loginFile(dataDir: string, token: string): string {
  return join(dataDir, 'login', createHash('sha256').update(token).digest('hex'));
}

/** Makes a login token. Only its hash is kept; it opens one browser once within 10 minutes. */
export function createLoginToken(dataDir: string): string {
  const directory = join(dataDir, 'login');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory)) {
    const file = join(directory, name);
    const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age > LOGIN_TOKEN_TTL_MS) rmSync(file, { force: true });
  }
  const token = randomBytes(32).toString('base64url');
  writeFileSync(loginFile(dataDir, token), '', { mode: 0o600, flag: 'wx' });
  return token;
}

/** Uses a login token up. False when it never existed, was used, or is older than 10 minutes. */
export function redeemLoginToken(dataDir: string, token: string): boolean {
  const file = loginFile(dataDir, token);
  try {
    const { mtimeMs } = statSync(file);
    unlinkSync(file); // of two redeemers one unlinks, the other gets ENOENT
    return Date.now() - mtimeMs <= LOGIN_TOKEN_TTL_MS;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
