/** What a client presents to prove who it is. */
import type { Secret } from '../lib/secret.ts';

export interface PasswordCredential {
  readonly kind: 'password';
  /** As typed, not yet normalised. */
  readonly username: string;
  readonly password: Secret;
  /** The provider chosen on the sign-in page; `undefined`: every password provider in configured order. */
  readonly provider: string | undefined;
}

/** The new password and, as proof of who wants it, the old one. */
export interface PasswordPair {
  readonly old: Secret;
  readonly new: Secret;
}

/** RFC 6750: whoever holds it may use it. A provider that does not take tokens answers `not-applicable`. */
export interface BearerCredential {
  readonly kind: 'bearer';
  readonly token: Secret;
  readonly provider: string | undefined;
}

/** RFC 4559: the token of an `Authorization: Negotiate` field. */
export interface NegotiateCredential {
  readonly kind: 'negotiate';
  /** Base64 as it came, neither decoded nor checked. */
  readonly token: Secret;
  readonly provider: string | undefined;
}

export type Credential = PasswordCredential | BearerCredential | NegotiateCredential;
