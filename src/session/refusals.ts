/**
 * Sessions this worker refuses whatever the store says: ended here, pushed as ended, or unknown a moment ago.
 * Keeps asking the store to record an ending that it could not record at once.
 */
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { SessionKey, SessionStore } from '../state/session-store.ts';

/** Longer than any answer of the store that was on its way when the ending was pushed. */
const endedForMs = 60_000;
const unknownForMs = 2_000;
const maxRemembered = 10_000;
const maxQueued = 100_000;
const retryConcurrency = 50;

export class Refusals {
  readonly #store: SessionStore;
  readonly #logger: Logger;
  readonly #remembered = new LRUCache<SessionKey, true>({ max: maxRemembered });
  /** Endings the store has not recorded yet; refused here until it has. */
  readonly #queued = new Set<SessionKey>();
  #retrying: Promise<void> | undefined;

  constructor(store: SessionStore, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  has(key: SessionKey): boolean {
    return this.#queued.has(key) || this.#remembered.has(key);
  }

  /** The store does not know `key`: asking again at once is pointless, whoever sends it and how often. */
  rememberUnknown(key: SessionKey): void {
    if (!this.#remembered.has(key)) this.#remembered.set(key, true, { ttl: unknownForMs });
  }

  rememberEnded(key: SessionKey): void {
    this.#remembered.set(key, true, { ttl: endedForMs });
  }

  /** `queued`: the store cannot record it now; refused here at once, recorded as soon as the store answers. */
  async end(key: SessionKey): Promise<'recorded' | 'queued'> {
    if (this.#queued.size >= maxQueued) {
      throw new GatewayError('SESSION_STORE_UNAVAILABLE', 'too many endings wait for the session store');
    }
    this.#queued.add(key);
    try {
      await this.#store.revoke(key);
    } catch (error) {
      if (!isStoreAway(error)) throw error;
      this.#logger.audit('session.revocation-pending', { sessionKey: key });
      return 'queued';
    }
    this.#recorded(key);
    return 'recorded';
  }

  /** Offers the queued endings to the store again. Stops at the first failure; the next call goes on. */
  async retry(): Promise<void> {
    this.#retrying ??= this.#offerAll().finally(() => {
      this.#retrying = undefined;
    });
    await this.#retrying;
  }

  /** One offer that begins now: one under way may be waiting for an answer that never comes. */
  async offerOnce(): Promise<void> {
    await this.#retrying;
    await this.retry();
  }

  async #offerAll(): Promise<void> {
    const keys = [...this.#queued];
    try {
      for (let at = 0; at < keys.length; at += retryConcurrency) {
        await Promise.all(
          keys.slice(at, at + retryConcurrency).map(async (key) => {
            await this.#store.revoke(key);
            if (this.#recorded(key)) this.#logger.audit('session.revocation-recorded', { sessionKey: key });
          }),
        );
      }
    } catch (error) {
      if (!isStoreAway(error)) throw error;
    }
  }

  #recorded(key: SessionKey): boolean {
    this.rememberEnded(key);
    return this.#queued.delete(key);
  }
}

function isStoreAway(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'SESSION_STORE_UNAVAILABLE';
}
