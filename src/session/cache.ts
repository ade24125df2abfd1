/**
 * The bounded table of sessions in one worker, by ticket for requests and by key for pushed changes.
 * Knows nothing of expiry or stores.
 */
import { LRUCache } from 'lru-cache';
import type { SessionKey } from '../state/session-store.ts';
import { flatCopy } from './codec.ts';
import type { Session } from './session.ts';

export class SessionCache {
  readonly #sessions: LRUCache<string, Session>;
  readonly #tickets = new Map<SessionKey, string>();

  constructor(maxSessions: number) {
    this.#sessions = new LRUCache<string, Session>({
      max: maxSessions,
      dispose: (session) => this.#tickets.delete(session.key),
    });
  }

  /** Hot path: bench/load. */
  get(ticket: string): Session | undefined {
    return this.#sessions.get(ticket);
  }

  getByKey(key: SessionKey): Session | undefined {
    const ticket = this.#tickets.get(key);
    // `peek`: a pushed change is no use of the session.
    return ticket === undefined ? undefined : this.#sessions.peek(ticket);
  }

  set(ticket: string, session: Session): void {
    const own = flatCopy(ticket);
    this.#sessions.set(own, session);
    this.#tickets.set(session.key, own);
  }

  delete(ticket: string): void {
    this.#sessions.delete(ticket);
  }

  deleteByKey(key: SessionKey): void {
    const ticket = this.#tickets.get(key);
    if (ticket !== undefined) this.#sessions.delete(ticket);
  }

  get size(): number {
    return this.#sessions.size;
  }
}
