/**
 * Servers whose first set-up takes seconds: done once per machine, kept below the temporary folder, copied per suite.
 * What is kept is found by a digest of all that went into it, so that another server or recipe makes another one.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '#test/support/until.ts';

const run = promisify(execFile);

/** Since its last use. */
const keptForMs = 86_400_000;

export interface Recipe {
  /** Begins the name of the folder. */
  readonly server: string;
  /** The server itself: size and date of its file belong to the digest, so that an update makes a new one. */
  readonly program: string;
  /** Files beside this one whose text belongs to the digest: the recipe itself and its data. */
  readonly sources: readonly string[];
  /** Fills an empty folder. */
  readonly build: (folder: string) => Promise<void>;
}

export interface ProvisionedCopy extends AsyncDisposable {
  readonly folder: string;
  /** Where it was filled, for files that name the folder they lie in. */
  readonly builtIn: string;
}

/** A private copy, removed when it is disposed of. */
export async function copyProvisioned(recipe: Recipe): Promise<ProvisionedCopy> {
  const image = await provisioned(recipe);
  await using resources = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), `vratar-${recipe.server}-`));
  resources.defer(async () => await rm(folder, { recursive: true, force: true }));
  await run('cp', ['-a', `${image}/.`, folder]);
  const kept = resources.move();
  return {
    folder,
    builtIn: unfinished(image),
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

/** The folder to copy from. Several processes that need it at once wait for the one that makes it. */
export async function provisioned(recipe: Recipe): Promise<string> {
  const folder = join(await ownFolder(), `${recipe.server}-${await digest(recipe)}`);
  const lock = `${folder}.lock`;
  for (;;) {
    if (existsSync(folder)) {
      const now = new Date();
      await utimes(folder, now, now);
      return folder;
    }
    if (await take(lock)) break;
    await until(async () => existsSync(folder) || !(await isHeld(lock)), {
      timeoutMs: 120_000,
      what: `the set-up of ${recipe.server} by another process`,
    });
  }
  const building = unfinished(folder);
  try {
    await rm(building, { recursive: true, force: true });
    await mkdir(building);
    await recipe.build(building);
    await rename(building, folder);
    await removeOld(recipe.server);
    return folder;
  } finally {
    await rm(building, { recursive: true, force: true });
    await rm(lock, { force: true });
  }
}

const unfinished = (folder: string): string => `${folder}.unfinished`;

/** Temporary folders are everybody's: what somebody else put there under our name is not used. */
async function ownFolder(): Promise<string> {
  const { uid } = userInfo();
  const folder = join(tmpdir(), `vratar-servers-${uid}`);
  await mkdir(folder, { mode: 0o700, recursive: true });
  const found = await lstat(folder);
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new Error(`${folder} belongs to somebody else or is open to others; remove it`);
  }
  return folder;
}

async function digest({ program, sources }: Recipe): Promise<string> {
  const hash = createHash('sha256');
  const { size, mtimeMs } = await stat(program);
  hash.update(`${program} ${size} ${mtimeMs}\n`);
  for (const source of sources) hash.update(await readFile(new URL(source, import.meta.url)));
  return hash.digest('hex').slice(0, 16);
}

async function take(lock: string): Promise<boolean> {
  try {
    await using file = await open(lock, 'wx');
    await file.writeFile(String(process.pid));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!(await isHeld(lock))) await rm(lock, { force: true });
    return false;
  }
}

/** A process that was killed leaves its lock behind. */
async function isHeld(lock: string): Promise<boolean> {
  try {
    const holder = Number(await readFile(lock, 'utf8'));
    // Not written yet: held by whoever is writing.
    return holder === 0 || existsSync(`/proc/${holder}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return false;
  }
}

async function removeOld(server: string): Promise<void> {
  const parent = await ownFolder();
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (!name.startsWith(`${server}-`)) continue;
    if (Date.now() - (await stat(path)).mtimeMs > keptForMs) await rm(path, { recursive: true, force: true });
  }
}
