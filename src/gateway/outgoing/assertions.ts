/**
 * The signed assertions of one application: one signature per person, handed out again while it is fresh and renewed
 * behind the requests. Knows no key; only the first request of a person waits for a signature.
 */
import { type AssertedFacts, type AssertionSigner, assertionHeader } from '../../headers/asserted.ts';
import type { Principal } from '../../identity/principal.ts';
import type { Logger } from '../../observability/logger.ts';
import type { View } from '../view.ts';

interface Asserted {
  readonly view: View;
  readonly generation: number;
  readonly servedUntilMs: number;
  /** Moved on when a renewal starts, so that one is under way at a time. */
  renewAtMs: number;
}

/** Pause after a signature that failed. */
const retryMs = 10_000;

export class Assertions {
  readonly #signer: AssertionSigner;
  readonly #logger: Logger;
  readonly #factsOf: (principal: Principal) => AssertedFacts;
  /** By the view without an assertion: what forgets a person's view forgets the assertion with it. */
  readonly #known = new WeakMap<View, Asserted>();
  readonly #signing = new WeakMap<View, Promise<View>>();

  constructor(signer: AssertionSigner, logger: Logger, factsOf: (principal: Principal) => AssertedFacts) {
    this.#signer = signer;
    this.#logger = logger;
    this.#factsOf = factsOf;
  }

  /** Hot path: `bench/forward-auth.ts`. The view with a valid assertion: at once while there is one. */
  complete(view: View, principal: Principal, nowMs: number): View | Promise<View> {
    const known = this.#known.get(view);
    if (known === undefined || nowMs >= known.servedUntilMs || known.generation !== this.#signer.generation) {
      return this.#signing.get(view) ?? this.#sign(view, principal, nowMs);
    }
    if (nowMs >= known.renewAtMs) {
      known.renewAtMs = nowMs + retryMs;
      this.#sign(view, principal, nowMs).catch((error: unknown) => {
        this.#logger.error('assertion.renewal-failed', { error });
      });
    }
    return known.view;
  }

  #sign(view: View, principal: Principal, nowMs: number): Promise<View> {
    const signing = this.#signer
      .sign(principal, this.#factsOf(principal), nowMs)
      .then(({ token, generation, servedUntilMs, renewAtMs }) => {
        const complete = withAssertion(view, token);
        this.#known.set(view, { view: complete, generation, servedUntilMs, renewAtMs });
        return complete;
      })
      .finally(() => this.#signing.delete(view));
    this.#signing.set(view, signing);
    return signing;
  }
}

/** `verdictHeaders` declares the header with an empty value; `upstreamHeaders` lacks it. */
function withAssertion(view: View, token: string): View {
  const verdictHeaders = [...view.verdictHeaders];
  verdictHeaders[verdictHeaders.indexOf(assertionHeader) + 1] = token;
  return {
    holds: view.holds,
    verdictHeaders,
    upstreamHeaders: [...view.upstreamHeaders, assertionHeader, token],
  };
}
