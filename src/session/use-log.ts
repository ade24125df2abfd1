/**
 * Writes `lastUsedAtMs` back to the store: each session at most once per interval, and always once after its last
 * use, so that another worker never takes a session for idle that was used here. Never on a request's path.
 */
import { GatewayError } from '../errors.ts';
import type { SessionKey, SessionStore } from '../state/session-store.ts';
import type { Session } from './session.ts';

const bucketMs = 1_000;
/** The store writes a batch in one transaction of about 2 ms. */
const maxBatch = 500;

export class UseLog {
  readonly #store: SessionStore;
  readonly #intervalMs: number;
  /** Sessions by the second in which they are due. */
  readonly #due = new Map<number, Session[]>();

  constructor(store: SessionStore, intervalMs: number) {
    this.#store = store;
    this.#intervalMs = intervalMs;
  }

  /** Hot path: bench/load. */
  record(session: Session, nowMs: number): void {
    session.lastUsedAtMs = nowMs;
    if (!session.isUseScheduled) this.#schedule(session, nowMs);
  }

  #schedule(session: Session, nowMs: number): void {
    session.isUseScheduled = true;
    const dueAtMs = Math.max(nowMs, session.writtenBackAtMs + this.#intervalMs);
    this.#queue(Math.floor(dueAtMs / bucketMs), [session]);
  }

  #queue(bucket: number, sessions: readonly Session[]): void {
    const due = this.#due.get(bucket);
    if (due === undefined) this.#due.set(bucket, [...sessions]);
    else for (const session of sessions) due.push(session);
  }

  /** Sends what is due at `nowMs`, or everything. Sessions the store did not take are due again at the next call. */
  async flush(nowMs: number, everything = false): Promise<void> {
    const sessions: Session[] = [];
    for (const [bucket, due] of this.#due) {
      if (!everything && bucket * bucketMs > nowMs) continue;
      this.#due.delete(bucket);
      for (const session of due) sessions.push(session);
    }
    for (let at = 0; at < sessions.length; at += maxBatch) {
      const batch = sessions.slice(at, at + maxBatch);
      const uses = batch.map((session): [SessionKey, number] => [session.key, session.lastUsedAtMs]);
      try {
        await this.#store.touch(uses);
      } catch (error) {
        this.#queue(Math.floor(nowMs / bucketMs), sessions.slice(at));
        if (error instanceof GatewayError && error.code === 'SESSION_STORE_UNAVAILABLE') return;
        throw error;
      }
      for (const [index, session] of batch.entries()) this.#written(session, uses[index]?.[1] ?? nowMs);
    }
  }

  /** A use that came while the batch was on its way is scheduled anew. */
  #written(session: Session, lastUsedAtMs: number): void {
    session.writtenBackAtMs = lastUsedAtMs;
    session.isUseScheduled = false;
    if (session.lastUsedAtMs > lastUsedAtMs) this.#schedule(session, session.lastUsedAtMs);
  }
}
