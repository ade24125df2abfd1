/** The primary's part of a backup: copies of everything that has to survive a lost disk, in a folder of its own. */
import { chmod, copyFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { backupMark, markBackup } from '../state/backup.ts';
import type { Hub } from '../state/hub.ts';
import { version } from '../version.ts';

/** What the running gateway answers: whoever asked packs the files and removes the folder. */
export interface BackupReport {
  readonly folder: string;
  readonly files: readonly string[];
}

const prefix = 'backup-';
/** Of a command that was interrupted. */
const abandonedAfterMs = 3_600_000;

/** `keyFile`: replaced as a whole when it changes, so a copy is one ring or the other. */
export async function copyState(
  hub: Pick<Hub, 'copy'>,
  { stateDirectory, keyFile }: { readonly stateDirectory: string; readonly keyFile: string },
  clock: Clock,
): Promise<BackupReport> {
  await removeAbandoned(stateDirectory, clock.now());
  // mkdtemp makes it for the owner alone.
  const folder = await mkdtemp(join(stateDirectory, prefix));
  try {
    const databases = await hub.copy(folder);
    const keys = join(folder, 'keys.json');
    await copyFile(keyFile, keys);
    await chmod(keys, 0o600);
    markBackup(folder, { madeAt: new Date(clock.now()).toISOString(), version });
    return { folder, files: [backupMark, 'keys.json', ...databases] };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function removeAbandoned(stateDirectory: string, nowMs: number): Promise<void> {
  for (const entry of await readdir(stateDirectory, { withFileTypes: true })) {
    if (!entry.isDirectory() || !entry.name.startsWith(prefix)) continue;
    const folder = join(stateDirectory, entry.name);
    const { mtimeMs } = await stat(folder);
    if (mtimeMs < nowMs - abandonedAfterMs) await rm(folder, { recursive: true, force: true });
  }
}
