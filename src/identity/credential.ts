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

export type Credential = PasswordCredential;
