/** A bounded map whose values have an age. Errors are never put in; who may be served an old value asks for it. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';

interface Aged<Value> {
  readonly value: Value;
  readonly storedAt: number;
  readonly expiresAt: number;
}

export interface TimedCacheOptions {
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly maxEntries: number;
}

export class TimedCache<Value> {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #entries: LRUCache<string, Aged<Value>>;

  constructor(options: TimedCacheOptions) {
    this.#clock = options.clock;
    this.#ttlMs = options.ttlMs;
    this.#entries = new LRUCache({ max: options.maxEntries });
  }

  get size(): number {
    return this.#entries.size;
  }

  /** `undefined`: unknown or expired. */
  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || entry.expiresAt <= this.#clock.now() ? undefined : entry.value;
  }

  /** The value whatever its expiry, unless it is older than `maxAgeMs`. */
  getAged(key: string, maxAgeMs: number): Value | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || this.#clock.now() - entry.storedAt > maxAgeMs ? undefined : entry.value;
  }

  /** Expiry is spread by 10 %, so that what was read together is not read again together. */
  set(key: string, value: Value): void {
    const storedAt = this.#clock.now();
    const ttlMs = this.#ttlMs * (0.9 + Math.random() * 0.1);
    this.#entries.set(key, { value, storedAt, expiresAt: storedAt + ttlMs });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
