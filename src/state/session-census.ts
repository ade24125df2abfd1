/**
 * Who is signed in, for the administrator: reads sessions.db as a whole, which requests never do. Knows names and
 * times, and gives away no key.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { foldAccount } from '../identity/account-name.ts';
import type { SessionKey } from './session-store.ts';

/** One person. Instants are milliseconds since the epoch. */
export interface SignedInPerson {
  readonly provider: string;
  readonly username: string;
  readonly sessions: number;
  /** The oldest of their sessions. */
  readonly authenticatedAtMs: number;
  /** As the workers have told so far, which they do about every minute. */
  readonly lastUsedAtMs: number;
}

export interface SessionOverview {
  readonly sessions: number;
  readonly people: number;
  /** Those seen last come first. */
  readonly listed: readonly SignedInPerson[];
}

/** Whose sessions are meant: an account name in any case, in one provider or in all. */
export interface AccountOfSessions {
  readonly username: string;
  readonly provider: string | undefined;
}

/** What the administrator may ask of the sessions. Throws GatewayError SESSION_STORE_UNAVAILABLE. */
export interface SessionAdministration {
  people(limit: number): Promise<SessionOverview>;
  /** Ended on disk, and told to every worker, before it is answered: how many there were. */
  revokeAccount(account: AccountOfSessions): Promise<number>;
  revokeEveryone(): Promise<number>;
}

interface EndingSession {
  readonly key: SessionKey;
  readonly expiresAtMs: number;
}

const username = "json_extract(principal, '$.username')";
const isLive = 'last_used_at_ms > ? and expires_at_ms > ?';

export class SessionCensus {
  readonly #totals: StatementSync;
  readonly #people: StatementSync;
  readonly #ofAccount: StatementSync;
  readonly #some: StatementSync;

  constructor(database: DatabaseSync) {
    database.function('fold_account', { deterministic: true }, (text) => foldAccount(String(text)));
    const prepare = (sql: string): StatementSync => database.prepare(sql);
    this.#totals = prepare(
      `select count(*) as sessions, count(distinct provider || char(0) || subject) as people
         from sessions where ${isLive}`,
    );
    this.#people = prepare(
      `select provider, ${username} as username, count(*) as sessions,
              min(authenticated_at_ms) as authenticated_at_ms, max(last_used_at_ms) as last_used_at_ms
         from sessions where ${isLive} group by provider, subject
        order by max(last_used_at_ms) desc, username limit ?`,
    );
    this.#ofAccount = prepare(
      `select key, expires_at_ms from sessions
        where fold_account(${username}) = ? and (? is null or provider = ?) limit ?`,
    );
    this.#some = prepare('select key, expires_at_ms from sessions limit ?');
  }

  people(idleSinceMs: number, nowMs: number, limit: number): SessionOverview {
    const totals = this.#totals.get(idleSinceMs, nowMs);
    return {
      sessions: Number(totals?.['sessions']),
      people: Number(totals?.['people']),
      listed: this.#people.all(idleSinceMs, nowMs, limit).map((row) => ({
        provider: String(row['provider']),
        username: String(row['username']),
        sessions: Number(row['sessions']),
        authenticatedAtMs: Number(row['authenticated_at_ms']),
        lastUsedAtMs: Number(row['last_used_at_ms']),
      })),
    };
  }

  ofAccount({ username: typed, provider }: AccountOfSessions, maxRows: number): EndingSession[] {
    const only = provider ?? null;
    return this.#ofAccount.all(foldAccount(typed), only, only, maxRows).map(toEnding);
  }

  some(maxRows: number): EndingSession[] {
    return this.#some.all(maxRows).map(toEnding);
  }
}

function toEnding(row: Record<string, unknown>): EndingSession {
  return { key: String(row['key']), expiresAtMs: Number(row['expires_at_ms']) };
}
