/** Opens a SQLite file for its only writer, the primary. Owns permissions, pragmas and the translation of failures. */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatewayError } from '../errors.ts';

export interface SqliteFileOptions {
  /** `:memory:` for a database that ends with the process. */
  readonly path: string;
  /** `full`: a commit is on disk before it returns. `relaxed`: power loss may take the last commits, never the file. */
  readonly sync: 'full' | 'relaxed';
  /** Statements that create what is missing; run at every start. */
  readonly schema: string;
}

/** Raised with the layout; a file of a newer version is refused instead of misread. */
const layoutVersion = 1;
/** How long an ended predecessor may still hold the file. */
const lockWaitMs = 1_000;

/** Throws GatewayError CONFIG_INVALID that names the file when it is damaged, in use or not writable. */
export function openSqliteFile(options: SqliteFileOptions): DatabaseSync {
  const { path } = options;
  let database: DatabaseSync | undefined;
  try {
    if (path !== ':memory:') createPrivately(path);
    database = new DatabaseSync(path, { timeout: lockWaitMs });
    prepare(database, options);
    return database;
  } catch (error) {
    if (database?.isOpen === true) database.close();
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('CONFIG_INVALID', `${path}: ${describeFailure(error)}`, {
      cause: error,
      fields: { path },
    });
  }
}

/** A statement that failed at run time (disk full, damaged page): the store cannot answer, which is not "no". */
export function toStoreError(error: unknown): unknown {
  if (!isSqliteError(error)) return error;
  return new GatewayError('SESSION_STORE_UNAVAILABLE', 'the state database cannot answer', {
    cause: error,
    retryAfterSeconds: 2,
  });
}

function createPrivately(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // SQLite gives its side files the mode of the database, so it must be private before it is opened.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}

function prepare(database: DatabaseSync, { path, sync, schema }: SqliteFileOptions): void {
  // Exclusive: a second gateway on the same folder is refused at its start instead of mixing two states.
  database.exec('pragma locking_mode = exclusive; pragma journal_mode = wal');
  database.exec(`pragma synchronous = ${sync === 'full' ? 'full' : 'normal'}`);
  const check = database.prepare('pragma quick_check(1)').get();
  if (check?.['quick_check'] !== 'ok') throw damaged(path, String(check?.['quick_check']));
  const version = Number(database.prepare('pragma user_version').get()?.['user_version']);
  if (version > layoutVersion) {
    throw new GatewayError('CONFIG_INVALID', `${path}: was written by a newer version of Vratar`, {
      fields: { path },
    });
  }
  database.exec(`begin immediate; ${schema}; pragma user_version = ${layoutVersion}; commit`);
}

function damaged(path: string, detail: string): GatewayError {
  const message = `${path}: the database is damaged (${detail}); move it away to start without it`;
  return new GatewayError('CONFIG_INVALID', message, { fields: { path } });
}

interface SqliteError extends Error {
  readonly code: 'ERR_SQLITE_ERROR';
  /** https://sqlite.org/rescode.html */
  readonly errcode: number;
}

function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR';
}

function describeFailure(error: unknown): string {
  if (isSqliteError(error)) {
    // The low byte is the primary code, the rest refines it.
    const text = failures.get(error.errcode & 0xff);
    if (text !== undefined) return text;
  }
  return error instanceof Error ? error.message : String(error);
}

const failures: ReadonlyMap<number, string> = new Map([
  [5, 'another process uses this database; two gateways cannot share a state directory'],
  [8, 'the database cannot be written'],
  [10, 'the database cannot be read or written (input/output error)'],
  [11, 'the database is damaged; move it away to start without it'],
  [13, 'the disk is full'],
  [14, 'the database cannot be opened'],
  [26, 'the file is not a database or is damaged; move it away to start without it'],
]);
