/**
 * Which credentials that programs send with every request were refused lately, and which one is being tried right now:
 * one trial for all workers, so that a stale password in a telephone costs one failure and not one per worker and
 * request. Knows fingerprints, never a credential.
 */
import type { Clock } from '../lib/clock.ts';

export type TrialStart =
  /** The caller tries it, and says by `endTrial` how it went. */
  | { readonly kind: 'try' }
  /** Refused lately: not tried again for so long. */
  | { readonly kind: 'refused'; readonly forMs: number }
  /** Somebody else is trying it: ask again shortly. */
  | { readonly kind: 'busy' };

export type TrialEnd = 'accepted' | 'refused' | 'undecided';

/** Throws GatewayError SESSION_STORE_UNAVAILABLE when the primary cannot be reached. */
export interface CredentialTrials {
  /** The key of fingerprints, made anew at every start: what is remembered is worth nothing elsewhere. */
  trialKey(): Promise<Uint8Array>;
  beginTrial(fingerprint: string): Promise<TrialStart>;
  endTrial(fingerprint: string, end: TrialEnd): Promise<void>;
}

/**
 * Doubled with every further refusal of the same credential: with any throttle of five failures in five minutes one
 * that is repeated for ever never locks the account.
 */
export const firstRefusalMs = 60_000;
const longestRefusalMs = 480_000;
/** A worker that died while it tried does not block the credential for longer. */
const trialLeaseMs = 10_000;
const maxRemembered = 20_000;

interface Trial {
  readonly refusals: number;
  readonly refusedUntilMs: number;
  readonly tryingUntilMs: number;
}

export class CredentialTrialLedger {
  readonly #clock: Clock;
  /** In order of the last change: the oldest is forgotten first. */
  readonly #trials = new Map<string, Trial>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(fingerprint: string): TrialStart {
    const nowMs = this.#clock.now();
    const { refusals = 0, refusedUntilMs = 0, tryingUntilMs = 0 } = this.#trials.get(fingerprint) ?? {};
    if (nowMs < refusedUntilMs) return { kind: 'refused', forMs: refusedUntilMs - nowMs };
    if (nowMs < tryingUntilMs) return { kind: 'busy' };
    // Long quiet after a refusal: whoever comes now starts anew.
    const remembered = nowMs < refusedUntilMs + longestRefusalMs ? refusals : 0;
    this.#set(fingerprint, { refusals: remembered, refusedUntilMs, tryingUntilMs: nowMs + trialLeaseMs });
    return { kind: 'try' };
  }

  end(fingerprint: string, end: TrialEnd): void {
    if (end === 'accepted') {
      this.#trials.delete(fingerprint);
      return;
    }
    const known = this.#trials.get(fingerprint);
    if (end === 'undecided') {
      if (known === undefined || known.refusals === 0) this.#trials.delete(fingerprint);
      else this.#set(fingerprint, { ...known, tryingUntilMs: 0 });
      return;
    }
    const refusals = (known?.refusals ?? 0) + 1;
    const forMs = Math.min(firstRefusalMs * 2 ** (refusals - 1), longestRefusalMs);
    this.#set(fingerprint, { refusals, refusedUntilMs: this.#clock.now() + forMs, tryingUntilMs: 0 });
  }

  #set(fingerprint: string, trial: Trial): void {
    this.#trials.delete(fingerprint);
    this.#trials.set(fingerprint, trial);
    if (this.#trials.size <= maxRemembered) return;
    const [oldest] = this.#trials.keys();
    if (oldest !== undefined) this.#trials.delete(oldest);
  }
}
