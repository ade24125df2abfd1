/** `vratar backup FILE`: the state of the running gateway in one archive, which `tar` unpacks. */
import { createWriteStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { callAdmin, exitUnavailable } from './admin-call.ts';
import type { BackupReport } from './backup-source.ts';
import type { CommandIo } from './command-io.ts';
import { type ArchivedFile, writeTar } from './tar-archive.ts';
import { exitUsage, readArguments } from './usage-mistake.ts';

const options = { config: { type: 'string' } } as const;
/** A large state takes its time; the admin socket waits no longer either. */
const deadlineMs = 110_000;

/** 0: done; 64: not understood; 69: the gateway does not run, or FILE cannot be written; 78: no valid configuration. */
export async function backup(argv: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments('backup', { args: [...argv], options, allowPositionals: true }, io);
  if (parsed === undefined) return exitUsage;
  const { values, positionals } = parsed;
  const [file, ...more] = positionals;
  if (file === undefined || file === '' || more.length > 0) {
    io.stderr.write('vratar backup: expected "vratar backup FILE --config FILE"\n');
    return exitUsage;
  }
  const answer = await callAdmin('backup', {}, values.config, io, deadlineMs);
  if (answer.kind === 'failed') return answer.exitCode;
  const { folder, files } = answer.value as BackupReport;
  try {
    const bytes = await pack(folder, files, resolve(file));
    io.stdout.write(`${file}: ${bytes} bytes (${files.join(', ')})\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    io.stderr.write(`vratar backup: ${file} cannot be written: ${error.message}\n`);
    return exitUnavailable;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The old file stays until the new one is whole and on disk. Answers its size. */
async function pack(folder: string, names: readonly string[], file: string): Promise<number> {
  const files = await Promise.all(
    names.map(async (name): Promise<ArchivedFile> => {
      const path = join(folder, name);
      const { size, mtimeMs } = await stat(path);
      return { name, path, bytes: size, modifiedAtMs: mtimeMs };
    }),
  );
  const draft = `${file}.new`;
  // A draft of another run may be anybody's to read.
  await rm(draft, { force: true });
  const out = createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true });
  try {
    const failed = Promise.withResolvers<never>();
    const finished = new Promise<void>((done) => out.once('close', () => done()));
    out.once('error', failed.reject);
    await Promise.race([writeTar(files, out), failed.promise]);
    out.end();
    await Promise.race([finished, failed.promise]);
    await rename(draft, file);
  } catch (error) {
    out.destroy();
    await rm(draft, { force: true });
    throw error;
  }
  const parent = await open(dirname(file), 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
  return (await stat(file)).size;
}
