/** Results of recent calls by their key, so that a repeated call shares the first one's result. */
import { AppError } from '@/lib/protocol/errors';

const KEPT_MS = 10 * 60_000;
const KEPT_MAX = 1_000;

type Entry<T> = { fingerprint: string; at: number; result: Promise<T> };

/** Remembers at most 1,000 results for 10 minutes; the oldest give way. Failures are not remembered. */
export class RecentResults<T> {
  readonly #entries = new Map<string, Entry<T>>();

  /**
   * The result of the first call with this key, or of `make`.
   * @param fingerprint what was asked for
   * @throws AppError `conflict` when the key was used for something else
   */
  async once(key: string, fingerprint: string, make: () => Promise<T>): Promise<{ value: T; isRepeat: boolean }> {
    const now = Date.now();
    const known = this.#entries.get(key);
    if (known && now - known.at < KEPT_MS) {
      if (known.fingerprint !== fingerprint) {
        throw new AppError('conflict', 'This Idempotency-Key was used for another request.', {
          details: { reason: 'idempotency_key_reused' },
        });
      }
      return { value: await known.result, isRepeat: true };
    }
    const entry: Entry<T> = { fingerprint, at: now, result: make() };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > KEPT_MAX && !oldest.done) this.#entries.delete(oldest.value);
    try {
      return { value: await entry.result, isRepeat: false };
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }
}
