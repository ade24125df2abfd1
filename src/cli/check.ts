/** `vratar check`: says everything that is wrong with a configuration file, and what is doubtful; starts nothing. */
import { availableParallelism } from 'node:os';
import { ConfigInvalidError, type LoadedConfig, loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { CommandIo } from './command-io.ts';
import { summarizeConfig } from './config-summary.ts';
import { runtimeNote } from './runtime-note.ts';
import { exitInvalid, exitUsage, readArguments } from './usage-mistake.ts';

const optionsOfCheck = { config: { type: 'string' }, connect: { type: 'boolean' } } as const;

/** Resolves to 0, or to 78 when the configuration (or, with `--connect`, what it points at) is not usable. */
export async function check(argv: readonly string[], io: CommandIo): Promise<number> {
  const options = readArguments('check', { args: [...argv], options: optionsOfCheck }, io)?.values;
  if (options === undefined) return exitUsage;
  const file = options.config ?? io.env['VRATAR_CONFIG'];
  if (file === undefined || file === '') {
    io.stderr.write('vratar check: no configuration; give --config FILE or set VRATAR_CONFIG\n');
    return exitInvalid;
  }
  const loaded = load(file, io);
  if (loaded === undefined) return exitInvalid;
  if (options.connect === true && !(await connect(file, loaded, io))) return exitInvalid;
  io.stdout.write(`${file} is valid\n${summarizeConfig(loaded.config, availableParallelism())}`);
  return 0;
}

/** Whether everything the configuration points at works; says what does not. */
async function connect(file: string, { config, locate }: LoadedConfig, io: CommandIo): Promise<boolean> {
  // Only here, so that a plain check needs no clients.
  const { checkDirectories } = await import('./check-directories.ts');
  const { checkMailServers } = await import('./check-mail-servers.ts');
  const { checkKerberos } = await import('./check-kerberos.ts');
  const tickets = await checkKerberos(config);
  const found = [...(await Promise.all([checkDirectories(config), checkMailServers(config)])), tickets];
  const problems = found.flatMap((each) => each.problems);
  const warnings = found.flatMap((each) => each.warnings);
  for (const problem of problems) io.stdout.write(`${formatProblem(file, locate(problem))}\n`);
  for (const warning of warnings) io.stdout.write(`warning: ${formatProblem(file, locate(warning))}\n`);
  for (const note of tickets.notes) io.stdout.write(`${note}\n`);
  if (problems.length === 0 && config.directories.length > 0) {
    io.stdout.write('every directory server answers as configured\n');
  }
  if (problems.length === 0 && config.zimbra.length > 0) {
    io.stdout.write('every mail server answers as configured\n');
  }
  return problems.length === 0;
}

function load(file: string, io: CommandIo): LoadedConfig | undefined {
  try {
    const loaded = loadConfig(file, { env: io.env });
    for (const warning of loaded.warnings) io.stdout.write(`warning: ${formatProblem(file, warning)}\n`);
    const note = runtimeNote(process.versions.node);
    if (note !== undefined) io.stdout.write(`note: ${note}\n`);
    return loaded;
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    io.stdout.write(`${error.message}\n`);
    for (const warning of error.warnings) io.stdout.write(`warning: ${formatProblem(file, warning)}\n`);
    return undefined;
  }
}
