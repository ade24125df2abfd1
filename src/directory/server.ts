/**
 * One LDAP server: a search pool under the service account, a verification pool, and the judgement whether it lives.
 * Knows nothing of its fellow servers; whoever is refused here goes there (failover.ts).
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { PasswordChangeOutcome } from '../identity/outcome.ts';
import { CircuitBreaker } from '../lib/circuit-breaker.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Secret } from '../lib/secret.ts';
import type { Logger } from '../observability/logger.ts';
import { type BindAnswer, LdapConnection, type SearchRequest } from './connection.ts';
import { dial } from './dial.ts';
import type { Endpoint } from './endpoint.ts';
import type { LdapEntry } from './entry.ts';
import { dialAsExternal } from './external-bind.ts';
import { asConnectFailure, isMisconfiguration, LdapFailure, resultCode, worstOf } from './failures.ts';
import { isPresent } from './filter.ts';
import type { OperationMetrics, OperationName } from './operation-metrics.ts';
import { afterOwnTime } from './own-time.ts';
import type { PasswordChange } from './password-change.ts';
import { ConnectionPool, type Lease } from './pool.ts';
import type { Timings } from './timings.ts';

export interface ServerOptions {
  readonly endpoint: Endpoint;
  /** `undefined`: anonymous searches. */
  readonly serviceAccount: { readonly dn: string; readonly password: Secret } | undefined;
  /** Searches run as whoever the server takes our certificate for. */
  readonly bindsByCertificate: boolean;
  readonly operationTimeoutMs: number;
  readonly verificationConnections: number;
  readonly timings: Timings;
  readonly logger: Logger;
  readonly metrics: OperationMetrics;
}

const searchConnections = 2;
/** Beyond about 16 in flight a connection gains nothing; servers drop clients with 100 pending. */
const searchesPerConnection = 32;
const searchesBeforeGrowing = 16;

/** Base search of the root DSE for no attributes: answered by every server, hard to answer by a hung one. */
const probeRequest: SearchRequest = {
  baseDn: '',
  scope: 'base',
  filter: isPresent('objectClass'),
  attributes: ['1.1'],
  sizeLimit: 1,
};

export class LdapServer implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly #options: ServerOptions;
  readonly #searches: ConnectionPool;
  readonly #verifications: ConnectionPool;
  readonly #breaker: CircuitBreaker;
  readonly #sweep: NodeJS.Timeout;
  readonly #end = new AbortController();
  #probing: Promise<void> | undefined;
  #lastProofAt = -Infinity;
  #lastCountedAt = -Infinity;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.endpoint = options.endpoint;
    const { timings } = options;
    const common = {
      maxWaiting: timings.maxWaiting,
      waitMs: timings.waitMs,
      slowAfterMs: timings.slowAfterMs,
      maxIdleMs: timings.maxIdleMs,
      maxAgeMs: timings.maxAgeMs,
      onSlow: () => this.#suspect(),
    };
    this.#searches = new ConnectionPool({
      ...common,
      maxConnections: searchConnections,
      maxPerConnection: searchesPerConnection,
      growAt: searchesBeforeGrowing,
      open: async (onClose, signal) => await this.#openForSearch(onClose, signal, timings.connectMs),
    });
    this.#verifications = new ConnectionPool({
      ...common,
      maxConnections: options.verificationConnections,
      maxPerConnection: 1,
      growAt: 1,
      open: async (onClose, signal) => await this.#open(onClose, signal, timings.connectMs),
    });
    this.#breaker = new CircuitBreaker({
      failureThreshold: 2,
      retryMs: timings.retryMs,
      slowRetryMs: timings.slowRetryMs,
      isSlow: isMisconfiguration,
      attempt: async () => await this.#probe(timings.connectMs + timings.probeMs),
      onOpen: (cause) => this.#giveUp(cause),
      onClose: () => this.#options.logger.info('directory-server-available', { url: this.endpoint.url }),
    });
    this.#sweep = setInterval(() => this.#tidy(), timings.sweepMs).unref();
    // Readiness shall not depend on the first sign-in.
    this.#suspect();
  }

  /** Takes operations. A server nobody has reached yet does too. */
  get isAvailable(): boolean {
    return !this.#breaker.isOpen;
  }

  /** Why it is not available, or why the last attempt to find out failed. */
  get failure(): LdapFailure | undefined {
    return this.#breaker.cause instanceof LdapFailure ? this.#breaker.cause : undefined;
  }

  get isProven(): boolean {
    return this.isAvailable && this.#lastProofAt !== -Infinity;
  }

  get retryInMs(): number {
    return this.#breaker.retryInMs;
  }

  /** Hot path: bench/ldap.ts. Throws LdapFailure. */
  async search(request: SearchRequest, deadline: Deadline): Promise<LdapEntry[]> {
    const lease = this.#searches.tryAcquire() ?? (await this.#searches.acquire(deadline));
    const startedAt = performance.now();
    try {
      const entries = await lease.connection.search(request);
      this.#succeeded('search', startedAt);
      return entries;
    } catch (error) {
      this.#failed('search', error, startedAt);
      throw error;
    } finally {
      this.#searches.release(lease);
    }
  }

  /** Tries a password. Every answer is returned, refusals too. Hot path: bench/ldap.ts. Throws LdapFailure. */
  async bind(dn: string, password: Secret, deadline: Deadline): Promise<BindAnswer> {
    const lease: Lease = this.#verifications.tryAcquire() ?? (await this.#verifications.acquire(deadline));
    const startedAt = performance.now();
    try {
      const answer = await lease.connection.bind(dn, password);
      if (answer.resultCode === resultCode.success) {
        this.#succeeded('bind', startedAt);
      } else {
        this.#lastProofAt = performance.now();
        this.#options.metrics.record('bind', 'refused', startedAt);
      }
      return answer;
    } catch (error) {
      this.#failed('bind', error, startedAt);
      // Whatever cut this connection may have cut the idle ones, and a bind is sent a second time but not a third.
      if (!lease.connection.isAlive) this.#verifications.dropIdle('another connection broke');
      throw error;
    } finally {
      this.#verifications.release(lease);
    }
  }

  /**
   * On a verification connection. One that carried a new password is not used again: who it is bound as may be more than
   * the next person is. Throws LdapFailure.
   */
  async changePassword(change: PasswordChange, deadline: Deadline): Promise<PasswordChangeOutcome> {
    const lease: Lease = this.#verifications.tryAcquire() ?? (await this.#verifications.acquire(deadline));
    const { endpoint, serviceAccount, metrics } = this.#options;
    const { connection } = lease;
    const isEncrypted = endpoint.transport !== 'plain';
    const startedAt = performance.now();
    try {
      const outcome = await change.perform({ connection, isEncrypted, serviceAccount });
      if (outcome.kind === 'changed') this.#succeeded('password-change', startedAt);
      else metrics.record('password-change', 'refused', startedAt);
      if (change.isSent) void connection.close();
      return outcome;
    } catch (error) {
      void connection.close();
      this.#failed('password-change', error, startedAt);
      throw error;
    } finally {
      this.#verifications.release(lease);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweep);
    this.#breaker[Symbol.dispose]();
    this.#end.abort();
    await Promise.all([this.#searches.close(500), this.#verifications.close(500), this.#probing]);
  }

  #succeeded(operation: OperationName, startedAt: number): void {
    this.#lastProofAt = performance.now();
    this.#breaker.success();
    this.#options.metrics.record(operation, 'ok', startedAt);
  }

  #failed(operation: OperationName, error: unknown, startedAt: number): void {
    if (!(error instanceof LdapFailure)) return;
    this.#options.metrics.record(operation, error.kind, startedAt);
    if (this.#end.signal.aborted) return;
    if (error.isAnswered && error.stage === 'operation') {
      this.#lastProofAt = performance.now();
    } else if (isMisconfiguration(error)) {
      // A refused service account is not tried again at once: that would lock it.
      this.#breaker.open(error);
    } else {
      // That an established connection broke may be a firewall's doing, to all of them at once: the probe tells.
      if (error.stage === 'connect' || error.kind === 'protocol') this.#count(error, startedAt);
      this.#suspect();
    }
  }

  /** What began before the last failure was counted may have broken together with it, by one reset: it counts once. */
  #count(failure: LdapFailure, startedAt: number): void {
    if (startedAt <= this.#lastCountedAt) return;
    this.#lastCountedAt = performance.now();
    this.#breaker.failure(failure);
  }

  #giveUp(cause: unknown): void {
    const event = isMisconfiguration(cause)
      ? 'directory-server-misconfigured'
      : 'directory-server-unavailable';
    this.#options.logger.error(event, { url: this.endpoint.url, error: cause });
    this.#searches.destroyAll('the server is taken for unavailable');
    this.#verifications.destroyAll('the server is taken for unavailable');
    this.#report();
  }

  async #open(
    onClose: (connection: LdapConnection) => void,
    signal: AbortSignal,
    connectTimeoutMs: number,
    reach: typeof dial = dial,
  ): Promise<LdapConnection> {
    const startedAt = performance.now();
    const { operationTimeoutMs, timings, endpoint, metrics } = this.#options;
    const options = {
      operationTimeoutMs,
      slowAfterMs: timings.slowAfterMs,
      maxBurstBytes: timings.maxBurstBytes,
      onSlow: () => this.#suspect(),
      onClose,
    };
    try {
      const wire = await reach(endpoint, { timeoutMs: connectTimeoutMs, signal });
      const connection = new LdapConnection(wire, options);
      metrics.record('connect', 'ok', startedAt);
      return connection;
    } catch (error) {
      if (!signal.aborted) this.#failed('connect', error, startedAt);
      throw error;
    }
  }

  async #openForSearch(
    onClose: (connection: LdapConnection) => void,
    signal: AbortSignal,
    connectTimeoutMs: number,
  ): Promise<LdapConnection> {
    const { serviceAccount: account, bindsByCertificate } = this.#options;
    const reach = bindsByCertificate ? dialAsExternal : dial;
    const connection = await this.#open(onClose, signal, connectTimeoutMs, reach);
    if (account === undefined) return connection;
    const startedAt = performance.now();
    const abort = (): void => connection.destroy('the server is taken for unavailable');
    signal.addEventListener('abort', abort);
    try {
      await connection.bindService(account.dn, account.password);
      this.#succeeded('bind', startedAt);
      return connection;
    } catch (error) {
      connection.destroy('the service bind failed');
      if (!signal.aborted) this.#failed('bind', error, startedAt);
      throw asConnectFailure(error);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Something took too long or broke: the server has to prove that it lives, or is given up. */
  #suspect(): void {
    if (this.#probing !== undefined || this.#breaker.isOpen || this.#end.signal.aborted) return;
    const { probeMs } = this.#options.timings;
    // At the start everything is cold, here and there.
    this.#probing = this.#probe(this.#lastProofAt === -Infinity ? 2 * probeMs : probeMs)
      .catch((error: unknown) => {
        // Whoever got an answer just now knows better.
        const hasAnswered = performance.now() - this.#lastProofAt < probeMs / 2;
        if (!this.#end.signal.aborted && (!hasAnswered || isMisconfiguration(error)))
          this.#breaker.open(error);
      })
      .finally(() => {
        this.#probing = undefined;
      });
  }

  /**
   * Asks on the connections that are open, and a moment later on a fresh one: a single dead connection must not
   * condemn the server, and a hung server must not pass because TCP still connects.
   */
  async #probe(budgetMs: number): Promise<void> {
    const startedAt = performance.now();
    const end = new AbortController();
    const signal = AbortSignal.any([end.signal, this.#end.signal]);
    const proofs = this.#searches.connections.map(
      async (connection) => await this.#prove(connection, budgetMs),
    );
    const fresh = this.#proveFresh(Promise.allSettled(proofs), proofs.length === 0, budgetMs, signal);
    try {
      await Promise.any([...proofs, fresh]);
      this.#lastProofAt = performance.now();
      this.#breaker.success();
      this.#options.metrics.record('probe', 'ok', startedAt);
    } catch (error) {
      const failure = worstOf(error instanceof AggregateError ? error.errors : [error]);
      this.#options.metrics.record('probe', failure.kind, startedAt);
      throw failure;
    } finally {
      end.abort();
    }
  }

  /** A connection that does not answer in time is destroyed: what waits on it goes elsewhere. */
  async #prove(connection: LdapConnection, budgetMs: number): Promise<void> {
    using _late = afterOwnTime(budgetMs, () => connection.destroy('the server did not answer in time'));
    await connection.search(probeRequest);
  }

  /** `others`: what the open connections say. Where they broke instead of staying silent, nothing is late yet. */
  async #proveFresh(
    others: Promise<unknown>,
    isAlone: boolean,
    budgetMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const waitMs = Math.min(250, budgetMs / 3);
    const isSilent = !isAlone && (await isStillPending(others, waitMs, signal));
    for (let attempt = 0; ; attempt++) {
      const late = new AbortController();
      const limitMs = attempt === 0 && isSilent ? budgetMs - waitMs : budgetMs;
      using _limit = afterOwnTime(limitMs, () => late.abort());
      try {
        await this.#proveOnce(budgetMs, AbortSignal.any([signal, late.signal]));
        return;
      } catch (error) {
        // A reset of everything that is under way hits this connection too. Who lives is there for the next one.
        if (attempt > 0 || signal.aborted || late.signal.aborted || isMisconfiguration(error)) throw error;
        if (error instanceof LdapFailure && error.isAnswered) throw error;
      }
    }
  }

  async #proveOnce(budgetMs: number, signal: AbortSignal): Promise<void> {
    const { connectMs } = this.#options.timings;
    let proven: LdapConnection | undefined;
    while (!this.#searches.reserve()) await delay(20, undefined, { signal });
    try {
      const connection = await this.#openForSearch(this.#searches.forget, signal, connectMs);
      const abort = (): void => connection.destroy('the server did not answer in time');
      signal.addEventListener('abort', abort);
      try {
        await this.#prove(connection, budgetMs);
        proven = connection;
      } catch (error) {
        connection.destroy('the server did not answer');
        throw error;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    } finally {
      this.#searches.fill(proven);
    }
  }

  #tidy(): void {
    this.#searches.retire();
    this.#verifications.retire();
    if (performance.now() - this.#lastProofAt >= this.#options.timings.idleProbeMs) this.#suspect();
    this.#report();
  }

  #report(): void {
    const busy = this.#searches.busy + this.#verifications.busy;
    this.#options.metrics.report({
      idle: this.#searches.size + this.#verifications.size - busy,
      busy,
      waitingForSearch: this.#searches.waiting,
      waitingForVerification: this.#verifications.waiting,
      isOpen: this.#breaker.isOpen,
    });
  }
}

async function isStillPending(work: Promise<unknown>, ms: number, signal: AbortSignal): Promise<boolean> {
  return await Promise.race([delay(ms, true, { signal }), work.then(() => false)]);
}
