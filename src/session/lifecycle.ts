/**
 * The life of a session in a worker: served from memory, loaded, issued, ended, refreshed.
 * Knows no HTTP; a store that cannot answer is an error here, never "not signed in".
 */
import { GatewayError } from '../errors.ts';
import type { GroupTable } from '../identity/group.ts';
import type { Principal } from '../identity/principal.ts';
import type { Clock } from '../lib/clock.ts';
import { SingleFlight } from '../lib/single-flight.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { SessionEvent, SessionKey, SessionStore, StoredSession } from '../state/session-store.ts';
import { SessionCache } from './cache.ts';
import { SessionDecoder, toStoredPrincipal, toStoredSession } from './codec.ts';
import { Refresh, type Refresher } from './refresh.ts';
import { Refusals } from './refusals.ts';
import { Session } from './session.ts';
import { createTicket, isTicket, toSessionKey } from './ticket.ts';
import { UseLog } from './use-log.ts';

export interface SessionLifecycleOptions {
  readonly store: SessionStore;
  /** Shared with the directories, so that a group is one object in the whole worker. */
  readonly groups: GroupTable;
  readonly refresher: Refresher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly idleTimeoutMs: number;
  readonly absoluteTimeoutMs: number;
  readonly refreshIntervalMs: number;
  /** How long sessions in memory are served while the store is silent. Default 60 s; 0: not at all. */
  readonly staleForMs?: number;
  /** How long after the last confirmation a person is served whose provider is away. Default: until the session ends. */
  readonly unconfirmedForMs?: (principal: Principal) => number;
  /** Default 120,000. */
  readonly maxCachedSessions?: number;
}

const housekeepingMs = 1_000;
const maxWriteBackMs = 60_000;
/** Clocks of nodes may differ by this much; a session born later than that is a fault or a trick. */
const clockLeewayMs = 60_000;

export class SessionLifecycle implements AsyncDisposable {
  readonly #options: SessionLifecycleOptions;
  readonly #staleForMs: number;
  readonly #cache: SessionCache;
  readonly #decoder: SessionDecoder;
  readonly #loads = new SingleFlight<Session | undefined>();
  /** Changes pushed while a load of the same session was under way, whose answer may be older. */
  readonly #pushedDuringLoad = new Map<SessionKey, StoredSession>();
  readonly #uses: UseLog;
  readonly #refusals: Refusals;
  readonly #refresh: Refresh;
  readonly #unsubscribe: () => void;
  readonly #housekeeping: NodeJS.Timeout;
  #hits = 0;
  #misses = 0;
  #stale = 0;

  constructor(options: SessionLifecycleOptions) {
    const { store, clock, logger } = options;
    this.#options = options;
    this.#staleForMs = options.staleForMs ?? 60_000;
    this.#cache = new SessionCache(options.maxCachedSessions ?? 120_000);
    this.#decoder = new SessionDecoder(options.groups);
    this.#uses = new UseLog(store, Math.min(maxWriteBackMs, options.idleTimeoutMs / 4));
    this.#refusals = new Refusals(store, logger);
    this.#refresh = new Refresh({
      store,
      clock,
      logger,
      refresher: options.refresher,
      intervalMs: options.refreshIntervalMs,
      unconfirmedForMs: options.unconfirmedForMs ?? (() => Number.POSITIVE_INFINITY),
      onEnded: async (session, reason) => await this.#endPerson(session, reason),
      onNewer: (session, stored) => this.#adopt(session, stored),
    });
    this.#unsubscribe = store.subscribe((event) => this.#pushed(event));
    this.#housekeeping = setInterval(() => this.#keepHouse(), housekeepingMs).unref();
  }

  /**
   * Hot path: bench/load. The session when this worker may serve it now without asking anybody; `undefined`: `load`.
   * Marks it used, and starts a refresh that is due.
   */
  cached(ticket: string, nowMs: number): Session | undefined {
    const session = this.#cache.get(ticket);
    if (session === undefined) {
      this.#misses++;
      return undefined;
    }
    if (
      nowMs >= session.servedUntilMs ||
      // Another worker may have served it since: the store knows.
      nowMs - session.lastUsedAtMs >= this.#options.idleTimeoutMs ||
      // A revocation could not have reached this worker.
      nowMs - this.#options.store.lastHeardAtMs > this.#staleForMs
    ) {
      this.#stale++;
      return undefined;
    }
    this.#hits++;
    this.#uses.record(session, nowMs);
    if (nowMs >= session.refreshDueAtMs) this.#refresh.start(session, nowMs);
    return session;
  }

  /**
   * The session from the store; `undefined`: no such session, or it has ended.
   * Throws GatewayError SESSION_STORE_UNAVAILABLE, or PROVIDER_UNAVAILABLE when its provider has been away for too long.
   */
  async load(ticket: string): Promise<Session | undefined> {
    if (!isTicket(ticket)) return undefined;
    const key = toSessionKey(ticket);
    if (this.#refusals.has(key)) return undefined;
    const session = await this.#loads.run(key, async () => await this.#fetch(ticket, key));
    if (session !== undefined) this.#uses.record(session, this.#options.clock.now());
    return session;
  }

  /**
   * The session without marking it used, for whoever keeps something open for it. Answers and throws as `load` does,
   * at once when this worker knows.
   */
  peek(ticket: string, nowMs: number): Session | undefined | Promise<Session | undefined> {
    const session = this.#cache.get(ticket);
    const { idleTimeoutMs, store } = this.#options;
    if (
      session !== undefined &&
      nowMs < session.servedUntilMs &&
      nowMs - session.lastUsedAtMs < idleTimeoutMs &&
      nowMs - store.lastHeardAtMs <= this.#staleForMs
    ) {
      if (nowMs >= session.refreshDueAtMs) this.#refresh.start(session, nowMs);
      return session;
    }
    const key = toSessionKey(ticket);
    if (this.#refusals.has(key)) return undefined;
    return this.#loads.run(key, async () => await this.#fetch(ticket, key));
  }

  /**
   * A new session under a new ticket, always: a ticket known before sign-in never opens one. The browser's previous
   * session ends. Throws GatewayError SESSION_STORE_UNAVAILABLE when the new one cannot be stored.
   */
  async issue(principal: Principal, previousTicket?: string): Promise<{ ticket: string; session: Session }> {
    const { clock, store, absoluteTimeoutMs, refreshIntervalMs } = this.#options;
    const ticket = createTicket();
    const nowMs = clock.now();
    const facts = {
      key: toSessionKey(ticket),
      principal: this.#decoder.toPrincipal(toStoredPrincipal(principal)),
      authenticatedAtMs: nowMs,
      expiresAtMs: nowMs + absoluteTimeoutMs,
      lastUsedAtMs: nowMs,
      refreshedAtMs: nowMs,
    };
    const session = new Session(facts, nowMs + refreshIntervalMs);
    await store.save(toStoredSession(session));
    if (!this.#refusals.has(session.key)) this.#cache.set(ticket, session);
    if (previousTicket !== undefined && isTicket(previousTicket)) await this.revoke(previousTicket);
    return { ticket, session };
  }

  /**
   * Ends a session, refused in this worker at once. `recorded`: durable and known everywhere; `queued`: the store is
   * away and is offered the ending again until it has recorded it.
   */
  async revoke(target: Session | string): Promise<'recorded' | 'queued'> {
    const key = typeof target === 'string' ? toSessionKey(target) : target.key;
    this.#cache.deleteByKey(key);
    return await this.#refusals.end(key);
  }

  /** Adds the look-ups counted since the last call to the metrics; also done once a second. */
  reportMetrics(): void {
    const { sessionCacheRequests } = this.#options.metrics;
    if (this.#hits > 0) sessionCacheRequests.inc({ result: 'hit' }, this.#hits);
    if (this.#misses > 0) sessionCacheRequests.inc({ result: 'miss' }, this.#misses);
    if (this.#stale > 0) sessionCacheRequests.inc({ result: 'stale' }, this.#stale);
    this.#hits = this.#misses = this.#stale = 0;
  }

  get cachedSessions(): number {
    return this.#cache.size;
  }

  /** Writes back what is pending, as far as the store takes it. The store itself is not closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#housekeeping);
    this.#refresh.stop();
    this.#unsubscribe();
    this.reportMetrics();
    await Promise.all([this.#refusals.offerOnce(), this.#uses.flush(this.#options.clock.now(), true)]);
  }

  async #fetch(ticket: string, key: SessionKey): Promise<Session | undefined> {
    const { store, clock, idleTimeoutMs } = this.#options;
    let stored: StoredSession | undefined;
    try {
      stored = await store.load(key);
    } finally {
      const pushed = this.#pushedDuringLoad.get(key);
      this.#pushedDuringLoad.delete(key);
      if (pushed !== undefined && stored !== undefined && pushed.refreshedAtMs > stored.refreshedAtMs) {
        stored = pushed;
      }
    }
    // An ending that was pushed between the store's answer and this line counts more than the answer.
    if (stored === undefined || this.#refusals.has(key)) {
      this.#cache.delete(ticket);
      this.#refusals.rememberUnknown(key);
      return undefined;
    }
    const nowMs = clock.now();
    const session = this.#keep(ticket, stored);
    const isOver =
      nowMs >= session.expiresAtMs ||
      nowMs - session.lastUsedAtMs >= idleTimeoutMs ||
      session.authenticatedAtMs > nowMs + clockLeewayMs;
    if (isOver) {
      this.#cache.delete(ticket);
      return undefined;
    }
    if (nowMs >= session.refreshDueAtMs) this.#refresh.start(session, nowMs);
    if (nowMs >= session.servedUntilMs) {
      throw new GatewayError('PROVIDER_UNAVAILABLE', 'the person could not be confirmed for too long', {
        fields: { provider: session.principal.provider },
        retryAfterSeconds: 5,
      });
    }
    return session;
  }

  /** One object per session and worker, so that marks such as the next refresh survive another load. */
  #keep(ticket: string, stored: StoredSession): Session {
    const known = this.#cache.get(ticket);
    if (known !== undefined) {
      known.lastUsedAtMs = Math.max(known.lastUsedAtMs, stored.lastUsedAtMs);
      this.#adopt(known, stored);
      return known;
    }
    const facts = this.#decoder.toFacts(stored);
    const session = new Session(facts, facts.refreshedAtMs + this.#options.refreshIntervalMs);
    this.#cache.set(ticket, session);
    return session;
  }

  /** Takes over a newer refresh made elsewhere. */
  #adopt(session: Session, stored: StoredSession): void {
    if (stored.refreshedAtMs <= session.refreshedAtMs) return;
    session.principal = this.#decoder.toPrincipal(stored.principal);
    session.refreshedAtMs = stored.refreshedAtMs;
    session.refreshDueAtMs = stored.refreshedAtMs + this.#options.refreshIntervalMs;
    session.servedUntilMs = session.expiresAtMs;
  }

  #pushed(event: SessionEvent): void {
    if (event.kind === 'revoked') {
      for (const key of event.keys) {
        this.#refusals.rememberEnded(key);
        this.#cache.deleteByKey(key);
      }
      return;
    }
    const { session: stored } = event;
    if (this.#loads.isFlying(stored.key)) this.#pushedDuringLoad.set(stored.key, stored);
    const session = this.#cache.getByKey(stored.key);
    if (session !== undefined) this.#adopt(session, stored);
  }

  async #endPerson(session: Session, reason: string): Promise<void> {
    const { store, logger } = this.#options;
    const { provider, subject, username } = session.principal;
    // First this session, here and for good; then the person's others, wherever they are.
    await this.revoke(session);
    const others = await store.revokePrincipal(provider, subject);
    logger.audit('session.ended', { provider, account: username, reason, sessions: others + 1 });
  }

  #keepHouse(): void {
    const { clock, logger } = this.#options;
    this.reportMetrics();
    Promise.all([this.#uses.flush(clock.now()), this.#refusals.retry()]).catch((error: unknown) => {
      logger.error('session.housekeeping-failed', { error });
    });
  }
}
