/** The contract of the shared session store. Every implementation passes test/contract/session-store-contract.ts. */
import type { AccessLevel } from '../identity/principal.ts';

/** Session key: base64url SHA-256 of the ticket. The ticket itself never leaves the worker and the cookie. */
export type SessionKey = string;

export interface StoredGroup {
  readonly name: string;
  readonly dn?: string;
  readonly directory?: string;
}

export interface StoredPrincipal {
  readonly provider: string;
  readonly subject: string;
  readonly username: string;
  readonly email?: string;
  readonly displayName?: string;
  readonly givenName?: string;
  readonly familyName?: string;
  readonly groups: readonly StoredGroup[];
  readonly roles: readonly string[];
  readonly accessLevel: AccessLevel;
  readonly attributes: Readonly<Record<string, readonly string[]>>;
}

/** Plain data, safe for structured clone and JSON. Instants are milliseconds since the epoch. */
export interface StoredSession {
  readonly key: SessionKey;
  readonly principal: StoredPrincipal;
  readonly authenticatedAtMs: number;
  /** End of the absolute life. */
  readonly expiresAtMs: number;
  readonly lastUsedAtMs: number;
  /** When groups and status were last read from the provider. */
  readonly refreshedAtMs: number;
}

export type SessionEvent =
  | { readonly kind: 'revoked'; readonly keys: readonly SessionKey[] }
  | { readonly kind: 'refreshed'; readonly session: StoredSession };

/**
 * Every method throws GatewayError SESSION_STORE_UNAVAILABLE when the store does not answer in time;
 * "no such session" is `undefined`, never an error.
 */
export interface SessionStore {
  load(key: SessionKey): Promise<StoredSession | undefined>;
  /** Stores a new session; acknowledged once the store has it. */
  save(session: StoredSession): Promise<void>;
  /** Replaces principal and `refreshedAtMs`, unless the session was revoked meanwhile (then `false`); pushed to every worker. */
  refreshed(key: SessionKey, principal: StoredPrincipal, refreshedAtMs: number): Promise<boolean>;
  /**
   * Asks for the right to refresh: `granted` for one caller at a time (lease of 30 s), else `taken`.
   * When the store holds a newer refresh than `refreshedAtMs` the answer is that session.
   */
  claimRefresh(key: SessionKey, refreshedAtMs: number): Promise<'granted' | 'taken' | StoredSession>;
  /** Moves `lastUsedAtMs` forward, never back. Unknown keys are passed over. */
  touch(uses: readonly (readonly [key: SessionKey, lastUsedAtMs: number])[]): Promise<void>;
  /** Durable before it is acknowledged; pushed to every worker. Unknown keys are no error. */
  revoke(key: SessionKey): Promise<void>;
  /** Ends every session of one principal. Answers how many there were. */
  revokePrincipal(provider: string, subject: string): Promise<number>;
  /** Sessions that are neither expired nor revoked. */
  count(): Promise<number>;
  /** Pushed changes of other workers and nodes, and of this one. Returns the unsubscriber. */
  subscribe(listener: (event: SessionEvent) => void): () => void;
  /** When the store last answered anything, milliseconds since the epoch; bounds how long cached sessions may be served alone. */
  readonly lastHeardAtMs: number;
}

/** Idle limit the store applies when it loads or counts; the rest is the session layer's concern. */
export interface SessionLimits {
  readonly idleTimeoutMs: number;
}
