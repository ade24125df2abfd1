/**
 * Connections of one purpose to one server, and the bounded queue in front of them. Knows nothing of what is done on a
 * connection; a search pool and a verification pool differ in numbers only.
 */
import type { Deadline } from '../lib/deadline.ts';
import type { LdapConnection } from './connection.ts';
import { LdapFailure } from './failures.ts';

export interface PoolOptions {
  readonly maxConnections: number;
  /** Operations at the same time on one connection. 1: exclusive. */
  readonly maxPerConnection: number;
  /** A further connection is opened once every open one has this many. */
  readonly growAt: number;
  readonly maxWaiting: number;
  readonly waitMs: number;
  /** A wait longer than this is reported to `onSlow`, again and again while it lasts. */
  readonly slowAfterMs: number;
  readonly maxIdleMs: number;
  readonly maxAgeMs: number;
  /** Opens a connection ready for use. Throws LdapFailure with stage `connect`. */
  readonly open: (
    onClose: (connection: LdapConnection) => void,
    signal: AbortSignal,
  ) => Promise<LdapConnection>;
  readonly onSlow: () => void;
}

/** A connection with one place on it taken. Give it back with `release`. */
export interface Lease {
  readonly connection: LdapConnection;
}

interface Slot extends Lease {
  taken: number;
  readonly retireAt: number;
}

interface Waiter {
  readonly since: number;
  readonly expiresAt: number;
  readonly deadline: Deadline;
  readonly resolve: (lease: Slot) => void;
  readonly reject: (failure: LdapFailure) => void;
}

export class ConnectionPool {
  readonly #options: PoolOptions;
  /** The first one with a free place is used, so that those behind it fall idle and can be retired. */
  #slots: Slot[] = [];
  #waiters: Waiter[] = [];
  #opening = 0;
  /** Places kept for connections that are opened elsewhere. */
  #reserved = 0;
  /** Ends the openings under way when the server is given up. */
  #openings = new AbortController();
  #isClosed = false;
  #watch: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#slots.length;
  }

  get busy(): number {
    let busy = 0;
    for (const slot of this.#slots) if (slot.taken > 0) busy++;
    return busy;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  get connections(): readonly LdapConnection[] {
    return this.#slots.map((slot) => slot.connection);
  }

  /** A place that is free right now. Hot path: bench/ldap.ts. */
  tryAcquire(): Lease | undefined {
    if (this.#waiters.length > 0) return undefined;
    return this.#take();
  }

  /** Throws LdapFailure: stage `waiting` when the queue is full or the wait too long, `connect` when none opens. */
  async acquire(deadline: Deadline): Promise<Lease> {
    if (this.#isClosed) throw this.#failure('the connection pool is closed');
    if (this.#waiters.length >= this.#options.maxWaiting) throw this.#failure('too many operations wait');
    return await new Promise<Slot>((resolve, reject) => {
      const since = performance.now();
      const expiresAt = since + Math.min(this.#options.waitMs, deadline.remainingMs);
      this.#waiters.push({ since, expiresAt, deadline, resolve, reject });
      this.#pump();
      if (this.#waiters.length > 0) this.#watchWaiters();
    });
  }

  release(lease: Lease): void {
    const slot = lease as Slot;
    slot.taken--;
    if (this.#waiters.length > 0) this.#pump();
  }

  /**
   * Keeps a place for a connection that a probe opens, so that the server never sees more of them than the limit. When
   * all are taken, the connection with the least work makes room; `false`: all are being opened, try again. Give the
   * place back with `fill`.
   */
  reserve(): boolean {
    let least: Slot | undefined;
    if (!this.#hasRoom) {
      for (const slot of this.#slots) if (slot.taken < (least?.taken ?? Infinity)) least = slot;
      if (least === undefined) return false;
    }
    this.#reserved++;
    least?.connection.destroy('it made room for a proof of life');
    return true;
  }

  /** Takes over the connection a place was reserved for; `undefined`: none came of it. */
  fill(connection: LdapConnection | undefined): void {
    this.#reserved--;
    if (connection?.isAlive === true) {
      if (this.#isClosed) void connection.close();
      else this.#add(connection);
    }
    this.#pump();
  }

  /** To be passed as `onClose` of a connection that may be adopted. */
  readonly forget = (connection: LdapConnection): void => {
    this.#slots = this.#slots.filter((slot) => slot.connection !== connection);
    if (this.#waiters.length > 0) this.#pump();
  };

  /** The server is gone: everything in flight and everybody who waits fails now and can go elsewhere. */
  destroyAll(reason: string): void {
    this.#openings.abort();
    this.#openings = new AbortController();
    this.#rejectWaiters(reason);
    for (const slot of this.#slots.slice()) slot.connection.destroy(reason);
  }

  /** What was idle while another connection broke is most likely dead too; nobody waits for its answer. */
  dropIdle(reason: string): void {
    for (const slot of this.#slots.slice()) if (slot.taken === 0) slot.connection.destroy(reason);
  }

  /** Closes connections that idled or lived too long. */
  retire(): void {
    const now = performance.now();
    for (const slot of this.#slots.slice()) {
      if (slot.taken > 0) continue;
      if (now >= slot.retireAt || now - slot.connection.lastUsedAt >= this.#options.maxIdleMs) {
        void slot.connection.close();
      }
    }
  }

  /** Takes nothing more, gives what runs `graceMs`, then says good-bye. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    this.#openings.abort();
    clearInterval(this.#watch);
    this.#rejectWaiters('the connection pool is closed');
    const until = performance.now() + graceMs;
    while (performance.now() < until && (this.busy > 0 || this.#opening > 0)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await Promise.all(this.#slots.map(async (slot) => await slot.connection.close()));
  }

  #take(): Slot | undefined {
    const { growAt, maxPerConnection } = this.#options;
    let least: Slot | undefined;
    for (const slot of this.#slots) {
      if (slot.taken < growAt) {
        slot.taken++;
        return slot;
      }
      if (least === undefined || slot.taken < least.taken) least = slot;
    }
    if (least === undefined) return undefined;
    if (this.#opening === 0 && this.#hasRoom && !this.#isClosed) void this.#open();
    if (least.taken >= maxPerConnection) return undefined;
    least.taken++;
    return least;
  }

  #pump(): void {
    this.#dropExpired();
    while (this.#waiters.length > 0) {
      const slot = this.#take();
      if (slot === undefined) break;
      this.#waiters.shift()?.resolve(slot);
    }
    const wanted = Math.ceil(this.#waiters.length / this.#options.maxPerConnection);
    while (this.#opening < wanted && this.#hasRoom && !this.#isClosed) void this.#open();
  }

  get #hasRoom(): boolean {
    return this.#slots.length + this.#opening + this.#reserved < this.#options.maxConnections;
  }

  async #open(): Promise<void> {
    this.#opening++;
    const { signal } = this.#openings;
    try {
      const connection = await this.#options.open(this.forget, signal);
      this.#opening--;
      if (this.#isClosed) {
        await connection.close();
        return;
      }
      if (connection.isAlive) this.#add(connection);
    } catch (error) {
      this.#opening--;
      if (!(error instanceof LdapFailure)) throw error;
      if (signal.aborted) return;
      // Whoever waits longest hears it; the others still hope for other connections, while there are any.
      this.#waiters.shift()?.reject(error);
      if (this.#slots.length === 0 && this.#opening === 0) this.#rejectWaiters(error.message, error);
      return;
    }
    this.#pump();
  }

  #add(connection: LdapConnection): void {
    const age = this.#options.maxAgeMs * (0.8 + Math.random() * 0.4);
    this.#slots.push({ connection, taken: 0, retireAt: connection.openedAt + age });
  }

  #watchWaiters(): void {
    this.#watch ??= setInterval(
      () => {
        this.#dropExpired();
        const first = this.#waiters[0];
        if (first === undefined) {
          clearInterval(this.#watch);
          this.#watch = undefined;
        } else if (performance.now() - first.since >= this.#options.slowAfterMs) {
          this.#options.onSlow();
        }
      },
      Math.min(100, this.#options.slowAfterMs / 4),
    );
  }

  #dropExpired(): void {
    const now = performance.now();
    const isOver = (waiter: Waiter): boolean => now >= waiter.expiresAt || waiter.deadline.signal.aborted;
    if (!this.#waiters.some(isOver)) return;
    const over = this.#waiters.filter(isOver);
    this.#waiters = this.#waiters.filter((waiter) => !isOver(waiter));
    for (const waiter of over) waiter.reject(this.#failure('no connection became free in time'));
  }

  #rejectWaiters(reason: string, failure: LdapFailure = this.#failure(reason)): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(failure);
  }

  #failure(message: string): LdapFailure {
    return new LdapFailure(message, { kind: 'unavailable', stage: 'waiting' });
  }
}
