/**
 * Who is signed in, for the administrator: reads sessions.db as a whole, which requests never do. Knows names and
 * times, and gives away no key.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
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

/** What the census sees of one session. */
export interface CensusRow {
  readonly key: SessionKey;
  readonly provider: string;
  readonly subject: string;
  readonly username: string;
  readonly authenticatedAtMs: number;
  readonly expiresAtMs: number;
  readonly lastUsedAtMs: number;
}

/** About 10 ms of a stopped event loop: the rows are wide, and none of this is in an index. */
const rowsPerPage = 1_000;

export class SessionCensus {
  readonly #page: StatementSync;

  constructor(database: DatabaseSync) {
    this.#page = database.prepare(
      `select rowid as place, key, provider, subject, json_extract(principal, '$.username') as username,
              authenticated_at_ms, expires_at_ms, last_used_at_ms
         from sessions where rowid > ? order by rowid limit ${rowsPerPage}`,
    );
  }

  /** Every session, in portions between which the process does other work; also those saved meanwhile. */
  async *pages(): AsyncGenerator<readonly CensusRow[]> {
    for (let place = 0; ; await setImmediate()) {
      const rows = this.#page.all(place);
      const last = rows.at(-1);
      if (last === undefined) return;
      place = Number(last['place']);
      yield rows.map(toCensusRow);
    }
  }

  /** Sessions used since `idleSinceMs` and not over at `nowMs`. */
  async people(idleSinceMs: number, nowMs: number, limit: number): Promise<SessionOverview> {
    const people = new Map<string, SignedInPerson>();
    let sessions = 0;
    for await (const rows of this.pages()) {
      for (const row of rows) {
        if (row.lastUsedAtMs <= idleSinceMs || row.expiresAtMs <= nowMs) continue;
        sessions++;
        const person = `${row.provider}\0${row.subject}`;
        people.set(person, withSession(people.get(person), row));
      }
    }
    const listed = [...people.values()].sort((one, other) => other.lastUsedAtMs - one.lastUsedAtMs);
    return { sessions, people: people.size, listed: listed.slice(0, limit) };
  }
}

export function isOfAccount({ provider, username }: CensusRow, account: AccountOfSessions): boolean {
  if (account.provider !== undefined && account.provider !== provider) return false;
  return foldAccount(username) === foldAccount(account.username);
}

function withSession(known: SignedInPerson | undefined, row: CensusRow): SignedInPerson {
  const { provider, username, authenticatedAtMs, lastUsedAtMs } = row;
  if (known === undefined) return { provider, username, sessions: 1, authenticatedAtMs, lastUsedAtMs };
  return {
    ...known,
    sessions: known.sessions + 1,
    authenticatedAtMs: Math.min(known.authenticatedAtMs, authenticatedAtMs),
    lastUsedAtMs: Math.max(known.lastUsedAtMs, lastUsedAtMs),
  };
}

function toCensusRow(row: Record<string, unknown>): CensusRow {
  return {
    key: String(row['key']),
    provider: String(row['provider']),
    subject: String(row['subject']),
    username: String(row['username']),
    authenticatedAtMs: Number(row['authenticated_at_ms']),
    expiresAtMs: Number(row['expires_at_ms']),
    lastUsedAtMs: Number(row['last_used_at_ms']),
  };
}
