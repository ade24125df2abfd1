/** The contract of an authentication provider. Every implementation passes test/contract/provider-contract.ts. */
import type { Credential } from '../identity/credential.ts';
import type { AuthenticationOutcome, RefreshOutcome } from '../identity/outcome.ts';
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
  /** Reads groups and account status of a signed-in person again. Throws like `authenticate`. */
  refresh(principal: Principal, signal: AbortSignal): Promise<RefreshOutcome>;
}
