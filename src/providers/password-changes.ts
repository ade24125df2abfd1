/**
 * Changes of passwords on the sign-in page: throttled, answered and recorded like the sign-ins they are, because each of
 * them tries an old password. Knows no HTTP; what a new password must be like is for the directory to say.
 */
import { GatewayError } from '../errors.ts';
import type { PasswordChangeOutcome } from '../identity/outcome.ts';
import { Deadline } from '../lib/deadline.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { AccountRouting } from './account-routing.ts';
import { type RefusalFloor, refusalFloor, signInDeadlineMs, untilFloor } from './chain.ts';
import { describeAccount, isAcceptableInput } from './password-input.ts';
import type { PasswordChange, Provider } from './provider.ts';
import { reasonOf, type SignInRequest } from './sign-in-record.ts';
import type { Throttle, ThrottledAttempt } from './throttle.ts';

export interface PasswordChangesOptions {
  readonly providers: readonly Provider[];
  readonly throttle: Throttle;
  /** Default: no name says where it belongs. */
  readonly routing?: AccountRouting;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default `refusalFloor`; tests shorten it. */
  readonly refusalFloor?: RefusalFloor;
}

/** As the form sent it. */
export interface PasswordForm extends PasswordChange {
  readonly provider: string | undefined;
  /** The new password once more. */
  readonly again: string;
}

/** A provider that changes passwords. */
type Changer = Provider & Required<Pick<Provider, 'changePassword'>>;

export class PasswordChanges {
  readonly #options: PasswordChangesOptions;
  readonly #floor: RefusalFloor;
  readonly #byName: ReadonlyMap<string, Changer>;

  constructor(options: PasswordChangesOptions) {
    this.#options = options;
    this.#floor = options.refusalFloor ?? refusalFloor;
    this.#byName = new Map(options.providers.filter(isChanger).map((provider) => [provider.name, provider]));
  }

  /**
   * `rejected` looks the same, and takes as long, for an unknown account, a wrong password and a provider that changes
   * nothing. Throws as `SignInChain.authenticate` does.
   */
  async change(form: PasswordForm, request: SignInRequest): Promise<PasswordChangeOutcome> {
    const startedAt = performance.now();
    const mistake = mistakeIn(form);
    if (mistake !== undefined) {
      this.#count(form, mistake.kind, mistake.reason);
      return mistake;
    }
    try {
      const outcome = await this.#attempt(form, request);
      const reason = outcome.kind === 'changed' ? 'none' : outcome.reason;
      this.#count(form, outcome.kind, reason);
      this.#audit(form, request, outcome.kind === 'changed' ? undefined : reason);
      if (outcome.kind === 'rejected') await untilFloor(this.#floor, startedAt);
      return outcome;
    } catch (error) {
      const isThrottled = error instanceof GatewayError && error.code === 'THROTTLED';
      this.#count(form, isThrottled ? 'throttled' : 'error', reasonOf(error));
      this.#audit(form, request, reasonOf(error));
      throw error;
    }
  }

  async #attempt(form: PasswordForm, request: SignInRequest): Promise<PasswordChangeOutcome> {
    const expiry = AbortSignal.timeout(signInDeadlineMs);
    const signal = request.signal === undefined ? expiry : AbortSignal.any([expiry, request.signal]);
    const { throttle, routing = new AccountRouting() } = this.#options;
    const account = routing.accountAt(form.provider ?? '', form.username);
    const throttled = await throttle.begin(
      { provider: this.#labelOf(form), account },
      request.clientAddress,
      signal,
    );
    const provider = form.provider === undefined ? undefined : this.#byName.get(form.provider);
    const isElsewhere = routing.owners(form.username)?.has(form.provider ?? '') === false;
    // Malformed input is sent nowhere, and it costs a failure like any other guess.
    if (provider === undefined || isElsewhere || !isAcceptableInput(form.username, form.passwords.old)) {
      await throttled.failed();
      return { kind: 'rejected', reason: 'credentials-malformed' };
    }
    const outcome = await ask(provider, form, { request, throttled, signal });
    if (outcome.kind === 'changed') await throttled.succeeded(provider.name);
    else if (outcome.kind === 'refused') await throttled.released();
    else await throttled.failed();
    return outcome;
  }

  #count(form: PasswordForm, outcome: string, reason: string): void {
    this.#options.metrics.passwordChanges.inc({ provider: this.#labelOf(form), outcome, reason });
  }

  /** `reason`: why it was not accepted. */
  #audit(form: PasswordForm, { clientAddress, requestId }: SignInRequest, reason: string | undefined): void {
    const facts = {
      account: describeAccount(form.username),
      provider: this.#labelOf(form),
      clientAddress,
      ...(requestId === undefined ? {} : { requestId }),
    };
    if (reason === undefined) this.#options.logger.audit('password-change.accepted', facts);
    else this.#options.logger.audit('password-change.refused', { ...facts, reason });
  }

  /** A label of bounded values: the name as the form sent it would not be. */
  #labelOf({ provider }: PasswordForm): string {
    return provider !== undefined && this.#byName.has(provider) ? provider : 'any';
  }
}

function isChanger(provider: Provider): provider is Changer {
  return provider.changePassword !== undefined;
}

/** What can be said without asking anybody, and without telling anything about the old password. */
function mistakeIn({ username, passwords, again }: PasswordForm) {
  const fresh = passwords.new.reveal();
  if (fresh !== again) return { kind: 'refused', reason: 'mismatch' } as const;
  if (!isAcceptableInput(username, passwords.new)) return { kind: 'refused', reason: 'malformed' } as const;
  if (fresh === passwords.old.reveal()) return { kind: 'refused', reason: 'same' } as const;
  return undefined;
}

async function ask(
  provider: Changer,
  { username, passwords }: PasswordForm,
  context: {
    readonly request: SignInRequest;
    readonly throttled: ThrottledAttempt;
    readonly signal: AbortSignal;
  },
): Promise<PasswordChangeOutcome> {
  const { request, throttled, signal } = context;
  const attempt = {
    clientAddress: request.clientAddress,
    signal,
    admit: async (account: string) => await throttled.admit({ provider: provider.name, account }),
  };
  try {
    const changing = provider.changePassword({ username, passwords }, attempt);
    return await new Deadline(signInDeadlineMs, signal).race(
      changing,
      (cause) =>
        new GatewayError('PROVIDER_UNAVAILABLE', 'the provider did not answer in time', {
          ...(cause === undefined ? {} : { cause }),
          fields: { provider: provider.name },
          retryAfterSeconds: 5,
        }),
    );
  } catch (error) {
    // Hanging up early must not make guessing free.
    await (request.signal?.aborted === true ? throttled.failed() : throttled.released());
    throw error;
  }
}
