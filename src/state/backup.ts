/**
 * A copy of the state, made while it is in use, and how a start tells that it begins with one: by a mark that lies in
 * every copy. What ended after the copy was made is not in it, so no session outlives a restore.
 */
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, type DatabaseSync } from 'node:sqlite';
import { GatewayError } from '../errors.ts';
import { toStoreError } from './sqlite-file.ts';

/** Name of the mark. */
export const backupMark = 'backup.json';

/** Pages per step; between two steps the process does other work. */
const pagesPerStep = 256;

/** Writes `path`, mode 0600, as the database is at one instant. Throws GatewayError SESSION_STORE_UNAVAILABLE. */
export async function copyDatabase(database: DatabaseSync, path: string): Promise<void> {
  try {
    // Made private before there is anything in it.
    writeFileSync(path, '', { mode: 0o600, flag: 'wx' });
    await backup(database, path, { rate: pagesPerStep });
    chmodSync(path, 0o600);
  } catch (error) {
    throw toStoreError(error);
  }
}

/** Marks `folder` as a copy. */
export function markBackup(
  folder: string,
  facts: { readonly madeAt: string; readonly version: string },
): void {
  writeFileSync(join(folder, backupMark), `${JSON.stringify(facts)}\n`, { mode: 0o600 });
}

/**
 * Runs `endSessions` when `directory` was restored from a copy, and then takes the mark away: a start that fails in
 * between begins again. Answers how many sessions were ended; `undefined`: nothing was restored. Throws GatewayError
 * CONFIG_INVALID.
 */
export function afterRestore(directory: string, endSessions: () => number): number | undefined {
  const path = join(directory, backupMark);
  if (directory === ':memory:' || !existsSync(path)) return undefined;
  try {
    const ended = endSessions();
    rmSync(path);
    return ended;
  } catch (cause) {
    throw new GatewayError('CONFIG_INVALID', `${path}: the sessions of the restored state cannot be ended`, {
      cause,
      fields: { path },
    });
  }
}
