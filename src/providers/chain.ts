/**
 * Asks the providers in configured order and answers once, the same way for every refusal: after the same time, and
 * with the reason only in the log. Knows no HTTP and no session.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../errors.ts';
import type { Credential } from '../identity/credential.ts';
import type { AuthenticationOutcome, RefreshOutcome, RejectionReason } from '../identity/outcome.ts';
import type { Principal } from '../identity/principal.ts';
import type { Clock } from '../lib/clock.ts';
import { Deadline } from '../lib/deadline.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { AccountRouting } from './account-routing.ts';
import { isAcceptableCredential } from './password-input.ts';
import type { Attempt, Provider } from './provider.ts';
import { reasonOf, SignInRecord, type SignInRequest } from './sign-in-record.ts';
import type { Throttle, ThrottledAccount, ThrottledAttempt } from './throttle.ts';

/** No refusal is answered earlier than a random instant in this range, counted from the start of the attempt. */
export interface RefusalFloor {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Above the time of a bind with a slow password hash, so that an unknown account cannot be told from a wrong password. */
export const refusalFloor: RefusalFloor = { minMs: 400, maxMs: 600 };
export const signInDeadlineMs = 8_000;

/** `startedAt`: of the attempt, on the clock of `performance`. */
export async function untilFloor({ minMs, maxMs }: RefusalFloor, startedAt: number): Promise<void> {
  const leftMs = startedAt + minMs + Math.random() * (maxMs - minMs) - performance.now();
  if (leftMs > 0) await sleep(leftMs);
}

export interface SignInChainOptions {
  readonly providers: readonly Provider[];
  readonly throttle: Throttle;
  /** Default: no name says where it belongs. */
  readonly routing?: AccountRouting;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default `refusalFloor`; tests shorten it. */
  readonly refusalFloor?: RefusalFloor;
  /** Default `signInDeadlineMs`. */
  readonly deadlineMs?: number;
}

export type SignInOutcome = Exclude<AuthenticationOutcome, { kind: 'not-applicable' }>;

export interface SignInChain {
  /**
   * Throws GatewayError THROTTLED, PROVIDER_UNAVAILABLE (also at the deadline), PROVIDER_PROTOCOL,
   * PROVIDER_MISCONFIGURED, SESSION_STORE_UNAVAILABLE.
   */
  authenticate(credential: Credential, request: SignInRequest): Promise<SignInOutcome>;
  /** Asks the person's own provider again. Throws as it does. */
  refresh(principal: Principal, signal: AbortSignal): Promise<RefreshOutcome>;
}

export function createSignInChain(options: SignInChainOptions): SignInChain {
  return new OrderedChain(options);
}

interface Verdict {
  readonly outcome: SignInOutcome;
  /** Who said so; `any`: nobody was asked. */
  readonly provider: string;
  /** A provider that could not judge, while no other one accepted the credential. */
  readonly outage: GatewayError | undefined;
}

class OrderedChain implements SignInChain {
  readonly #options: SignInChainOptions;
  readonly #byName: ReadonlyMap<string, Provider>;
  readonly #routing: AccountRouting;
  readonly #record: SignInRecord;
  readonly #floor: RefusalFloor;
  readonly #deadlineMs: number;

  constructor(options: SignInChainOptions) {
    this.#options = options;
    this.#byName = new Map(options.providers.map((provider) => [provider.name, provider]));
    this.#routing = options.routing ?? new AccountRouting();
    this.#record = new SignInRecord(options.logger, options.metrics);
    this.#floor = options.refusalFloor ?? refusalFloor;
    this.#deadlineMs = options.deadlineMs ?? signInDeadlineMs;
  }

  async authenticate(credential: Credential, request: SignInRequest): Promise<SignInOutcome> {
    const startedAt = performance.now();
    // AbortSignal.timeout would keep its timer until the deadline, thousands of them where tickets come in.
    const expiry = new AbortController();
    const timer = setTimeout(() => expiry.abort(timeOver()), this.#deadlineMs).unref();
    const signal =
      request.signal === undefined ? expiry.signal : AbortSignal.any([expiry.signal, request.signal]);
    try {
      return await this.#attempt(credential, request, signal, startedAt);
    } finally {
      clearTimeout(timer);
    }
  }

  async #attempt(
    credential: Credential,
    request: SignInRequest,
    signal: AbortSignal,
    startedAt: number,
  ): Promise<SignInOutcome> {
    const throttled = await this.#admit(credential, request, signal);
    try {
      const verdict = await this.#judge(credential, request, throttled, signal);
      const { outcome, provider, outage } = verdict;
      await settle(throttled, verdict, request);
      if (outage !== undefined) throw outage;
      if (outcome.kind === 'authenticated') {
        this.#record.accepted(credential, request, provider, outcome.principal.subject);
      } else if (outcome.kind === 'rejected') {
        this.#record.refused(credential, request, provider, outcome.reason);
        // A token names nobody who could be told from nobody: only guesses wait.
        if (isGuess(credential)) await untilFloor(this.#floor, startedAt);
      }
      return outcome;
    } catch (error) {
      this.#record.refused(credential, request, this.#labelOf(credential), reasonOf(error));
      throw error;
    }
  }

  async refresh(principal: Principal, signal: AbortSignal): Promise<RefreshOutcome> {
    const provider = this.#byName.get(principal.provider);
    // Taken out of the configuration: nobody vouches for the person any more.
    if (provider === undefined) return { kind: 'ended', reason: 'sign-in-not-permitted' };
    return await provider.refresh(principal, signal);
  }

  async #admit(
    credential: Credential,
    request: SignInRequest,
    signal: AbortSignal,
  ): Promise<ThrottledAttempt> {
    if (!isGuess(credential)) return unthrottled;
    try {
      const [first] = this.#candidates(credential);
      const account = this.#accountAt(first?.name ?? 'any', credential);
      return await this.#options.throttle.begin(account, request.clientAddress, signal);
    } catch (error) {
      const provider = this.#labelOf(credential);
      this.#record.failed(provider, error, 0);
      this.#record.refused(credential, request, provider, reasonOf(error));
      throw error;
    }
  }

  async #judge(
    credential: Credential,
    request: SignInRequest,
    throttled: ThrottledAttempt,
    signal: AbortSignal,
  ): Promise<Verdict> {
    let verdict: Verdict = malformed(this.#labelOf(credential));
    // Malformed input is sent nowhere, and it costs a failure like any other guess.
    if (!isAcceptableCredential(credential)) {
      this.#record.judged(verdict.provider, verdict.outcome, 0);
      return verdict;
    }
    const deadline = new Deadline(this.#deadlineMs, signal);
    let isTimeOver = false;
    const onEnd = (provider: string, reason: unknown): GatewayError => {
      isTimeOver = true;
      return toTimeout(provider, reason);
    };
    for (const provider of this.#candidates(credential)) {
      const attempt: Attempt = {
        clientAddress: request.clientAddress,
        signal,
        admit: async (account) => await throttled.admit({ provider: provider.name, account }),
      };
      try {
        const account = this.#accountAt(provider.name, credential);
        if (account !== undefined) await throttled.admit(account);
        const outcome = await this.#ask(
          provider.name,
          async () =>
            await deadline.race(provider.authenticate(meantFor(provider, credential), attempt), (reason) =>
              onEnd(provider.name, reason),
            ),
        );
        if (outcome.kind === 'not-applicable') continue;
        const { outage } = verdict;
        verdict = { outcome, provider: provider.name, outage };
        if (outcome.kind !== 'rejected' || outcome.passwordChange !== undefined) {
          return { ...verdict, outage: undefined };
        }
        if (!isAnothersConcern(outcome.reason)) return verdict;
      } catch (error) {
        if (!isOutage(error)) {
          await throttled.released();
          throw error;
        }
        // Another provider may know the person; if none accepts, this is the answer.
        verdict = { ...verdict, outage: verdict.outage ?? error };
        if (isTimeOver) return verdict;
      }
    }
    return verdict;
  }

  async #ask(
    provider: string,
    authenticate: () => Promise<AuthenticationOutcome>,
  ): Promise<AuthenticationOutcome> {
    const startedAt = performance.now();
    const seconds = (): number => (performance.now() - startedAt) / 1_000;
    try {
      const outcome = await authenticate();
      if (outcome.kind !== 'not-applicable') this.#record.judged(provider, outcome, seconds());
      return outcome;
    } catch (error) {
      this.#record.failed(provider, error, seconds());
      throw error;
    }
  }

  /**
   * A chosen provider alone; one that is not configured: none. An account name that says where it belongs goes before
   * the choice, as at the sign-in of Windows, and nowhere else.
   */
  #candidates(credential: Credential): readonly Provider[] {
    const { providers } = this.#options;
    const chosen = credential.provider;
    if (chosen !== undefined && !this.#byName.has(chosen)) return [];
    const owners = credential.kind === 'password' ? this.#routing.owners(credential.username) : undefined;
    const possible = owners === undefined ? providers : providers.filter(({ name }) => owners.has(name));
    const isChosenPossible = possible.some(({ name }) => name === chosen);
    return isChosenPossible ? possible.filter(({ name }) => name === chosen) : possible;
  }

  #accountAt(provider: string, credential: Credential): ThrottledAccount | undefined {
    if (credential.kind !== 'password') return undefined;
    return { provider, account: this.#routing.accountAt(provider, credential.username) };
  }

  /** A label of bounded values: the name as the form sent it would not be. */
  #labelOf({ provider }: Credential): string {
    return provider !== undefined && this.#byName.has(provider) ? provider : 'any';
  }
}

/**
 * A ticket cannot be guessed. Machines that have none send useless tokens by themselves, and the budget of an address
 * that many of them share is for the passwords of people.
 */
function isGuess({ kind }: Credential): boolean {
  return kind !== 'negotiate';
}

/** The choice on the page, unless the name has decided otherwise. */
function meantFor({ name }: Provider, credential: Credential): Credential {
  return credential.provider === undefined ? credential : { ...credential, provider: name };
}

const unthrottled: ThrottledAttempt = {
  admit: async () => {},
  succeeded: async () => {},
  failed: async () => {},
  released: async () => {},
};

/** Another provider may know the account, or hold the key that the ticket is for. */
function isAnothersConcern(reason: RejectionReason): boolean {
  return reason === 'unknown-account' || reason === 'spn-mismatch';
}

function timeOver(): DOMException {
  return new DOMException('the deadline of the sign-in is over', 'TimeoutError');
}

function malformed(provider: string): Verdict {
  return { outcome: { kind: 'rejected', reason: 'credentials-malformed' }, provider, outage: undefined };
}

async function settle(
  throttled: ThrottledAttempt,
  { outcome, provider, outage }: Verdict,
  { signal }: SignInRequest,
): Promise<void> {
  if (outage !== undefined) {
    // Neither an outage elsewhere nor hanging up early may make guessing free.
    const isCounted = outcome.kind === 'rejected' && freeReasons.every((reason) => reason !== outcome.reason);
    await (isCounted || signal?.aborted === true ? throttled.failed() : throttled.released());
  } else if (outcome.kind === 'authenticated') {
    await throttled.succeeded(provider);
  } else {
    // A right password that has to be changed is no guess.
    const isWrong = outcome.kind === 'rejected' && outcome.passwordChange === undefined;
    await (isWrong ? throttled.failed() : throttled.released());
  }
}

/** What a verdict says when the provider that is away was the one that mattered. */
const freeReasons = ['credentials-malformed', 'unknown-account'] as const;

/** "Cannot tell" of one provider, as opposed to the throttle's refusal, the store's outage or a defect. */
function isOutage(error: unknown): error is GatewayError {
  return error instanceof GatewayError && error.code.startsWith('PROVIDER_');
}

function toTimeout(provider: string, cause: unknown): GatewayError {
  return new GatewayError('PROVIDER_UNAVAILABLE', 'the provider did not answer in time', {
    ...(cause === undefined ? {} : { cause }),
    fields: { provider },
    retryAfterSeconds: 5,
  });
}
