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

export type Reservation =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'locked'; readonly retryAfterMs: number; readonly scope: 'account' | 'address' };

/**
 * An attempt is counted before the password is tried and taken back when it did not fail,
 * so that a hundred parallel guesses cannot all pass a check that no failure has reached yet.
 * Throws GatewayError SESSION_STORE_UNAVAILABLE when the counters cannot be reached: never unlimited guessing.
 */
export interface AttemptCounters {
  /** Counts one attempt for every key, or none of them when one is locked. */
  reserve(keys: readonly CounterKey[]): Promise<Reservation>;
  /** Takes a reserved attempt back: success of another factor, or an outage that says nothing about the password. */
  release(keys: readonly CounterKey[]): Promise<void>;
  /** Forgets the failures of one key (after a success). */
  clear(keys: readonly CounterKey[]): Promise<void>;
}
