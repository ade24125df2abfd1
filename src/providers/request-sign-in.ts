/**
 * Sign-in of programs that send their password with every request: tried once, then remembered for a while by a keyed
 * hash. Right ones for at most a minute in this worker, wrong ones in all workers, so that a stale password neither
 * locks its account nor costs a bind per request.
 */
import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../errors.ts';
import { foldAccount } from '../identity/account-name.ts';
import type { PasswordCredential } from '../identity/credential.ts';
import type { Principal } from '../identity/principal.ts';
import type { Clock } from '../lib/clock.ts';
import { SingleFlight } from '../lib/single-flight.ts';
import type { SignInChain } from './chain.ts';
import type { SignInRequest } from './sign-in-record.ts';

/** The shared memory of refusals, as far as it is used here. */
export interface Trials {
  trialKey(): Promise<Uint8Array>;
  beginTrial(
    fingerprint: string,
  ): Promise<
    | { readonly kind: 'try' }
    | { readonly kind: 'refused'; readonly forMs: number }
    | { readonly kind: 'busy' }
  >;
  endTrial(fingerprint: string, end: 'accepted' | 'refused' | 'undecided'): Promise<void>;
}

export interface RequestSignInOptions {
  readonly chain: Pick<SignInChain, 'authenticate'>;
  readonly grantRoles: (principal: Principal) => Principal;
  readonly trials: Trials;
  readonly clock: Clock;
}

/** What is known of a credential. Instants are milliseconds since the epoch. */
export interface RememberedSignIn {
  /** `undefined`: refused. */
  readonly principal: Principal | undefined;
  readonly servedUntilMs: number;
  /** As sessions have it; a remembered sign-in is not refreshed, it ends. */
  readonly refreshDueAtMs: number;
}

/** How long a right password is not tried again: as long as a changed password or a disabled account may go unnoticed. */
export const rememberedForMs = 60_000;
const maxRemembered = 10_000;
/** How long one request waits for another that tries the same credential, in another worker. */
const maxWaitMs = 9_000;
const waitPauseMs = 40;

export class RequestSignIn {
  readonly #options: RequestSignInOptions;
  /**
   * Of this process alone: what is remembered cannot be looked up by anybody else. A key object: node:crypto would
   * otherwise make one for each request, 20 µs instead of 3.
   */
  readonly #key = createSecretKey(randomBytes(32));
  readonly #known = new LRUCache<string, RememberedSignIn>({ max: maxRemembered });
  readonly #flights = new SingleFlight<RememberedSignIn>();
  #trialKey: Promise<KeyObject> | undefined;

  constructor(options: RequestSignInOptions) {
    this.#options = options;
  }

  /**
   * The person whose password stands in an `Authorization` field, or a remembered refusal: at once when it was tried
   * lately. `read` takes the field apart when it has to be. Rejects as the sign-in chain does.
   */
  signIn(
    authorization: string,
    read: () => PasswordCredential | undefined,
    request: SignInRequest,
  ): RememberedSignIn | Promise<RememberedSignIn> {
    const nowMs = this.#options.clock.now();
    const fingerprint = fingerprintOf(this.#key, authorization);
    const known = this.#known.get(fingerprint);
    if (known !== undefined && nowMs < known.servedUntilMs) return known;
    // A malformed field is no guess: nobody is asked, nothing is counted, and it is cheap to refuse again.
    const credential = read();
    if (credential === undefined)
      return { principal: undefined, servedUntilMs: nowMs, refreshDueAtMs: nowMs };
    return this.#flights.run(fingerprint, async () => {
      const result = await this.#attempt(credential, request);
      this.#known.set(fingerprint, result);
      return result;
    });
  }

  async #attempt(credential: PasswordCredential, request: SignInRequest): Promise<RememberedSignIn> {
    const { trials, chain, grantRoles } = this.#options;
    const shared = await this.#sharedFingerprint(credential);
    const refusedForMs = await this.#awaitTurn(shared);
    if (refusedForMs > 0) return this.#remember(undefined, refusedForMs);
    let end: 'accepted' | 'refused' | 'undecided' = 'undecided';
    try {
      const outcome = await chain.authenticate(credential, request);
      if (outcome.kind === 'authenticated') {
        end = 'accepted';
        return this.#remember(grantRoles(outcome.principal), rememberedForMs);
      }
      // A challenge answers another scheme than this one: here it is no.
      end = 'refused';
      return this.#remember(undefined, 0);
    } finally {
      await trials.endTrial(shared, end);
    }
  }

  /** 0: this request may try; otherwise for how long the credential stays refused. */
  async #awaitTurn(shared: string): Promise<number> {
    const endAt = performance.now() + maxWaitMs;
    for (;;) {
      const start = await this.#options.trials.beginTrial(shared);
      if (start.kind === 'try') return 0;
      if (start.kind === 'refused') return start.forMs;
      if (performance.now() >= endAt) {
        throw new GatewayError('PROVIDER_UNAVAILABLE', 'the same credential is still being tried elsewhere', {
          retryAfterSeconds: 1,
        });
      }
      await sleep(waitPauseMs);
    }
  }

  #remember(principal: Principal | undefined, forMs: number): RememberedSignIn {
    const untilMs = this.#options.clock.now() + Math.min(forMs, rememberedForMs);
    return { principal, servedUntilMs: untilMs, refreshDueAtMs: untilMs };
  }

  /** One for every spelling of the account, in every worker. */
  async #sharedFingerprint({ username, password }: PasswordCredential): Promise<string> {
    this.#trialKey ??= this.#options.trials.trialKey().then((key) => createSecretKey(key));
    try {
      return fingerprintOf(await this.#trialKey, `${foldAccount(username)}\0${password.reveal()}`);
    } catch (error) {
      // The next request asks again.
      this.#trialKey = undefined;
      throw error;
    }
  }
}

function fingerprintOf(key: KeyObject, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url');
}
