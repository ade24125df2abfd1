/** The rows of sessions.db. Knows SQL and nothing of revocations, leases or workers. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SessionKey, StoredPrincipal, StoredSession } from './session-store.ts';
import { openSqliteFile } from './sqlite-file.ts';

/** The index holds both ends of a session's life, so that counting and pruning never read the wide rows. */
const schema = `
  create table if not exists sessions (
    key text primary key,
    provider text not null,
    subject text not null,
    principal text not null,
    authenticated_at_ms integer not null,
    expires_at_ms integer not null,
    last_used_at_ms integer not null,
    refreshed_at_ms integer not null
  ) strict;
  create index if not exists sessions_by_person on sessions (provider, subject);
  create index if not exists sessions_by_end on sessions (last_used_at_ms, expires_at_ms)`;

export class SessionTable implements Disposable {
  readonly database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #select: StatementSync;
  readonly #selectPerson: StatementSync;
  readonly #replacePrincipal: StatementSync;
  readonly #touch: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteIdle: StatementSync;
  readonly #count: StatementSync;

  constructor(path: string) {
    this.database = openSqliteFile({ path, sync: 'relaxed', schema });
    const prepare = (sql: string): StatementSync => this.database.prepare(sql);
    this.#insert = prepare('insert or replace into sessions values (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#select = prepare('select * from sessions where key = ?');
    this.#selectPerson = prepare(
      'select key, expires_at_ms from sessions where provider = ? and subject = ?',
    );
    this.#replacePrincipal = prepare(
      'update sessions set principal = ?, refreshed_at_ms = ? where key = ? and refreshed_at_ms <= ?',
    );
    this.#touch = prepare('update sessions set last_used_at_ms = ? where key = ? and last_used_at_ms < ?');
    this.#delete = prepare('delete from sessions where key = ?');
    this.#deleteIdle = prepare(
      `delete from sessions where key in
         (select key from sessions where last_used_at_ms <= ? limit ?)`,
    );
    this.#count = prepare(
      'select count(*) as sessions from sessions where last_used_at_ms > ? and expires_at_ms > ?',
    );
  }

  insert(session: StoredSession): void {
    const { key, principal } = session;
    this.#insert.run(
      key,
      principal.provider,
      principal.subject,
      JSON.stringify(principal),
      session.authenticatedAtMs,
      session.expiresAtMs,
      session.lastUsedAtMs,
      session.refreshedAtMs,
    );
  }

  find(key: SessionKey): StoredSession | undefined {
    const row = this.#select.get(key);
    if (row === undefined) return undefined;
    return {
      key,
      principal: JSON.parse(String(row['principal'])) as StoredPrincipal,
      authenticatedAtMs: Number(row['authenticated_at_ms']),
      expiresAtMs: Number(row['expires_at_ms']),
      lastUsedAtMs: Number(row['last_used_at_ms']),
      refreshedAtMs: Number(row['refreshed_at_ms']),
    };
  }

  /** Sessions of one person with the end of their absolute life. */
  ofPerson(provider: string, subject: string): { readonly key: SessionKey; readonly expiresAtMs: number }[] {
    return this.#selectPerson
      .all(provider, subject)
      .map((row) => ({ key: String(row['key']), expiresAtMs: Number(row['expires_at_ms']) }));
  }

  /** Whether there is such a session. An older refresh never replaces a newer one. */
  replacePrincipal(key: SessionKey, principal: StoredPrincipal, refreshedAtMs: number): boolean {
    this.#replacePrincipal.run(JSON.stringify(principal), refreshedAtMs, key, refreshedAtMs);
    return this.#select.get(key) !== undefined;
  }

  touch(key: SessionKey, lastUsedAtMs: number): void {
    this.#touch.run(lastUsedAtMs, key, lastUsedAtMs);
  }

  delete(key: SessionKey): void {
    this.#delete.run(key);
  }

  /**
   * Removes at most `maxRows` idle sessions; answers how many it removed. Nobody uses a session past its absolute end,
   * so it becomes idle like any other.
   */
  deleteIdle(idleSinceMs: number, maxRows: number): number {
    return Number(this.#deleteIdle.run(idleSinceMs, maxRows).changes);
  }

  /** Removes every session, on disk when it returns whatever the file's sync says. Answers how many there were. */
  clear(): number {
    const { changes } = this.database.prepare('delete from sessions').run();
    this.database.exec('pragma wal_checkpoint(truncate)');
    return Number(changes);
  }

  count(idleSinceMs: number, nowMs: number): number {
    return Number(this.#count.get(idleSinceMs, nowMs)?.['sessions']);
  }

  [Symbol.dispose](): void {
    this.database.close();
  }
}
