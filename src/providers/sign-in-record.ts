/** What a sign-in leaves behind: metrics with labels of bounded values, and one audit line. Never a password. */
import { GatewayError } from '../errors.ts';
import type { Credential } from '../identity/credential.ts';
import type { AuthenticationOutcome } from '../identity/outcome.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { describeAccount } from './password-input.ts';

export interface SignInRequest {
  readonly clientAddress: string;
  readonly requestId?: string;
  /** The client went away. */
  readonly signal?: AbortSignal;
}

export class SignInRecord {
  readonly #logger: Logger;
  readonly #metrics: Metrics;

  constructor(logger: Logger, metrics: Metrics) {
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** `provider`: a configured name, or `any`. */
  judged(provider: string, outcome: AuthenticationOutcome, seconds: number): void {
    const reason = outcome.kind === 'rejected' ? outcome.reason : 'none';
    this.#count({ provider, outcome: outcome.kind, reason }, seconds);
  }

  failed(provider: string, error: unknown, seconds: number): void {
    const isThrottled = error instanceof GatewayError && error.code === 'THROTTLED';
    this.#count({ provider, outcome: isThrottled ? 'throttled' : 'error', reason: reasonOf(error) }, seconds);
  }

  accepted(credential: Credential, request: SignInRequest, provider: string, subject: string): void {
    this.#logger.audit('sign-in.accepted', { ...describe(credential, request, provider), subject });
  }

  refused(credential: Credential, request: SignInRequest, provider: string, reason: string): void {
    this.#logger.audit('sign-in.refused', { ...describe(credential, request, provider), reason });
  }

  #count(labels: { provider: string; outcome: string; reason: string }, seconds: number): void {
    this.#metrics.authentications.cell(labels).count++;
    this.#metrics.authenticationDuration.cell(labels).observe(seconds);
  }
}

/** Bounded: `provider-unavailable`, `throttled`, … */
export function reasonOf(error: unknown): string {
  return error instanceof GatewayError ? error.code.toLowerCase().replaceAll('_', '-') : 'defect';
}

function describe(
  credential: Credential,
  { clientAddress, requestId }: SignInRequest,
  provider: string,
): Readonly<Record<string, string>> {
  return {
    // A token names nobody until a provider has read it.
    ...(credential.kind === 'password' ? { account: describeAccount(credential.username) } : {}),
    provider,
    clientAddress,
    ...(requestId === undefined ? {} : { requestId }),
  };
}
