/** The contract of the failure counters behind the throttle, shared by all workers. */

export interface CounterLimit {
  /** Failures within the window that lock. */
  readonly failures: number;
  readonly windowMs: number;
  readonly lockForMs: number;
}

export interface CounterKey {
  readonly scope: 'account' | 'address';
  /** Hashed by the caller where it would reveal a typed password; at most 512 characters. */
  readonly key: string;
}

export type AttemptLimits = Readonly<Record<CounterKey['scope'], CounterLimit>>;

export type Reservation =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'locked'; readonly retryAfterMs: number; readonly scope: CounterKey['scope'] }
  /** As many attempts are under way as failures are left: worth asking again until one of them has ended. */
  | { readonly kind: 'busy'; readonly scope: CounterKey['scope'] };

/**
 * An attempt is counted before the password is tried and taken back when it did not fail,
 * so that a hundred parallel guesses cannot all pass a check that no failure has reached yet.
 * Every reserved key is settled by `release` or `fail`; one that is not (its worker died) counts as failed after 15 s.
 * Throws GatewayError SESSION_STORE_UNAVAILABLE when the counters cannot be reached: never unlimited guessing.
 */
export interface AttemptCounters {
  /** Counts one attempt for every key, or none of them; may wait a moment for attempts under way before `busy`. */
  reserve(keys: readonly CounterKey[]): Promise<Reservation>;
  /** The reserved attempt failed: it stays counted and is no longer under way. */
  fail(keys: readonly CounterKey[]): Promise<void>;
  /** Takes a reserved attempt back: success, or an outage that says nothing about the password. */
  release(keys: readonly CounterKey[]): Promise<void>;
  /** Forgets the failures of these keys (after a success); attempts under way stay counted. */
  clear(keys: readonly CounterKey[]): Promise<void>;
}
