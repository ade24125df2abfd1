/**
 * Reads groups and account status of signed-in people again, in the background: once per person and worker, once per
 * session and lease across workers. A request starts it and never waits for it.
 */
import { GatewayError } from '../errors.ts';
import type { RefreshOutcome } from '../identity/outcome.ts';
import type { Principal } from '../identity/principal.ts';
import type { Clock } from '../lib/clock.ts';
import { SingleFlight } from '../lib/single-flight.ts';
import type { Logger } from '../observability/logger.ts';
import type { SessionStore, StoredSession } from '../state/session-store.ts';
import { toStoredPrincipal } from './codec.ts';
import type { Session } from './session.ts';

/** Asks the provider again, role mapping included. Throws GatewayError when it cannot tell. */
export type Refresher = (principal: Principal, signal: AbortSignal) => Promise<RefreshOutcome>;

export interface RefreshOptions {
  readonly store: SessionStore;
  readonly refresher: Refresher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  /** How long, counted from the last confirmation, a person is served whom the provider cannot confirm. */
  readonly unconfirmedForMs: (principal: Principal) => number;
  /** The person may no longer be signed in. */
  readonly onEnded: (session: Session, reason: string) => Promise<void>;
  readonly onNewer: (session: Session, stored: StoredSession) => void;
}

/** Pause after a refresh that could not be made, and the store's lease: no second worker tries meanwhile. */
const backOffMs = 30_000;
const deadlineMs = 20_000;
/** More people than that at once only queue in the directory's pool; they come with a later request. */
const maxInFlight = 64;
const logPauseMs = 30_000;

export class Refresh {
  readonly #options: RefreshOptions;
  readonly #people = new SingleFlight<RefreshOutcome>();
  readonly #loggedAtMs = new Map<string, number>();
  readonly #stopped = new AbortController();
  #inFlight = 0;

  constructor(options: RefreshOptions) {
    this.#options = options;
  }

  /** Starts a refresh that is due. Never throws, never waits. */
  start(session: Session, nowMs: number): void {
    if (this.#inFlight >= maxInFlight || this.#stopped.signal.aborted) return;
    session.refreshDueAtMs = nowMs + backOffMs + Math.random() * 5_000;
    this.#inFlight++;
    this.#run(session)
      .catch((error: unknown) => this.#failed(session, error))
      .finally(() => {
        this.#inFlight--;
      });
  }

  /** Ends every wait; sessions keep what they have. */
  stop(): void {
    this.#stopped.abort();
  }

  async #run(session: Session): Promise<void> {
    const { store, refresher, clock, intervalMs, onEnded, onNewer } = this.#options;
    const claim = await store.claimRefresh(session.key, session.refreshedAtMs);
    // Somebody else asks; the answer is pushed to this worker, or the lease ends before the next attempt here.
    if (claim === 'taken') return;
    if (claim !== 'granted') {
      onNewer(session, claim);
      return;
    }
    const { principal } = session;
    const outcome = await this.#people.run(
      `${principal.provider}\0${principal.subject}`,
      async () =>
        await refresher(principal, AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(deadlineMs)])),
    );
    if (outcome.kind === 'ended') {
      await onEnded(session, outcome.reason);
      return;
    }
    // The provider's own source is away but its last answer still counts: served on, asked again after the pause.
    session.servedUntilMs = session.expiresAtMs;
    if (outcome.stale) return;
    const refreshedAtMs = clock.now();
    session.principal = outcome.principal;
    session.refreshedAtMs = refreshedAtMs;
    session.refreshDueAtMs = refreshedAtMs + intervalMs;
    await store.refreshed(session.key, toStoredPrincipal(outcome.principal), refreshedAtMs);
  }

  #failed(session: Session, error: unknown): void {
    if (this.#stopped.signal.aborted) return;
    const { clock, logger, unconfirmedForMs } = this.#options;
    const nowMs = clock.now();
    const isProviderAway = error instanceof GatewayError && error.code !== 'SESSION_STORE_UNAVAILABLE';
    if (isProviderAway) {
      session.servedUntilMs = Math.min(
        session.expiresAtMs,
        session.refreshedAtMs + unconfirmedForMs(session.principal),
      );
    }
    const { provider } = session.principal;
    // One line per provider and pause: an outage is one event, not one per session.
    if (nowMs - (this.#loggedAtMs.get(provider) ?? 0) < logPauseMs) return;
    this.#loggedAtMs.set(provider, nowMs);
    const level = error instanceof GatewayError ? 'warn' : 'error';
    logger[level]('session.refresh-failed', { provider, error });
  }
}
