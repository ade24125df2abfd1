/**
 * A session as a worker holds it. Plain fields set in one order, so that all sessions share one hidden class.
 * Only this folder changes it; everybody else reads.
 */
import type { Principal } from '../identity/principal.ts';
import type { SessionKey } from '../state/session-store.ts';

/** Instants are milliseconds since the epoch. */
export class Session {
  readonly key: SessionKey;
  /** Replaced as a whole by a refresh: what is derived from it is remembered by this object, not by the session. */
  principal: Principal;
  readonly authenticatedAtMs: number;
  /** End of the absolute life. */
  readonly expiresAtMs: number;
  lastUsedAtMs: number;
  refreshedAtMs: number;
  /** Not served from then on: the absolute end, or earlier while the provider cannot confirm the person. */
  servedUntilMs: number;
  /** The earliest next attempt to refresh. */
  refreshDueAtMs: number;
  /** When `lastUsedAtMs` was last sent to the store. */
  writtenBackAtMs: number;
  /** Whether a write-back of `lastUsedAtMs` is scheduled. */
  isUseScheduled: boolean;

  constructor(facts: SessionFacts, refreshDueAtMs: number) {
    this.key = facts.key;
    this.principal = facts.principal;
    this.authenticatedAtMs = facts.authenticatedAtMs;
    this.expiresAtMs = facts.expiresAtMs;
    this.lastUsedAtMs = facts.lastUsedAtMs;
    this.refreshedAtMs = facts.refreshedAtMs;
    this.servedUntilMs = facts.expiresAtMs;
    this.refreshDueAtMs = refreshDueAtMs;
    this.writtenBackAtMs = facts.lastUsedAtMs;
    this.isUseScheduled = false;
  }
}

export interface SessionFacts {
  readonly key: SessionKey;
  readonly principal: Principal;
  readonly authenticatedAtMs: number;
  readonly expiresAtMs: number;
  readonly lastUsedAtMs: number;
  readonly refreshedAtMs: number;
}
