/**
 * The rows of revocations.db: sessions that must stay refused until their absolute end, whatever sessions.db says.
 * A file of its own, synced at every commit, because sessions.db may lose its last commits or be restored.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SessionKey } from './session-store.ts';
import { openSqliteFile } from './sqlite-file.ts';

const schema = `
  create table if not exists revocations (
    key text primary key,
    expires_at_ms integer not null
  ) strict, without rowid;
  create index if not exists revocations_by_end on revocations (expires_at_ms)`;

export class RevocationTable implements Disposable {
  readonly database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #select: StatementSync;
  readonly #deleteOver: StatementSync;

  constructor(path: string) {
    this.database = openSqliteFile({ path, sync: 'full', schema });
    const prepare = (sql: string): StatementSync => this.database.prepare(sql);
    this.#insert = prepare('insert or replace into revocations values (?, ?)');
    this.#select = prepare('select 1 from revocations where key = ?');
    this.#deleteOver = prepare(
      'delete from revocations where key in (select key from revocations where expires_at_ms <= ? limit ?)',
    );
  }

  /** `expiresAtMs`: the end of the session's absolute life, after which nothing needs to be remembered. */
  insert(key: SessionKey, expiresAtMs: number): void {
    this.#insert.run(key, expiresAtMs);
  }

  has(key: SessionKey): boolean {
    return this.#select.get(key) !== undefined;
  }

  /** Removes at most `maxRows` revocations whose session is over anyway; answers how many it removed. */
  deleteOver(nowMs: number, maxRows: number): number {
    return Number(this.#deleteOver.run(nowMs, maxRows).changes);
  }

  [Symbol.dispose](): void {
    this.database.close();
  }
}
