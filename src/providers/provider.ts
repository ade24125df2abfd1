/** The contract of an authentication provider. Every implementation passes test/contract/provider-contract.ts. */
import type { Credential, PasswordPair } from '../identity/credential.ts';
import type { AuthenticationOutcome, PasswordChangeOutcome, RefreshOutcome } from '../identity/outcome.ts';
import type { Principal } from '../identity/principal.ts';

/** One attempt to sign in, with what a provider needs besides the credential. */
export interface Attempt {
  readonly clientAddress: string;
  /** Ends every wait of the provider. */
  readonly signal: AbortSignal;
  /**
   * Counts this attempt against the account in its canonical spelling, so that many spellings share one budget.
   * Called once the account is known and before the password is tried. Throws GatewayError THROTTLED.
   */
  admit(canonicalAccount: string): Promise<void>;
}

/** As typed into the form for it. */
export interface PasswordChange {
  readonly username: string;
  readonly passwords: PasswordPair;
}

/**
 * Turns a credential into a principal.
 * `not-applicable`: not my credential, ask the next provider. `rejected`: mine and wrong, stop.
 * Inability to judge is thrown as GatewayError (PROVIDER_UNAVAILABLE, PROVIDER_PROTOCOL, PROVIDER_MISCONFIGURED), so
 * an outage never reads as a wrong password.
 */
export interface Provider extends AsyncDisposable {
  readonly name: string;
  readonly type: string;
  /** Shown on the sign-in page. */
  readonly title: string;
  authenticate(credential: Credential, attempt: Attempt): Promise<AuthenticationOutcome>;
  /**
   * For a provider whose rejections may carry `passwordChange`. Proves the old password like `authenticate`, and admits
   * the attempt like it. Throws like it.
   */
  changePassword?(change: PasswordChange, attempt: Attempt): Promise<PasswordChangeOutcome>;
  /** Reads groups and account status of a signed-in person again. Throws like `authenticate`. */
  refresh(principal: Principal, signal: AbortSignal): Promise<RefreshOutcome>;
}
