/** Session and project ids: names, never permissions. */
import { z } from 'zod';

/** A session id, `session_<ms>_<8 of a-z0-9>`. */
export const sessionIdSchema = z.string().regex(/^session_\d{13}_[a-z0-9]{8}$/);
/** A project id, `project_<ms>_<8 of a-z0-9>`. */
export const projectIdSchema = z.string().regex(/^project_\d{13}_[a-z0-9]{8}$/);

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** Largest multiple of 36 in a byte: bytes from here on are drawn again, so that no letter is likelier than another. */
const FAIR_BYTES = 252;

/** A fresh id; the eight characters are drawn from the CSPRNG. */
export function newId(kind: 'session' | 'project', now: number = Date.now()): string {
  let tail = '';
  while (tail.length < 8) {
    for (const byte of crypto.getRandomValues(new Uint8Array(16))) {
      if (byte < FAIR_BYTES && tail.length < 8) tail += ALPHABET[byte % ALPHABET.length];
    }
  }
  return `${kind}_${String(now).padStart(13, '0')}_${tail}`;
}
