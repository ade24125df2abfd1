/**
 * The session store over two SQLite files, used by the primary only. Owns leases, pushes and the order of writes:
 * an ending is on disk before it is acknowledged or pushed.
 */
import { join } from 'node:path';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../lib/clock.ts';
import { afterRestore, copyDatabase } from './backup.ts';
import { RevocationTable } from './revocation-table.ts';
import {
  type AccountOfSessions,
  type CensusRow,
  isOfAccount,
  type SessionAdministration,
  SessionCensus,
  type SessionOverview,
} from './session-census.ts';
import type {
  SessionEvent,
  SessionKey,
  SessionLimits,
  SessionStore,
  StoredPrincipal,
  StoredSession,
} from './session-store.ts';
import { SessionTable } from './session-table.ts';
import { toStoreError } from './sqlite-file.ts';
import { WriteBatch } from './write-batch.ts';

const sessionsFile = 'sessions.db';
const revocationsFile = 'revocations.db';
const commitDelayMs = 2;
const leaseMs = 30_000;
const maxLeases = 100_000;
/** About 2 ms of a stopped event loop. */
export const maxPrunedRows = 500;

export class EmbeddedSessions implements SessionStore, SessionAdministration, Disposable {
  readonly #clock: Clock;
  #idleTimeoutMs: number;
  readonly #sessions: SessionTable;
  readonly #revocations: RevocationTable;
  readonly #sessionWrites: WriteBatch;
  readonly #revocationWrites: WriteBatch;
  readonly #leases = new Map<SessionKey, number>();
  /** Made when it is first asked. */
  #census: SessionCensus | undefined;
  readonly #listeners = new Set<(event: SessionEvent) => void>();

  /** `directory`: a folder, or `:memory:`. Throws GatewayError CONFIG_INVALID naming the file that cannot be used. */
  constructor(directory: string, clock: Clock, limits: SessionLimits) {
    const path = (name: string): string => (directory === ':memory:' ? directory : join(directory, name));
    this.#clock = clock;
    this.#idleTimeoutMs = limits.idleTimeoutMs;
    this.#revocations = new RevocationTable(path(revocationsFile));
    try {
      this.#sessions = new SessionTable(path(sessionsFile));
    } catch (error) {
      this.#revocations[Symbol.dispose]();
      throw error;
    }
    this.#sessionWrites = new WriteBatch(this.#sessions.database, commitDelayMs);
    this.#revocationWrites = new WriteBatch(this.#revocations.database, commitDelayMs);
  }

  /** At the start, before anybody asks: see `afterRestore`. */
  endRestored(directory: string): number | undefined {
    return afterRestore(directory, () => this.#sessions.clear());
  }

  /** Copies of both files in `folder`. Throws GatewayError SESSION_STORE_UNAVAILABLE. */
  async copy(folder: string): Promise<readonly string[]> {
    this.#sessionWrites.flush();
    this.#revocationWrites.flush();
    await copyDatabase(this.#sessions.database, join(folder, sessionsFile));
    await copyDatabase(this.#revocations.database, join(folder, revocationsFile));
    return [sessionsFile, revocationsFile];
  }

  limit({ idleTimeoutMs }: SessionLimits): void {
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  async load(key: SessionKey): Promise<StoredSession | undefined> {
    return this.#read(() => this.#find(key));
  }

  async save(session: StoredSession): Promise<void> {
    await this.#sessionWrites.add(() => {
      this.#sessions.insert(session);
    });
  }

  async refreshed(key: SessionKey, principal: StoredPrincipal, refreshedAtMs: number): Promise<boolean> {
    const isStored = await this.#sessionWrites.add(
      () => !this.#revocations.has(key) && this.#sessions.replacePrincipal(key, principal, refreshedAtMs),
    );
    this.#leases.delete(key);
    const session = isStored ? this.#read(() => this.#find(key)) : undefined;
    if (session === undefined) return false;
    this.#push({ kind: 'refreshed', session });
    return true;
  }

  async claimRefresh(key: SessionKey, refreshedAtMs: number): Promise<'granted' | 'taken' | StoredSession> {
    const session = this.#read(() => this.#find(key));
    // Ended meanwhile: nothing to refresh, and the ending has been pushed.
    if (session === undefined) return 'taken';
    if (session.refreshedAtMs > refreshedAtMs) return session;
    const nowMs = this.#clock.now();
    if ((this.#leases.get(key) ?? 0) > nowMs) return 'taken';
    this.#dropLeases(nowMs);
    this.#leases.set(key, nowMs + leaseMs);
    return 'granted';
  }

  async touch(uses: readonly (readonly [key: SessionKey, lastUsedAtMs: number])[]): Promise<void> {
    await this.#sessionWrites.add(() => {
      for (const [key, lastUsedAtMs] of uses) this.#sessions.touch(key, lastUsedAtMs);
    });
  }

  async revoke(key: SessionKey): Promise<void> {
    this.#sessionWrites.flush();
    const session = this.#read(() => this.#sessions.find(key));
    if (session !== undefined) await this.#revokeAll([session]);
  }

  async revokePrincipal(provider: string, subject: string): Promise<number> {
    this.#sessionWrites.flush();
    const sessions = this.#read(() => this.#sessions.ofPerson(provider, subject));
    if (sessions.length > 0) await this.#revokeAll(sessions);
    return sessions.length;
  }

  async people(limit: number): Promise<SessionOverview> {
    this.#sessionWrites.flush();
    const nowMs = this.#clock.now();
    return await this.#survey(
      async (census) => await census.people(nowMs - this.#idleTimeoutMs, nowMs, limit),
    );
  }

  async revokeAccount(account: AccountOfSessions): Promise<number> {
    return await this.#revokeWhere((row) => isOfAccount(row, account));
  }

  async revokeEveryone(): Promise<number> {
    return await this.#revokeWhere(() => true);
  }

  async count(): Promise<number> {
    const nowMs = this.#clock.now();
    return this.#read(() => this.#sessions.count(nowMs - this.#idleTimeoutMs, nowMs));
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The files are in this process: they answer or throw. */
  get lastHeardAtMs(): number {
    return this.#clock.now();
  }

  /** Removes a chunk of rows that are over. Answers whether there may be more. */
  async prune(): Promise<boolean> {
    const nowMs = this.#clock.now();
    const [sessions, revocations] = await Promise.all([
      this.#sessionWrites.add(() => this.#sessions.deleteIdle(nowMs - this.#idleTimeoutMs, maxPrunedRows)),
      this.#revocationWrites.add(() => this.#revocations.deleteOver(nowMs, maxPrunedRows)),
    ]);
    return sessions === maxPrunedRows || revocations === maxPrunedRows;
  }

  [Symbol.dispose](): void {
    this.#sessionWrites[Symbol.dispose]();
    this.#revocationWrites[Symbol.dispose]();
    this.#sessions[Symbol.dispose]();
    this.#revocations[Symbol.dispose]();
  }

  async #revokeAll(
    sessions: readonly { readonly key: SessionKey; readonly expiresAtMs: number }[],
  ): Promise<void> {
    await this.#revocationWrites.add(() => {
      for (const { key, expiresAtMs } of sessions) this.#revocations.insert(key, expiresAtMs);
    });
    const keys = sessions.map(({ key }) => key);
    for (const key of keys) this.#leases.delete(key);
    this.#push({ kind: 'revoked', keys });
    // The rows are refused already; removing them only gives their space back, which pruning would do later.
    const removed = this.#sessionWrites.add(() => {
      for (const key of keys) this.#sessions.delete(key);
    });
    removed.catch(ignoreStoreAway);
  }

  async #revokeWhere(matches: (row: CensusRow) => boolean): Promise<number> {
    this.#sessionWrites.flush();
    return await this.#survey(async (census) => {
      let ended = 0;
      for await (const rows of census.pages()) {
        const sessions = rows.filter(matches);
        if (sessions.length > 0) await this.#revokeAll(sessions);
        ended += sessions.length;
      }
      return ended;
    });
  }

  async #survey<Result>(survey: (census: SessionCensus) => Promise<Result>): Promise<Result> {
    try {
      this.#census ??= new SessionCensus(this.#sessions.database);
      return await survey(this.#census);
    } catch (error) {
      throw toStoreError(error);
    }
  }

  #find(key: SessionKey): StoredSession | undefined {
    const session = this.#sessions.find(key);
    if (session === undefined || this.#revocations.has(key)) return undefined;
    const nowMs = this.#clock.now();
    const isOver = session.expiresAtMs <= nowMs || session.lastUsedAtMs + this.#idleTimeoutMs <= nowMs;
    return isOver ? undefined : session;
  }

  #read<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      throw toStoreError(error);
    }
  }

  #push(event: SessionEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #dropLeases(nowMs: number): void {
    if (this.#leases.size < maxLeases) return;
    for (const [key, untilMs] of this.#leases) if (untilMs <= nowMs) this.#leases.delete(key);
  }
}

function ignoreStoreAway(error: unknown): void {
  if (!(error instanceof GatewayError)) throw error;
}
